"""DeepLabv3+ on MobileNetV2: segmentation with context at several scales."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from medgan.networks.mobilenet import MobileNetV2


class DeepLabV3Plus(nn.Module):
    """Encoder at stride 16, spatial pyramid of dilated convolutions, decoder at stride 4.

    The backbone keeps its batch norm. Pyramid and decoder use group norm: the pyramid's pooled branch has one value
    a channel, for which batch norm is undefined at a batch of one.

    Args:
        channels: Channels of the input, (N, channels, H, W) in [-1, 1]; H and W are multiples of 16.
        classes: Channels of the logits, (N, classes, H, W).
        width: Channels of pyramid and decoder; the paper has 256.
        width_multiplier: Width of the backbone, see :class:`~medgan.networks.mobilenet.MobileNetV2`.
        dropout: Share of the pyramid's channels that is dropped in training.

    Source:
        Chen et al. 2018, ECCV: section 3.1 (separable convolutions in pyramid and decoder, 48 low-level channels),
        rates 6, 12, 18 and image pooling of Chen et al. 2017, arXiv:1706.05587, section 3.3.
    """

    size_multiple = 16

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        width: int = 256,
        width_multiplier: float = 1.0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.backbone = MobileNetV2(channels, width_multiplier=width_multiplier, output_stride=16)
        self.pyramid = _Pyramid(self.backbone.high_channels, width, dropout=dropout)
        self.low = _convolution(self.backbone.low_channels, 48)
        self.decoder = nn.Sequential(
            _separable(width + 48, width, dilation=1),
            _separable(width, width, dilation=1),
            nn.Conv2d(width, classes, 1),
        )
        for part in (self.pyramid, self.low, self.decoder):
            _initialise(part)

    def forward(self, image: Tensor) -> Tensor:
        """Compute logits at the size of the image."""
        features = self.backbone(image)
        context = _resized(self.pyramid(features.high), features.low)
        logits = self.decoder(torch.cat([context, self.low(features.low)], dim=1))
        return _resized(logits, image)


class _Pyramid(nn.Module):
    def __init__(self, channels: int, width: int, *, dropout: float, rates: tuple[int, ...] = (6, 12, 18)) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [_convolution(channels, width), *(_separable(channels, width, dilation=rate) for rate in rates)]
        )
        self.pooled = _convolution(channels, width)
        self.project = nn.Sequential(_convolution((len(rates) + 2) * width, width), nn.Dropout2d(dropout))

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.pooled(x.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        return self.project(torch.cat([*(branch(x) for branch in self.branches), pooled], dim=1))


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


def _groups(channels: int) -> int:
    """Groups of at least 8 channels, 32 groups at most."""
    return next(groups for groups in (32, 16, 8, 4, 2, 1) if channels % groups == 0 and channels // groups >= 8)


def _convolution(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 1, bias=False), nn.GroupNorm(_groups(out), out), nn.ReLU())


def _separable(channels: int, out: int, *, dilation: int) -> nn.Sequential:
    depthwise = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, groups=channels, bias=False)
    return nn.Sequential(depthwise, nn.GroupNorm(_groups(channels), channels), nn.ReLU(), *_convolution(channels, out))


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
