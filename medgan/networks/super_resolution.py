"""Generators that make a larger image of a small one: SRResNet, and that of Johnson's perceptual losses."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from medgan.networks.blocks import QUIET, Drawn, Norm, ResidualBlock, convolution, upsampled
from medgan.networks.initialisation import initialise_by_width
from medgan.networks.layers import DoublingConv2d, ReflectedConv2d, Slope
from medgan.networks.reduction import enlarged

SubPixel = Literal["resize", "sub-pixel"]
"""``"sub-pixel"`` is published: a convolution to four times the channels, laid out as twice the rows and columns. It
starts so that its four kinds of pixels are alike (ICNR); training may drive them apart, into a checkerboard.
``"resize"`` repeats pixels and convolves: every kind of pixel sees the same kernel, to the end of training."""


class SRResNet(nn.Module):
    """k9n64, PReLU, residual blocks k3n64, k3n64 and a sum over all of them, doubled once or more, k9nC.

    With ``upsampling="sub-pixel"``, 16 blocks, a width of 64 and no normalisation it has 1,545,238 parameters for 3
    channels and a factor of 4; batch normalisation would add 4,224.

    Without a normalisation the sum of many blocks would grow with each: their second convolutions start at a tenth of
    He's spread, and so does the last layer.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        factor: 2, 4 or 8: how many times as many rows and columns come out.
        width: Channels of every layer.
        blocks: Residual blocks.
        upsampling: How the image grows.
        norm: See :func:`medgan.networks.blocks.norm_layer`. Published with batch normalisation, which Lim 2017 found
            to harm: it takes away the range that is to be kept, and here it would look across a batch.
        predicts: ``"change"`` adds the last layer to the middle slice of the input, interpolated; it starts there.

    Source:
        Ledig 2017, arXiv:1609.04802, figure 4; Lim 2017, arXiv:1707.02921; Wang 2018, arXiv:1809.00219 (smaller
        start); Kim 2016, arXiv:1511.04587 (change); Shi 2016, arXiv:1609.05158; Aitken 2017, arXiv:1707.02937 (ICNR).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        factor: int = 4,
        width: int = 64,
        blocks: int = 16,
        upsampling: SubPixel = "resize",
        norm: Norm = "none",
        predicts: Drawn = "image",
    ) -> None:
        super().__init__()
        self.factor, self.out_channels = factor, out_channels
        self.predicts: Drawn = predicts
        self.first = nn.Sequential(_first(in_channels, width), Slope())
        self.residuals = nn.Sequential(*(_SlopedBlock(width, norm=norm) for _ in range(blocks)))
        self.joined = convolution(width, width, kernel=3, norm=norm)
        steps = [layer for _ in range(int(math.log2(factor))) for layer in (_doubled(width, upsampling), Slope())]
        self.larger = nn.Sequential(*steps)
        self.last = ReflectedConv2d(width, out_channels, 9)
        _start(self, quiet=[*self.residuals, self.last])
        if predicts == "change":
            nn.init.zeros_(self.last.weight)

    def forward(self, image: Tensor) -> Tensor:
        """Super-resolve.

        Args:
            image: (N, in_channels, H, W) in [-1, 1], at least 3 x 3.

        Returns:
            (N, out_channels, factor * H, factor * W), near [-1, 1] but not held to it: the published network ends in a
            convolution.
        """
        first = self.first(image)
        drawn: Tensor = self.last(self.larger(first + self.joined(self.residuals(first))))
        if self.predicts == "image":
            return drawn
        start = (image.shape[1] - self.out_channels) // 2
        return drawn + enlarged(image[:, start : start + self.out_channels], factor=self.factor)


class FeedForwardEnlarger(nn.Module):
    """c9s1-64, R64 x 4, u64 twice (factor 4) or three times (factor 8), c9s1-C, tanh, for a width of 64.

    The published ``u64`` is a 3 x 3 convolution of stride 1/2; here pixels are repeated, then convolved. What the last
    layer sums up is divided by the root of its inputs, as in
    :class:`medgan.networks.transform_network.TransformNetwork` and for its reason.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        factor: 2, 4 or 8.
        width: Channels of every layer.
        blocks: Residual blocks.
        norm: See :func:`medgan.networks.blocks.norm_layer`; published with batch normalisation.

    Source:
        Johnson 2016, arXiv:1603.08155, section 3.1 and supplement, table 2.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        factor: int = 4,
        width: int = 64,
        blocks: int = 4,
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [_first(in_channels, width, norm=norm), nn.ReLU(inplace=True)]
        residuals = [ResidualBlock(width, norm=norm) for _ in range(blocks)]
        layers += residuals
        for _ in range(int(math.log2(factor))):
            layers += [upsampled(width, width, upsampling="resize", norm=norm, transposed_kernel=3), nn.ReLU()]
        last = ReflectedConv2d(width, out_channels, 9)
        self.layers = nn.Sequential(*layers, last)
        _start(self, quiet=[*residuals, last])
        self._quiet = (81 * width) ** -0.5
        with torch.no_grad():
            last.weight.div_(self._quiet)  # starts as it would undivided

    def forward(self, image: Tensor) -> Tensor:
        """Super-resolve (N, in_channels, H, W), at least 3 x 3, to (N, out_channels, factor H, factor W) in [-1, 1]."""
        return torch.tanh(self.layers(image) * self._quiet)


class _SlopedBlock(nn.Module):
    """Convolution, PReLU, convolution, and the sum with the input."""

    def __init__(self, channels: int, *, norm: Norm) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(channels, channels, kernel=3, norm=norm),
            Slope(),
            convolution(channels, channels, kernel=3, norm=norm),
        )

    def forward(self, features: Tensor) -> Tensor:
        added: Tensor = features + self.body(features)
        return added


def _first(in_channels: int, width: int, *, norm: Norm = "none") -> nn.Module:
    """The first 9 x 9 convolution, whose edge is repeated: a coarse image may be smaller than what it would reflect."""
    layer = convolution(in_channels, width, kernel=9, norm=norm)
    layer[0] = nn.Conv2d(in_channels, width, 9, padding=4, padding_mode="replicate", bias=norm == "none")
    return layer


def _doubled(width: int, upsampling: SubPixel) -> nn.Module:
    if upsampling == "resize":
        return DoublingConv2d(width, width)
    return nn.Sequential(nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2))


@torch.no_grad()
def _start(network: nn.Module, *, quiet: Sequence[nn.Module]) -> None:
    """He's weights, the last of some parts at a tenth; behind a shuffle four kernels alike, as of repeated pixels."""
    initialise_by_width(network)
    for part in quiet:
        _convolutions(part)[-1].weight.mul_(QUIET)
    for module in network.modules():
        if isinstance(module, nn.Sequential) and isinstance(module[-1], nn.PixelShuffle):
            weight = _convolutions(module)[0].weight
            weight.copy_(weight[::4].repeat_interleave(4, 0))


def _convolutions(part: nn.Module) -> list[nn.Conv2d]:
    return [module for module in part.modules() if isinstance(module, nn.Conv2d)]
