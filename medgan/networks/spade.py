"""SPADE: a generator whose normalisations are modulated, place by place, by a map of labels; and its style encoder.

MONAI's ``SPADENet`` was looked at and is not used: its latent grid is fixed, so that an image of another size than in
training is refused; its last block normalises as many channels as the image has, and its output is not bounded; there
is no spectral normalisation; without an image it draws noise, where a translation here must not depend on chance.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from medgan.networks.blocks import convolution
from medgan.networks.layers import InstanceNorm

HIDDEN = 128
"""Channels of the layer that reads the map in each normalisation."""


class Spade(nn.Module):
    """Normalises features, and gives them a scale and a shift that depend on the map at each pixel.

    The paper's parameter-free normalisation is batch normalisation over all devices. Here it is instance
    normalisation, which sees one image: the map's modulation gives back, place by place, what it takes away. The scale
    is 1 + gamma, so that a fresh layer passes its input on; a bias learns the same.

    Args:
        channels: C of the features.
        label_channels: Channels of the map.
        hidden: Channels in between.

    Source:
        Park 2019, arXiv:1903.07291, equation 1 and figure 2.
    """

    def __init__(self, channels: int, label_channels: int, *, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.norm = InstanceNorm(channels)
        self.shared = nn.Conv2d(label_channels, hidden, 3, padding=1)
        self.gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Modulate features (N, C, h, w) by a map (N, label_channels, H, W), which is resized to the nearest."""
        read = F.relu(self.shared(F.interpolate(labels, size=features.shape[-2:], mode="nearest")))
        modulated: Tensor = self.norm(features) * (1 + self.gamma(read)) + self.beta(read)
        return modulated


class SpadeResidualBlock(nn.Module):
    """Two SPADE, activation, 3 x 3 convolution; a learned skip where the channels change.

    Args:
        in_channels: C of the features.
        out_channels: C of the result.
        label_channels: Channels of the map.
        hidden: See :class:`Spade`.

    Source:
        Park 2019, appendix A, figure 11; the skip is a 1 x 1 convolution without bias, as in the published code.
    """

    def __init__(self, in_channels: int, out_channels: int, label_channels: int, *, hidden: int = HIDDEN) -> None:
        super().__init__()
        middle = min(in_channels, out_channels)
        self.spade_1 = Spade(in_channels, label_channels, hidden=hidden)
        self.conv_1 = nn.Conv2d(in_channels, middle, 3, padding=1)
        self.spade_2 = Spade(middle, label_channels, hidden=hidden)
        self.conv_2 = nn.Conv2d(middle, out_channels, 3, padding=1)
        self.learns_skip = in_channels != out_channels
        if self.learns_skip:
            self.spade_skip = Spade(in_channels, label_channels, hidden=hidden)
            self.conv_skip = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """(N, in_channels, h, w) and a map (N, label_channels, H, W) to (N, out_channels, h, w)."""
        found = self.conv_1(F.leaky_relu(self.spade_1(features, labels), 0.2))
        found = self.conv_2(F.leaky_relu(self.spade_2(found, labels), 0.2))
        skip = self.conv_skip(self.spade_skip(features, labels)) if self.learns_skip else features
        summed: Tensor = skip + found
        return summed


class SpadeGenerator(nn.Module):
    """A style vector laid out as a small grid, doubled and modulated by the map at every size.

    For 256 px and a width of 64 these are the paper's seven blocks of 1024, 1024, 1024, 512, 256, 128 and 64 channels
    on grids of 4 to 256 px. Pixels are repeated and then convolved, so that there is no checkerboard.

    Args:
        label_channels: Channels of the map.
        out_channels: C of the image.
        size_px: Side of the training images; the grid that the style is laid out on has the side this gives.
        width: Channels of the last block.
        style_size: Length of the style vector.
        hidden: See :class:`Spade`.

    Source:
        Park 2019, appendix A, figure 12.
    """

    def __init__(
        self,
        label_channels: int,
        out_channels: int,
        *,
        size_px: int,
        width: int = 64,
        style_size: int = 256,
        hidden: int = HIDDEN,
    ) -> None:
        super().__init__()
        self.doublings = doublings(size_px)
        self.grid_px = -(-size_px // 2**self.doublings)
        widths = [width * min(16, 2 ** (self.doublings - level)) for level in range(self.doublings + 1)]
        self.first = nn.Linear(style_size, widths[0] * self.grid_px**2)
        self.blocks = nn.ModuleList(
            SpadeResidualBlock(widths[max(level - 1, 0)], channels, label_channels, hidden=hidden)
            for level, channels in enumerate(widths)
        )
        self.last = nn.Conv2d(width, out_channels, 3, padding=1, padding_mode="reflect")

    def forward(self, labels: Tensor, style: Tensor) -> Tensor:
        """Draw an image.

        Args:
            labels: Map (N, label_channels, H, W). Where a side is no multiple of 2 ** doublings, its edge pixels are
                repeated as far as needed, and the frame is cut off again.
            style: (N, style_size); zeros are the mean of all styles. On another size than in training, the grid that
                it is laid out on is stretched.

        Returns:
            (N, out_channels, H, W) in [-1, 1].
        """
        height, width = labels.shape[-2:]
        rows, columns = (-side % 2**self.doublings for side in (height, width))
        padded = F.pad(labels, (0, columns, 0, rows), mode="replicate") if rows or columns else labels
        grid = (padded.shape[-2] // 2**self.doublings, padded.shape[-1] // 2**self.doublings)
        features = self.first(style).unflatten(1, (-1, self.grid_px, self.grid_px))
        if grid != (self.grid_px, self.grid_px):
            features = F.interpolate(features, size=grid, mode="bilinear", align_corners=False)
        for level, block in enumerate(self.blocks):
            features = block(F.interpolate(features, scale_factor=2) if level else features, padded)
        return torch.tanh(self.last(F.leaky_relu(features, 0.2)))[..., :height, :width]


class ReferenceEncoder(nn.Module):
    """An image to the mean and the log variance of its style.

    Convolutions of stride 2 with instance normalisation, as many as give a grid of about 4 px; then a linear layer
    each. At 256 px and a width of 64: 64, 128, 256, 512, 512, 512 channels and 8192 numbers, as in the paper.

    Args:
        in_channels: C of the image.
        size_px: Side of the training images; others are resized to it.
        width: Channels of the first layer.
        style_size: Length of the style vector.

    Source:
        Park 2019, appendix A, figure 14.
    """

    def __init__(self, in_channels: int, *, size_px: int, width: int = 64, style_size: int = 256) -> None:
        super().__init__()
        self.size_px = size_px
        halvings = doublings(size_px)
        widths = [in_channels, *(width * min(8, 2**level) for level in range(halvings))]
        self.body = nn.Sequential(
            *(
                nn.Sequential(convolution(came, goes, kernel=3, stride=2, norm="instance"), nn.LeakyReLU(0.2))
                for came, goes in pairwise(widths)
            )
        )
        grid = size_px
        for _ in range(halvings):
            grid = -(-grid // 2)
        self.mean = nn.Linear(widths[-1] * grid**2, style_size)
        self.log_variance = nn.Linear(widths[-1] * grid**2, style_size)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Read an image's style.

        Args:
            image: (N, in_channels, H, W) in [-1, 1].

        Returns:
            Mean and log variance, (N, style_size) each.
        """
        wanted = (self.size_px, self.size_px)
        if image.shape[-2:] != wanted:
            image = F.interpolate(image, size=wanted, mode="bilinear", align_corners=False, antialias=True)
        found = self.body(image).flatten(1)
        return self.mean(found), self.log_variance(found)


def doublings(size_px: int) -> int:
    """How often a grid of 4 to 7 px is doubled to a training image, at most 6 times as in the paper.

    Example:
        >>> [doublings(size) for size in (32, 64, 96, 256, 512)]
        [3, 4, 4, 6, 6]
    """
    return max(1, min(6, int(math.log2(size_px / 4))))
