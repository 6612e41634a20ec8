"""Gatys' style transfer: the paper's layers and losses, and optimisations that stand each for itself."""

import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F  # noqa: N812

from medgan.errors import CheckpointError, TrainingError
from medgan.methods.gatys import Gatys, GatysRecipe
from medgan.networks.vgg import vgg19_layers
from medgan.training.translator import SampleShape

GREY = SampleShape(1, 1, 32)


def images(channels: int = 1, *, seed: int = 5, size: tuple[int, int] = (32, 32)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, channels, *size, generator=generator) * 1.8 - 0.9


def made(*, shape: SampleShape = GREY, fit: bool = True, **settings: object) -> Gatys:
    torch.manual_seed(0)
    learner = Gatys(GatysRecipe(**(GatysRecipe.tiny().model_dump() | settings)), shape=shape).eval()
    if fit:
        learner.fit([], list(0.5 * images(shape.channels * shape.neighbours, seed=6) + 0.4))
    return learner


def vgg_file(folder: Path) -> Path:
    torch.manual_seed(1)
    save_file(vgg19_layers().state_dict(), folder / "vgg19.safetensors")
    return folder / "vgg19.safetensors"


def total(learner: Gatys, source: torch.Tensor, image: torch.Tensor) -> float:
    """The loss of an image, each term written out."""
    recipe, look = learner.recipe, learner._look
    texture = learner._texture()
    found, kept = look(image), look(source)
    content = sum(
        (F.mse_loss(found[name], kept[name]) / texture.powers[name]).item() for name in learner.content_layers
    )
    style = 0.0
    for name in learner.style_layers:
        _, filters, height, width = found[name].shape
        places = height * width
        gram = torch.einsum("chw,dhw->cd", found[name][0], found[name][0])
        wanted = texture.grams[name][0] * filters * places
        error, found_size, size = (
            one.square().sum() / (4 * filters**2 * places**2) for one in (gram - wanted, gram, wanted)
        )
        # Equation 4, and one fifth of five layers.
        style += (error / (found_size + size)).item() / len(learner.style_layers)
    steps = (image.diff(dim=2).abs().mean() + image.diff(dim=3).abs().mean()).item()
    return recipe.weight_content * content + recipe.weight_style * style + recipe.weight_total_variation * steps


def test_layers_are_the_papers(tmp_path: Path) -> None:
    learner = made(features={"network": "vgg19", "weights": str(vgg_file(tmp_path))})
    assert learner.content_layers == ("relu4_2",)
    assert learner.style_layers == ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    kinds = [type(layer) for layer in learner.features.network]
    assert torch.nn.MaxPool2d not in kinds
    assert kinds.count(torch.nn.AvgPool2d) == 5
    assert GatysRecipe().optimise_by == "lbfgs"


def test_the_loss_is_the_papers_by_hand() -> None:
    learner, source, image = made(keep_background=False), images()[:1], images(seed=8)[:1]
    with torch.no_grad():
        kept = learner._look(source)
        loss = learner._loss(image, kept, learner._texture(), None).item()
    assert loss == pytest.approx(total(learner, source, image), rel=1e-4)


@pytest.mark.parametrize("optimise_by", ["lbfgs", "adam"])
@pytest.mark.parametrize("start", ["content", "noise"])
def test_the_loss_falls_from_any_start_by_any_optimiser(optimise_by: str, start: str) -> None:
    # By default the content holds an image near its start, where there is little to fall.
    weights = {"weight_content": 0.01, "weight_total_variation": 0.003}
    few, many = (made(iterations=n, optimise_by=optimise_by, start=start, **weights) for n in (1, 30))
    source = images()[:1]
    one, other = (learner.translate(source, to="b") for learner in (few, many))
    assert total(many, source, other) < 0.9 * total(few, source, one)
    if start == "content":
        assert total(many, source, other) < 0.5 * total(many, source, source)


def test_its_own_style_leaves_an_image_as_it_is() -> None:
    learner, image = made(fit=False, weight_total_variation=0.0), images()[:1]
    learner.fit([], [image[0]])
    torch.testing.assert_close(learner.translate(image, to="b"), image, atol=1e-3, rtol=0)


def test_background_stays_to_the_bit() -> None:
    source = images()
    source[..., :10, :] = -1
    for start in ("content", "noise"):
        out = made(start=start).translate(source, to="b")
        assert (out[..., :10, :] == -1).all()
    assert not (made(keep_background=False).translate(source, to="b")[..., :10, :] == -1).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(31, 29), (17, 40)])
def test_odd_sizes_grey_and_colour(channels: int, size: tuple[int, int]) -> None:
    learner = made(shape=SampleShape(channels, 1, 32))
    source = images(channels, size=size)
    out = learner.translate(source, to="b")
    assert out.shape == source.shape
    assert out.isfinite().all()


def test_threads_side_by_side_give_what_one_gives() -> None:
    learner, source = made(), images()
    expected = learner.translate(source, to="b")
    found: dict[int, torch.Tensor] = {}

    def work(number: int) -> None:
        with torch.inference_mode():
            found[number] = learner.translate(source[number : number + 1], to="b")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    torch.testing.assert_close(torch.cat([found[0], found[1]]), expected, atol=1e-4, rtol=1e-4)


def test_the_network_goes_with_the_weights(tmp_path: Path) -> None:
    path = vgg_file(tmp_path)
    learner = made(features={"network": "vgg19", "weights": str(path)}, style_layers=("relu1_1",))
    path.unlink()
    other = Gatys(learner.recipe, shape=GREY)
    other.load_state_dict(learner.state_dict())
    source = images()[:1]
    assert torch.equal(other.eval().translate(source, to="b"), learner.translate(source, to="b"))
    assert not list(learner.parameters())
    with pytest.raises(CheckpointError, match=r"\[C001\]"):
        other.fit([], list(source))


def test_without_a_style_nothing_is_made() -> None:
    with pytest.raises(TrainingError, match=r"\[T210\]"):
        made(fit=False).translate(images(), to="b")


def test_the_noise_is_the_same_every_time_and_another_with_another_seed() -> None:
    source = images()[:1]
    one, again, other = (made(start="noise", noise_seed=seed).translate(source, to="b") for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
