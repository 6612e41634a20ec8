"""Networks of MUNIT and UNIT: published sizes, shapes, and what normalisations keep and take away."""

import pytest
import torch
from torch import nn

from medgan.networks.adain import AdaptiveInstanceNorm, AdaptiveResidualBlock
from medgan.networks.blocks import convolution, norm_layer
from medgan.networks.content_encoder import ContentEncoder
from medgan.networks.for_inference import for_inference
from medgan.networks.initialisation import initialise_by_width
from medgan.networks.latent_autoencoder import LatentDecoder, LatentEncoder, shared_blocks
from medgan.networks.style_decoder import StyleDecoder
from medgan.networks.style_encoder import StyleEncoder

CPU = torch.device("cpu")


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


class TestContentEncoder:
    def test_it_has_the_papers_layers_without_biases_before_a_norm(self) -> None:
        c7s1, d128, d256, residual = 3 * 64 * 49, 64 * 128 * 16, 128 * 256 * 16, 2 * 256 * 256 * 9
        assert parameters(ContentEncoder(3)) == c7s1 + d128 + d256 + 4 * residual == 5_383_360

    @pytest.mark.parametrize(("height", "width"), [(16, 16), (32, 44)])
    def test_it_quarters_the_grid(self, height: int, width: int) -> None:
        assert ContentEncoder(2, width=4, blocks=1)(noise(3, 2, height, width)).shape == (
            3,
            16,
            height // 4,
            width // 4,
        )

    def test_brightness_and_contrast_of_the_image_are_no_content(self) -> None:
        encoder, image = ContentEncoder(1, width=4, blocks=1), noise(1, 1, 32, 32)
        torch.testing.assert_close(encoder(0.5 * image + 0.3), encoder(image), atol=1e-3, rtol=1e-3)


class TestStyleEncoder:
    def test_it_has_the_papers_layers(self) -> None:
        c7s1, d128, d256 = 3 * 64 * 49 + 64, 64 * 128 * 16 + 128, 128 * 256 * 16 + 256
        d256_again, fc8 = 256 * 256 * 16 + 256, 256 * 8 + 8
        assert parameters(StyleEncoder(3)) == c7s1 + d128 + d256 + 2 * d256_again + fc8 == 2_764_936

    @pytest.mark.parametrize(("height", "width"), [(16, 16), (36, 44)])
    def test_it_gives_a_few_numbers_whatever_the_grid(self, height: int, width: int) -> None:
        assert StyleEncoder(1, width=4, style_size=5)(noise(2, 1, height, width)).shape == (2, 5)

    def test_brightness_is_a_style(self) -> None:
        encoder, image = initialise_by_width(StyleEncoder(1, width=8)), noise(1, 1, 32, 32) / 2
        assert (encoder(image + 0.5) - encoder(image)).abs().max() > 0.01

    def test_there_is_no_normalisation(self) -> None:
        assert not [m for m in StyleEncoder(1, width=4).modules() if isinstance(m, nn.InstanceNorm2d | nn.GroupNorm)]

    def test_a_narrow_one_gives_styles_of_a_fair_size_from_the_start(self) -> None:
        torch.manual_seed(0)
        encoder = initialise_by_width(StyleEncoder(3, width=8))
        assert encoder(noise(8, 3, 32, 32)).std() > 0.05


class TestAdaptiveInstanceNorm:
    def test_means_and_spreads_are_those_asked_for(self) -> None:
        features = 3 * noise(2, 2, 16, 16) + 1
        look = torch.tensor([[0.5, 1.0, -2.0, 4.0], [0.0, 0.0, 0.0, 0.0]])
        made = AdaptiveInstanceNorm(2)(features, look)
        torch.testing.assert_close(made.mean(dim=(2, 3)), torch.tensor([[-2.0, 4.0], [0, 0]]), atol=1e-4, rtol=1e-4)
        spread = made.var(dim=(2, 3), unbiased=False).sqrt()
        torch.testing.assert_close(spread, torch.tensor([[1.5, 2.0], [1.0, 1.0]]), atol=1e-3, rtol=1e-3)

    def test_a_block_takes_four_numbers_a_channel_and_keeps_the_shape(self) -> None:
        block = AdaptiveResidualBlock(6)
        assert block(noise(2, 6, 8, 12), torch.zeros(2, block.looks)).shape == (2, 6, 8, 12)
        assert block.looks == 24
        assert parameters(block) == 2 * 6 * 6 * 9


class TestStyleDecoder:
    def test_it_has_the_papers_layers_without_biases_before_a_norm(self) -> None:
        residual, u128, u64, c7s1 = 2 * 256 * 256 * 9, 256 * 128 * 25, 128 * 64 * 25, 64 * 3 * 49 + 3
        layer_norms = 2 * 128 + 2 * 64
        looks = 4 * 4 * 256  # two norms a block, a scale and a shift for each channel
        perceptron = (8 * 256 + 256) + (256 * 256 + 256) + (256 * looks + looks)
        expected = 4 * residual + u128 + u64 + c7s1 + layer_norms + perceptron
        assert parameters(StyleDecoder(3)) == expected

    def test_each_sample_has_its_own_style(self) -> None:
        torch.manual_seed(0)
        decoder = initialise_by_width(StyleDecoder(2, width=4, blocks=2, style_size=3, hidden=8))
        content, styles = noise(1, 16, 8, 6).expand(2, -1, -1, -1), noise(2, 3, seed=1)
        both = decoder(content, styles)
        assert both.shape == (2, 2, 32, 24)
        assert both.abs().max() <= 1
        torch.testing.assert_close(both[:1], decoder(content[:1], styles[:1]))
        assert (both[0] - both[1]).abs().mean() > 0.01

    def test_what_follows_the_adaptive_blocks_looks_at_all_channels_together(self) -> None:
        decoder = StyleDecoder(1, width=4)
        norms = [m for m in decoder.decoder.modules() if isinstance(m, nn.GroupNorm)]
        assert [(norm.num_groups, norm.num_channels) for norm in norms] == [(1, 8), (1, 4)]


class TestLatentAutoencoder:
    def test_encoder_and_decoder_have_the_papers_layers_without_biases_before_a_norm(self) -> None:
        residual = 2 * 256 * 256 * 9
        encoder = 3 * 64 * 49 + 64 * 128 * 9 + 128 * 256 * 9 + 3 * residual
        decoder = 3 * residual + 256 * 128 * 9 + 128 * 64 * 9 + 64 * 3 + 3
        assert parameters(LatentEncoder(3)) == encoder
        assert parameters(LatentDecoder(3, upsampling="transposed")) == decoder
        assert parameters(shared_blocks(1, width=64, norm="instance")) == residual

    def test_shapes(self) -> None:
        code = LatentEncoder(2, width=4, blocks=1)(noise(3, 2, 32, 20))
        assert code.shape == (3, 16, 8, 5)
        image = LatentDecoder(2, width=4, blocks=1)(code)
        assert image.shape == (3, 2, 32, 20)
        assert image.abs().max() <= 1


def test_layer_norm_keeps_how_channels_stand_to_each_other() -> None:
    features = noise(2, 3, 5, 5) + torch.tensor([0.0, 2.0, 4.0])[:, None, None]
    made = norm_layer("layer", 3)(features)
    torch.testing.assert_close(made.mean(dim=(1, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    means = made.mean(dim=(2, 3))
    assert (means.diff(dim=1) > 0.5).all()


@pytest.mark.parametrize("reflect", [True, False])
def test_an_even_kernel_halves_the_grid(reflect: bool) -> None:
    layer = convolution(1, 2, kernel=4, stride=2, norm="none", reflect=reflect)
    assert layer(noise(1, 1, 8, 10)).shape == (1, 2, 4, 5)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 0.1)])
def test_made_ready_for_inference_they_give_the_same(precision, tolerance: float) -> None:
    torch.manual_seed(0)
    encoder = initialise_by_width(ContentEncoder(1, width=16, blocks=1))
    styles = initialise_by_width(StyleEncoder(1, width=16))
    decoder = initialise_by_width(StyleDecoder(1, width=16, blocks=1, hidden=16))
    image = noise(2, 1, 32, 32)
    fast = [for_inference(network, precision=precision, device=CPU) for network in (encoder, styles, decoder)]
    with torch.inference_mode():
        expected = decoder(encoder(image), styles(image))
        found = fast[2](fast[0](image), fast[1](image))
    assert (found - expected).abs().max() < tolerance
