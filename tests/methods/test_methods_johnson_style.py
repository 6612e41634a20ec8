"""Johnson's style transfer: the paper's settings, losses by hand, and a style that outlives an interruption."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F  # noqa: N812

from medgan.errors import TrainingError
from medgan.methods.johnson_style import JohnsonStyle, JohnsonStyleRecipe
from medgan.settings.features import FeatureSettings
from medgan.training.loss_files import loss_files
from medgan.training.translator import SampleShape

GREY = SampleShape(1, 1, 32)


def batch(channels: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {name: torch.rand(2, channels, 32, 32, generator=generator) * 1.8 - 0.9 for name in "ab"}


def made(*, shape: SampleShape = GREY, fit: bool = True, **settings: object) -> JohnsonStyle:
    torch.manual_seed(0)
    learner = JohnsonStyle(JohnsonStyleRecipe(**(JohnsonStyleRecipe.tiny().model_dump() | settings)), shape=shape)
    if fit:
        images = batch(shape.channels * shape.neighbours)
        learner.fit(list(images["a"]), list(images["b"]))
    return learner


def losses(learner: JohnsonStyle, images: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    (turn,) = learner.training_step(images)
    assert turn.group == "generator"
    return turn.losses


def test_settings_are_the_papers() -> None:
    recipe = JohnsonStyleRecipe()
    assert (recipe.total_steps, recipe.batch_size, recipe.learning_rate) == (40_000, 4, 1e-3)
    assert (recipe.decay_from, recipe.generator_width, recipe.blocks) == (1.0, 32, 5)
    vgg = JohnsonStyleRecipe(features={"network": "vgg16", "weights": "vgg16.safetensors"})
    assert vgg.layers_of_content(()) == ("relu2_2",)
    assert vgg.layers_of_style(()) == ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
    assert recipe.layers_of_content(("one", "two")) == ("one", "two")
    assert recipe.layers_of_style(("one", "two")) == ("one", "two")


def test_losses_are_the_papers_by_hand() -> None:
    learner, images = made(weight_pixel=2.0, weight_total_variation=3.0), batch()
    found = losses(learner, images)
    fake, layers = learner.g_ab(images["a"]), ("relu1b", "relu2b", "relu3b")
    look = learner.features
    style = 0.0
    for name in layers:
        wanted, is_now = (torch.einsum("nchw,ndhw->ncd", f, f) for f in (look(images["b"])[name], look(fake)[name]))
        _, channels, height, width = look(fake)[name].shape
        size = channels * height * width
        mean = look(images["b"])[name].mean(dim=(2, 3))
        between = mean - mean.mean(dim=0)  # how the images differ in their means is no part of a typical one's style
        typical = wanted.mean(dim=0) / size - torch.einsum("nc,nd->cd", between, between) / len(mean) / channels
        apart, found_size = (one.square().sum(dim=(1, 2)) for one in (is_now / size - typical, is_now / size))
        style += (apart / (found_size + typical.square().sum())).mean()
    assert found["style"].item() == pytest.approx(learner.recipe.weight_style * style.item(), rel=1e-4)
    seen = {name: look(image) for name, image in (("fake", fake), *images.items())}
    content = sum(F.mse_loss(seen["fake"][name], seen["a"][name]) / seen["b"][name].square().mean() for name in layers)
    assert found["content"].item() == pytest.approx(learner.recipe.weight_content * content.item(), rel=1e-4)
    assert found["pixel"].item() == pytest.approx(2 * F.mse_loss(fake, images["a"]).item(), rel=1e-5)
    steps = fake.diff(dim=2).abs().mean() + fake.diff(dim=3).abs().mean()
    assert found["variation"].item() == pytest.approx(3 * steps.item(), rel=1e-5)


def test_background_stays_and_has_no_style() -> None:
    images = batch()
    images["a"][..., :16, :] = -1
    learner = made()
    out = learner.translate(images["a"], to="b")
    assert (out[..., :16, :] == -1).all()
    assert (out[..., 16:, :] != -1).all()
    with_air = [F.pad(image, (0, 0, 32, 0), value=-1) for image in images["b"]]
    other = made(fit=False)
    other.fit([], with_air)
    free = made(fit=False, keep_background=False)
    free.fit([], with_air)
    key = "gram.relu1b"
    near, far = (
        (one.texture.tensors()[key] - learner.texture.tensors()[key]).abs().mean().item() for one in (other, free)
    )
    assert near < 0.2 * far, "but for the border, an image has the style of what it shows"
    assert not (made(keep_background=False).translate(images["a"], to="b")[..., :16, :] == -1).any()


def test_images_without_foreground_are_left_out_and_none_at_all_is_refused() -> None:
    one, other, images = made(), made(fit=False), batch()
    other.fit([], [*images["b"], torch.full((1, 32, 32), -1.0)])
    assert all(torch.equal(one.texture.tensors()[key], value) for key, value in other.texture.tensors().items())
    with pytest.raises(TrainingError, match=r"\[T210\].*no image shows the style"):
        made(fit=False).fit([], [torch.full((1, 32, 32), -1.0)])
    with pytest.raises(TrainingError, match=r"\[T210\].*not known yet"):
        losses(made(fit=False), images)


def test_one_image_is_a_style_of_its_own_and_what_shows_it_has_no_style_loss() -> None:
    learner, images = made(fit=False), batch()
    learner.fit([], [images["b"][0]])
    features = learner.features(images["b"][:1])
    for name, wanted in learner.texture.grams.items():
        layer = features[name].flatten(2)
        torch.testing.assert_close(layer @ layer.transpose(1, 2) / (layer.shape[1] * layer.shape[2]), wanted)


def test_the_style_is_kept_in_checkpoints_and_not_in_the_weights() -> None:
    learner, other = made(), made(fit=False)
    assert all(key.startswith("g_ab.") for key in learner.state_dict())
    other.load_extra_tensors(learner.extra_tensors())
    images = batch()
    assert {k: v.item() for k, v in losses(other, images).items()} == {
        k: v.item() for k, v in losses(learner, images).items()
    }


def test_a_stack_gives_its_middle_slice_in_the_middles_style() -> None:
    shape = SampleShape(1, 3, 32)
    learner, images = made(shape=shape, neighbours=3), batch(3)
    assert learner.translate(images["a"], to="b").shape == (2, 1, 32, 32)
    alone = made(fit=False)
    alone.fit([], list(images["b"][:, 1:2]))
    assert all(torch.equal(v, alone.texture.tensors()[k]) for k, v in learner.texture.tensors().items())


def test_it_starts_from_its_input_or_as_published_from_grey() -> None:
    source = batch()["a"]
    changed, published = (made(predicts=kind).translate(source, to="b") for kind in ("change", "image"))
    torch.testing.assert_close(changed, source, atol=1.1e-3, rtol=0)
    assert (published - source).abs().mean() > 0.1
    assert JohnsonStyleRecipe().predicts == "change"


def test_layers_are_named_once() -> None:
    with pytest.raises(ValidationError, match="content_layers and style_layers"):
        JohnsonStyleRecipe(features=FeatureSettings(layers=("relu1a",)))
    learner = made(content_layers=("relu1a",), style_layers=("relu2a",))
    assert set(learner.texture.grams) == {"relu2a"}
    assert set(losses(learner, batch())) == {"content", "style", "variation"}


def test_the_style_images_digest_is_part_of_the_run(tmp_path: Path) -> None:
    path = tmp_path / "style.png"
    path.write_bytes(b"one")
    first = loss_files(JohnsonStyleRecipe(style_image=path))
    path.write_bytes(b"another")
    assert first.keys() == {"style_image"}
    assert loss_files(JohnsonStyleRecipe(style_image=path)) != first


def test_extra_losses_stand_beside_its_own() -> None:
    recipe = JohnsonStyleRecipe.tiny().model_copy(update={})
    learner = made(extra=recipe.extra.model_copy(update={"weight_edges": 1.0}).model_dump())
    assert "edges_extra" in losses(learner, batch())
