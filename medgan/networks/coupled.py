"""CoGAN's layers: a generator from a map of codes and a discriminator of whole images, given as lists to be shared."""

from torch import nn

from medgan.networks.blocks import Norm, Upsampling, convolution, norm_layer, upsampled
from medgan.networks.layers import Slope

DOUBLINGS = 4
"""A code stands for 2 ** 4 pixels each way, as the 4 x 4 features of DCGAN do in its images of 64 px."""


def generator_layers(
    in_channels: int, out_channels: int, *, width: int, upsampling: Upsampling, norm: Norm
) -> list[nn.Module]:
    """Layers from codes (N, in_channels, h, w) to images (N, out_channels, 16 h, 16 w) in [-1, 1], five of them.

    8 x width channels at the codes, half as many at each doubling. The paper projects one vector to the first
    features; here the first layer is a convolution over a map of codes, so that images may have any size.

    Args:
        in_channels: Numbers in a code.
        out_channels: C of the images.
        width: Channels before the last layer.
        upsampling: See :func:`medgan.networks.blocks.upsampled`.
        norm: See :func:`medgan.networks.blocks.norm_layer`.

    Source:
        Liu and Tuzel 2016, arXiv:1606.07536, with its PReLU; Radford 2015, arXiv:1511.06434.
    """
    layers: list[nn.Module] = [nn.Sequential(convolution(in_channels, 8 * width, kernel=3, norm=norm), Slope())]
    for level in range(DOUBLINGS - 1, 0, -1):
        before, after = width * 2**level, width * 2 ** (level - 1)
        layers.append(
            nn.Sequential(upsampled(before, after, upsampling=upsampling, norm=norm, transposed_kernel=4), Slope())
        )
    last = upsampled(width, out_channels, upsampling=upsampling, norm="none", transposed_kernel=4)
    return [*layers, nn.Sequential(last, nn.Tanh())]


def discriminator_layers(in_channels: int, *, size_px: int, width: int, norm: Norm) -> list[nn.Module]:
    """Layers from images (N, in_channels, size_px, size_px) to one logit each, (N, 1), five of them.

    Args:
        in_channels: C of the images.
        size_px: Their side, at least 16: the last layer looks at all places at once.
        width: Channels of the first layer; they double at each halving.
        norm: Between the first layer and the last; see :func:`medgan.networks.blocks.norm_layer`.

    Source:
        As for :func:`generator_layers`.
    """
    layers: list[nn.Module] = [_halved(in_channels, width, norm="none")]
    layers += [_halved(width * 2 ** (level - 1), width * 2**level, norm=norm) for level in range(1, DOUBLINGS)]
    side = size_px // 2**DOUBLINGS
    return [*layers, nn.Sequential(nn.Flatten(), nn.Linear(8 * width * side**2, 1))]


def _halved(in_channels: int, out_channels: int, *, norm: Norm) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1, bias=norm == "none"),
        norm_layer(norm, out_channels),
        Slope(),
    )
