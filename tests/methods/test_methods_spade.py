"""SPADE: the paper's settings and sizes, the modulation by hand, and a map that decides what is drawn where."""

from itertools import pairwise
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils.parametrize import is_parametrized

from medgan.errors import SettingsError
from medgan.losses.latent import kl_of_diagonal_normal
from medgan.methods.spade import Spade, SpadeRecipe
from medgan.networks.spade import ReferenceEncoder, SpadeGenerator, SpadeResidualBlock
from medgan.networks.spade import Spade as SpadeNorm
from medgan.networks.vgg import vgg19_layers
from medgan.training.translator import SampleShape

GREY = SampleShape(1, 1, 32)


def made(shape: SampleShape = GREY, **settings: object) -> Spade:
    torch.manual_seed(0)
    return Spade(SpadeRecipe(**(SpadeRecipe.tiny().model_dump() | settings)), shape=shape)


def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    mask = torch.full((2, 1, 32, 32), -1.0)
    mask[..., 8:24, 8:24] = 1
    return {"a": mask, "b": torch.rand(2, 1, 32, 32, generator=generator) * 2 - 1}


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_defaults_are_the_papers() -> None:
    recipe = SpadeRecipe()
    assert (recipe.weight_kl, recipe.weight_matching, recipe.weight_perceptual) == (0.05, 10, 10)
    assert (recipe.learning_rate, recipe.discriminator_rate, recipe.betas) == (1e-4, 4e-4, (0, 0.999))
    assert (recipe.scales, recipe.patch, recipe.style_size, recipe.map_width) == (2, 70, 256, 128)


def test_generator_and_discriminator_learn_at_two_rates() -> None:
    learner = made()
    assert learner.optimizer("generator").learning_rate == 1e-4
    assert learner.optimizer("discriminator").learning_rate == 4e-4


def test_256_px_give_the_papers_networks() -> None:
    with torch.device("meta"):
        generator, encoder = SpadeGenerator(2, 3, size_px=256), ReferenceEncoder(3, size_px=256)
    blocks = [block for block in generator.blocks if isinstance(block, SpadeResidualBlock)]
    assert [block.conv_2.out_channels for block in blocks] == [1024, 1024, 1024, 512, 256, 128, 64]
    assert generator.first.out_features == 16384 == 1024 * 4 * 4
    assert encoder.mean.in_features == 8192
    convolutions = [module for module in encoder.modules() if isinstance(module, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [64, 128, 256, 512, 512, 512]
    of_linear = 2 * (8192 * 256 + 256)
    widths = [3, 64, 128, 256, 512, 512, 512]
    assert count(encoder) == of_linear + sum(9 * a * b for a, b in pairwise(widths))
    # A normalisation of 1024 channels by a map of 2: what reads the map, then scale and shift.
    reading = 9 * 2 * 128 + 128
    assert count(blocks[0].spade_1) == reading + 2 * (9 * 128 * 1024 + 1024)


def test_modulation_by_hand() -> None:
    torch.manual_seed(0)
    layer = SpadeNorm(3, 2, hidden=4)
    features, labels = torch.randn(2, 3, 8, 8), torch.rand(2, 2, 16, 16)
    mean = features.mean(dim=(2, 3), keepdim=True)
    spread = (features.var(dim=(2, 3), keepdim=True, unbiased=False) + 1e-5).sqrt()
    read = F.relu(layer.shared(labels[..., ::2, ::2]))
    expected = (features - mean) / spread * (1 + layer.gamma(read)) + layer.beta(read)
    torch.testing.assert_close(layer(features, labels), expected)


def test_a_block_keeps_a_skip_and_learns_one_where_channels_change() -> None:
    same, other = SpadeResidualBlock(8, 8, 2, hidden=4), SpadeResidualBlock(8, 4, 2, hidden=4)
    features, labels = torch.randn(1, 8, 8, 8), torch.rand(1, 2, 8, 8)
    nn.init.zeros_(same.conv_2.weight)
    nn.init.zeros_(same.conv_2.bias)
    assert torch.equal(same(features, labels), features)
    assert other(features, labels).shape == (1, 4, 8, 8)
    assert (other.conv_1.out_channels, other.conv_skip.kernel_size) == (4, (1, 1))


def test_weights_are_spectrally_normalised() -> None:
    learner = made()
    for network in (learner.g_ab, learner.d_b):
        layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        assert all(is_parametrized(layer, "weight") for layer in layers)


def test_classes_lie_evenly_and_equal_channels_are_one_map() -> None:
    values = torch.tensor([-1.0, -0.9, 0.0, 0.2, 1.0]).view(1, 1, 1, 5)
    grey = made(labels=3).labels_of(values)
    assert grey.argmax(dim=1).flatten().tolist() == [0, 0, 1, 1, 2]
    assert torch.equal(made(SampleShape(3, 1, 32), labels=3).labels_of(values.expand(-1, 3, -1, -1)), grey)
    stack = made(SampleShape(1, 3, 32)).labels_of(torch.cat([values, -values, values], dim=1))
    assert stack.shape == (1, 6, 1, 5)
    assert torch.equal(stack[:, :2], stack[:, 4:])
    assert torch.equal(made(labels=None).labels_of(values), values)


def test_the_mean_style_is_drawn_without_a_reference_and_another_with_one() -> None:
    learner, real = made().train(), batch()
    plain = learner.translate(real["a"], to="b")
    assert torch.equal(plain, learner.translate(real["a"], to="b"))
    style = learner.style_of(real["b"], domain="b")
    assert torch.equal(style, learner.style_of(real["b"], domain="b"))
    styled = learner.translate_styled(real["a"], to="b", style=style)
    assert styled.shape == plain.shape
    assert not torch.equal(styled, plain)
    assert learner.style_of(torch.zeros(2, 1, 50, 40), domain="b").shape == (2, learner.style_size)


def test_a_map_has_no_style() -> None:
    with pytest.raises(SettingsError, match="S211"):
        made().style_of(batch()["a"], domain="a")


def test_without_the_encoder_there_is_no_style() -> None:
    learner, real = made(style=False), batch()
    generator, _ = learner.training_step(real)
    assert "kl" not in generator.losses
    assert not list(learner.encoder.parameters())
    assert not learner.style_of(real["b"], domain="b").any()


def test_losses_are_weighed_as_the_paper_says() -> None:
    generator, discriminator = made().training_step(batch())
    assert set(generator.losses) == {"adversarial", "kl", "matching", "perceptual"}
    assert set(discriminator.losses) == {"adversarial"}
    mean, log_variance = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    expected = 0.5 * (1 + (torch.e - 2))
    assert kl_of_diagonal_normal(mean, log_variance).item() == pytest.approx(expected)


def test_losses_of_the_discriminators_are_means_over_scales() -> None:
    """The public code's weights of 10 go with means: another number of scales leaves the balance as it is."""
    learner, real = made(), batch()
    labels = learner.labels_of(real["a"])
    torch.manual_seed(3)
    generator, discriminator = learner.training_step(real)
    torch.manual_seed(3)
    mean, log_variance = learner.encoder(real["b"])
    fake = learner.g_ab(labels, mean + torch.randn_like(mean) * (0.5 * log_variance).exp())
    of_real, of_fake = (learner.d_b.features(torch.cat([labels, image], dim=1)) for image in (real["b"], fake))
    assert len(of_real) == 2
    apart = [
        (a - b).abs().mean()
        for one, two in zip(of_fake, of_real, strict=True)
        for a, b in zip(one[:-1], two[:-1], strict=True)
    ]
    expected = {"adversarial": -sum(scale[-1].mean() for scale in of_fake) / 2, "matching": 10 * sum(apart) / 2}
    found = {name: generator.losses[name] for name in expected}
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
    told = [F.relu(1 - one[-1]).mean() + F.relu(1 + two[-1]).mean() for one, two in zip(of_real, of_fake, strict=True)]
    torch.testing.assert_close(discriminator.losses["adversarial"], sum(told) / 2, atol=1e-3, rtol=1e-3)


def test_vgg19_is_looked_through_at_the_published_layers(tmp_path: Path) -> None:
    path = tmp_path / "vgg19.safetensors"
    torch.manual_seed(1)
    safetensors.torch.save_file(vgg19_layers().state_dict(), path)
    learner = made(features={"network": "vgg19", "weights": path})
    weights = {f"relu{stage}_1": weight for stage, weight in enumerate((1 / 32, 1 / 16, 1 / 8, 1 / 4, 1), start=1)}
    assert learner.layer_weights == weights
    assert tuple(learner.features(torch.zeros(1, 1, 32, 32))) == tuple(weights)
    assert made(features={"network": "vgg19", "weights": path, "layers": ("relu2_2",)}).layer_weights is None
    assert made().layer_weights is None


def test_another_size_than_in_training_is_drawn_whole() -> None:
    out = made().translate(torch.ones(1, 1, 44, 60), to="b")
    assert out.shape == (1, 1, 44, 60)
