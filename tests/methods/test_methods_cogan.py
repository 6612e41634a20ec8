"""CoGAN: what is shared, codes found as they were drawn, and translations that do not depend on company."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from medgan.methods.cogan import CoGAN, CoGANRecipe
from medgan.networks.coupled import discriminator_layers, generator_layers
from medgan.training.inference import ready_for_inference
from medgan.training.translator import SampleShape

GREY = SampleShape(1, 1, 32)


def made(**settings: object) -> CoGAN:
    torch.manual_seed(0)
    return CoGAN(CoGANRecipe(**(CoGANRecipe.tiny().model_dump() | settings)), shape=GREY)


def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {name: torch.rand(2, 1, 32, 32, generator=generator) * 2 - 1 for name in "ab"}


def reachable(learner: CoGAN) -> torch.Tensor:
    """An image of a that the generator can draw, with contrast that fresh weights do not give."""
    for layer in (learner.g_a[-1], learner.g_b[-1]):
        layer[0][0].weight.data *= 20
    codes = torch.rand(1, 8, 2, 2, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return learner.draw(codes, to="a").detach()


def test_defaults_are_the_papers() -> None:
    recipe = CoGANRecipe()
    assert (recipe.adversarial, recipe.code_channels, recipe.batch_size) == ("vanilla", 100, 128)
    assert (recipe.optimizer, recipe.learning_rate, recipe.betas) == ("adam", 2e-4, (0.5, 0.999))
    assert (recipe.shared, recipe.shared_last) == (4, 4)


def test_generators_have_the_papers_widths() -> None:
    layers = generator_layers(100, 3, width=128, upsampling="resize", norm="none")
    channels, features = [], torch.zeros(1, 100, 4, 4)
    for layer in layers:
        features = layer(features)
        channels.append((features.shape[1], features.shape[-1]))
    assert channels == [(1024, 4), (512, 8), (256, 16), (128, 32), (3, 64)]
    assert all(isinstance(layer[-1], nn.PReLU) for layer in layers[:-1])


@pytest.mark.parametrize("size_px", [16, 64, 100])
def test_a_discriminator_sees_the_whole_image(size_px: int) -> None:
    network = nn.Sequential(*discriminator_layers(3, size_px=size_px, width=2, norm="layer"))
    assert len(network) == 5
    assert network(torch.zeros(2, 3, size_px, size_px)).shape == (2, 1)


def test_generators_share_their_first_layers_and_discriminators_their_last() -> None:
    learner = made(shared=3, shared_last=2)
    assert [len(part) for part in (learner.g_shared, learner.g_a, learner.g_b)] == [3, 2, 2]
    assert [len(part) for part in (learner.d_a, learner.d_b, learner.d_shared)] == [3, 3, 2]
    assert not torch.equal(learner.g_a[-1][0][0].weight, learner.g_b[-1][0][0].weight)


def test_both_domains_are_drawn_from_the_same_codes() -> None:
    learner, seen = made(), []
    learner.g_shared.register_forward_hook(lambda _, codes, __: seen.append(codes[0]))
    generators, discriminators = learner.training_step(batch())
    assert torch.equal(*seen)
    assert seen[0].shape == (2, 8, 2, 2)
    assert -1 <= seen[0].min() < -0.5
    assert 0.5 < seen[0].max() <= 1
    fake = learner.draw(seen[0], to="b")
    torch.testing.assert_close(generators.losses["adversarial_b"], F.softplus(-learner._judge_b(fake)).mean())
    told = F.softplus(-learner._judge_b(batch()["b"])).mean() + F.softplus(learner._judge_b(fake)).mean()
    torch.testing.assert_close(discriminators.losses["adversarial_b"], told)


def test_the_code_of_what_was_drawn_draws_it_again() -> None:
    learner = made(iterations=200)
    image = reachable(learner)
    found = learner.draw(learner.code_of(image, domain="a"), to="a")
    assert image.std() > 0.05
    assert (found - image).square().mean() < 0.01 * image.var()


def test_a_longer_search_comes_nearer() -> None:
    image = reachable(made())
    apart = []
    for iterations in (1, 10, 100):
        learner = made(iterations=iterations)
        reachable(learner)
        apart.append((learner.draw(learner.code_of(image, domain="a"), to="a") - image).square().mean().item())
    assert apart[0] > apart[1] > apart[2]


def test_a_translation_draws_the_code_in_the_other_domain() -> None:
    learner = made()
    image = reachable(learner)
    code = learner.code_of(image, domain="a")
    assert code.abs().max() < 1
    assert torch.equal(learner.translate(image, to="b"), learner.draw(code, to="b"))


@pytest.mark.parametrize("grad", [True, False])
def test_the_search_touches_no_gradient_and_no_flag(grad: bool) -> None:
    learner = made().requires_grad_(grad)
    out = learner.translate(batch()["a"], to="b")
    assert not out.requires_grad
    assert all(parameter.grad is None for parameter in learner.parameters())
    assert all(parameter.requires_grad is grad for parameter in learner.parameters())


def test_an_image_is_translated_as_it_would_be_alone() -> None:
    learner, images = made(iterations=30), batch()["a"]
    reachable(learner)
    alone = torch.cat([learner.translate(image[None], to="b") for image in images])
    assert torch.equal(learner.translate(images, to="b"), alone)
    assert torch.equal(learner.translate(images.flip(0), to="b").flip(0), alone)


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"), [(16, 16, 2, 2), (48, 40, 3, 3), (33, 70, 3, 5), (5, 64, 2, 4)]
)
def test_other_sizes_have_other_maps_of_codes(height: int, width: int, rows: int, columns: int) -> None:
    learner, image = made(), torch.zeros(1, 1, height, width)
    code = learner.code_of(image, domain="a")
    assert code.shape == (1, 8, rows, columns)
    assert learner.translate(image, to="b").shape == image.shape


def test_networks_made_ready_for_inference_translate_the_same() -> None:
    learner = made(iterations=2)
    image = reachable(learner)
    before = learner.eval().translate(image, to="b")
    ready = ready_for_inference(learner, precision="fp32", device=torch.device("cpu"))
    with torch.inference_mode():
        torch.testing.assert_close(ready.translate(image, to="b"), before, atol=1e-3, rtol=0)
