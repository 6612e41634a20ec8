"""The residual generator of CycleGAN: down twice, residual blocks, up twice."""

from collections.abc import Collection, Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from medgan.errors import GeometryError
from medgan.networks.blocks import (
    Norm,
    ResidualBlock,
    Upsampling,
    activated,
    begin_quietly,
    changed,
    convolution,
    upsampled,
)

Prediction = Literal["image", "change", "light"]
"""What the last layer says: the image itself, as published; what is to be changed in the input; or its light alone."""

Padding = Literal["reflect", "zeros"]

_LIGHT_CELLS = 8
"""Cells along each side of the grid that light varies on: an eighth of a fundus photograph, far over a vessel."""


class ResNetGenerator(nn.Module):
    """c7s1-64, d128, d256, R256 x blocks, u128, u64, c7s1-C, tanh, for a width of 64.

    Every convolution pads by reflection; those in front of a normalisation have no bias. With
    ``upsampling="transposed"``, ``down_padding="zeros"`` and 9 blocks this is the published network less those biases:
    11,372,931 parameters of the published code's 11,378,179 for 3 channels.

    ``feature_channels`` names the layers that :meth:`features` gives, and their channels: ``pixels``, the input itself;
    ``down-1`` and ``down-2``, the convolutions that halve the image, in front of their normalisation; ``block-1`` and
    so on, the residual blocks. They see 1, 9, 13, and from 29 on 16 more a block, pixels each way.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        width: Channels of the first layer.
        blocks: Residual blocks; see :func:`default_blocks`.
        upsampling: See :func:`medgan.networks.blocks.upsampled`.
        norm: See :func:`medgan.networks.blocks.norm_layer`.
        down_padding: How the two convolutions that halve the image pad; the published code has zeros.
        dropout: Share dropped within residual blocks in training; CycleGAN has none.
        predicts: ``"change"`` adds the last layer, which begins small, to the input before the tanh, so that a fresh
            network gives nearly its input back; it needs as many channels out as in. ``"light"`` multiplies
            the input's light by a smooth factor and adds a smooth offset, of 8 x 8 cells between which it interpolates:
            it can brighten, darken and unveil, but draws nothing. It needs the same.

    Source:
        Zhu 2017, arXiv:1703.10593, appendix 7.2; Johnson 2016, arXiv:1603.08155.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int = 64,
        blocks: int = 9,
        upsampling: Upsampling = "resize",
        norm: Norm = "instance",
        down_padding: Padding = "reflect",
        dropout: float = 0.0,
        predicts: Prediction = "image",
    ) -> None:
        super().__init__()
        if predicts != "image" and in_channels != out_channels:
            raise GeometryError(
                "G211", "a change needs as many channels out as in", got=f"{in_channels} in, {out_channels} out"
            )
        self.predicts: Prediction = predicts
        self.feature_channels = {"pixels": in_channels, "down-1": 2 * width, "down-2": 4 * width}
        self.feature_channels |= {f"block-{number}": 4 * width for number in range(1, blocks + 1)}
        reflect = down_padding == "reflect"
        self.encoder = nn.Sequential(
            *activated(convolution(in_channels, width, kernel=7, norm=norm)),
            *activated(convolution(width, 2 * width, kernel=3, stride=2, norm=norm, reflect=reflect)),
            *activated(convolution(2 * width, 4 * width, kernel=3, stride=2, norm=norm, reflect=reflect)),
        )
        self.residuals = nn.Sequential(*(ResidualBlock(4 * width, norm=norm, dropout=dropout) for _ in range(blocks)))
        self.decoder = nn.Sequential(
            *activated(upsampled(4 * width, 2 * width, upsampling=upsampling, norm=norm, transposed_kernel=3)),
            *activated(upsampled(2 * width, width, upsampling=upsampling, norm=norm, transposed_kernel=3)),
            convolution(width, 2 * out_channels if predicts == "light" else out_channels, kernel=7, norm="none"),
        )
        if predicts == "change":
            begin_quietly(self.decoder)

    def forward(self, image: Tensor) -> Tensor:
        """Generate an image.

        Args:
            image: (N, in_channels, H, W) in [-1, 1]; H and W are multiples of 4 and at least 8.

        Returns:
            (N, out_channels, H, W) in [-1, 1].
        """
        return self._drawn(image, self.residuals(self.encoder(image)))

    def features(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """What some layers of the encoding half give; nothing is computed beyond the last of them.

        Args:
            image: (N, in_channels, H, W) in [-1, 1]; H and W are multiples of 4 and at least 8.
            layers: Some of ``feature_channels``.

        Returns:
            (N, channels, h, w) by layer, in the network's order.
        """
        found: dict[str, Tensor] = {}
        for name, made in self._walk(image):
            if name in layers:
                found[name] = made
            if len(found) == len(layers):
                break
        return found

    def forward_with_features(self, image: Tensor, layers: Collection[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Generate an image, and what some layers gave on the way: :meth:`forward` and :meth:`features` in one pass."""
        found: dict[str, Tensor] = {}
        made = image
        for name, made in self._walk(image):
            if name in layers:
                found[name] = made
        return self._drawn(image, made), found

    def _walk(self, image: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Every named layer and what it gives, each computed when it is asked for."""
        yield "pixels", image
        made = tapped = image
        for number, layer in enumerate(self.encoder):
            if isinstance(layer, nn.Sequential):
                made = tapped = layer[0](made)
                if number:
                    yield f"down-{number // 2}", tapped
                made = layer[1](made)
            else:
                # In place it would change what was given, where no normalisation stands between.
                made = made.relu() if made is tapped else layer(made)
        for number, block in enumerate(self.residuals, start=1):
            made = block(made)
            yield f"block-{number}", made

    def _drawn(self, image: Tensor, features: Tensor) -> Tensor:
        drawn = self.decoder(features)
        if self.predicts == "light":
            return _relit(image, drawn)
        return changed(image, drawn) if self.predicts == "change" else torch.tanh(drawn)


def default_blocks(size_px: int) -> int:
    """Residual blocks that the paper takes for a training image's side: 6 up to 128, else 9."""
    return 6 if size_px <= 128 else 9


def _relit(image: Tensor, drawn: Tensor) -> Tensor:
    """An image's light (0 for -1) times e to the power of one smooth field (-2 to 2), and another (-1 to 1) added."""
    coarse = F.adaptive_avg_pool2d(drawn.float(), _LIGHT_CELLS)
    # A tenth, so that a fresh network changes little: features behind a ReLU are not zero in the mean.
    factor, offset = F.interpolate(0.1 * coarse, size=image.shape[-2:], mode="bilinear").chunk(2, dim=1)
    light = (image.float() + 1) / 2 * (2 * torch.tanh(factor / 2)).exp() + torch.tanh(offset)
    # Where a step went beyond black or white, a gradient still says which way is back.
    held = light.clamp(0, 1).detach() + (light - light.detach())
    return held * 2 - 1
