"""Pieces that several image networks are built of."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from medgan.networks.layers import DoublingConv2d, InstanceNorm, LayerNorm, ReflectedConv2d

INSIDE = 0.999
"""An image times this has a finite inverse of tanh."""

QUIET = 0.1
"""Of other layers' spread: where a last layer, or one that ends a sum, begins, so that it adds little at first."""

Norm = Literal["instance", "instance-affine", "group", "layer", "none"]
Upsampling = Literal["resize", "transposed"]
Drawn = Literal["image", "change"]
"""What a last layer says: the image itself, as published, or the change to an image that is there already."""


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """The normalisation of a layer; every kind looks at one sample at a time, so a batch may be put together freely.

    Args:
        norm: ``"instance"`` (no affine, as published for CycleGAN) takes away each channel's mean and spread, and with
            them an image's own brightness. ``"instance-affine"`` learns a scale and a shift besides, as batch
            normalisation does. ``"group"`` (32 groups, affine) keeps how channels of more than 32 stand to each
            other, and ``"layer"`` (one group, affine) keeps it for all, in narrow networks too.
        channels: Channels of the layer.

    Source:
        Ulyanov 2016, arXiv:1607.08022; Wu and He 2018, arXiv:1803.08494; Ba 2016, arXiv:1607.06450.
    """
    if norm == "instance":
        return InstanceNorm(channels)
    if norm == "instance-affine":
        return InstanceNorm(channels, affine=True)
    if norm == "group":
        return nn.GroupNorm(math.gcd(32, channels), channels)
    if norm == "layer":
        return LayerNorm(channels)
    return nn.Identity()


def convolution(
    in_channels: int, out_channels: int, *, kernel: int, norm: Norm, stride: int = 1, reflect: bool = True
) -> nn.Sequential:
    """A convolution that keeps H and W (or divides them by the stride), and its normalisation.

    There is no bias where a normalisation follows: it would be taken away again, and its true gradient is zero.

    Args:
        in_channels: C of the input (N, C, H, W).
        out_channels: C of the output.
        kernel: Side of the kernel: odd, or even with a stride of 2.
        norm: What follows the convolution.
        stride: Step of the kernel.
        reflect: Pad by reflection, else with zeros, which a network sees as a grey frame.
    """
    bias = norm == "none"
    layer = (
        ReflectedConv2d(in_channels, out_channels, kernel, stride=stride, bias=bias)
        if reflect
        else nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=(kernel - 1) // 2, bias=bias)
    )
    return nn.Sequential(layer, norm_layer(norm, out_channels))


def upsampled(
    in_channels: int, out_channels: int, *, upsampling: Upsampling, norm: Norm, transposed_kernel: Literal[3, 4]
) -> nn.Sequential:
    """Twice as many rows and columns, and a normalisation.

    Args:
        in_channels: C of the input (N, C, H, W).
        out_channels: C of the output (N, C, 2 H, 2 W).
        upsampling: ``"resize"`` repeats pixels, then convolves 3 x 3 with reflected edges. ``"transposed"`` is as
            published, and leaves a checkerboard that a reader may take for texture.
        norm: What follows.
        transposed_kernel: Kernel of the transposed convolution: 3 in CycleGAN, 4 in pix2pix.

    Source:
        Odena 2016, Deconvolution and checkerboard artifacts, doi:10.23915/distill.00003.
    """
    if upsampling == "resize":
        doubling = DoublingConv2d(in_channels, out_channels, bias=norm == "none")
        return nn.Sequential(doubling, norm_layer(norm, out_channels))
    transposed = nn.ConvTranspose2d(
        in_channels,
        out_channels,
        transposed_kernel,
        stride=2,
        padding=1,
        output_padding=4 - transposed_kernel,
        bias=norm == "none",
    )
    return nn.Sequential(transposed, norm_layer(norm, out_channels))


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions whose result is added to the input, (N, C, H, W) to the same shape.

    Source:
        Johnson 2016, arXiv:1603.08155, with no activation after the sum (Gross and Wilber 2016).
    """

    def __init__(self, channels: int, *, norm: Norm, dropout: float = 0.0) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(channels, channels, kernel=3, norm=norm),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout) if dropout else nn.Identity(),
            convolution(channels, channels, kernel=3, norm=norm),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Add what the two convolutions find to the features."""
        return features + self.body(features)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode for the length of a block, then back into the mode it was in."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def activated(layer: nn.Sequential) -> tuple[nn.Module, ...]:
    """A layer and a rectifier behind it."""
    return layer, nn.ReLU(inplace=True)


def begin_quietly(layer: nn.Module) -> None:
    """Let the last convolution of a layer begin with a tenth of the others' spread, so that a change begins small."""
    last = [module for module in layer.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)][-1]
    last.starts_at = QUIET  # type: ignore[assignment]


def changed(image: Tensor, drawn: Tensor) -> Tensor:
    """An image with what a network drew added before the tanh: where that is zero it comes back to within 0.001.

    Args:
        image: (N, C, H, W) in [-1, 1].
        drawn: (N, C, H, W), any values.

    Returns:
        (N, C, H, W) in [-1, 1].
    """
    return torch.tanh(drawn + torch.atanh(INSIDE * image.float()))
