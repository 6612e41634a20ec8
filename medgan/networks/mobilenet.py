"""MobileNetV2: a light network for classes, or for features at a chosen stride."""

from typing import Literal, NamedTuple

from torch import Tensor, nn

# expansion, channels, repeats, stride: Sandler et al. 2018, table 2
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class Features(NamedTuple):
    """What a segmentation head needs.

    Args:
        low: (N, C, H / 4, W / 4).
        high: (N, C, H / output_stride, W / output_stride).
    """

    low: Tensor
    high: Tensor


class MobileNetV2(nn.Module):
    """MobileNetV2 without its classifier.

    Args:
        channels: Channels of the input, (N, channels, H, W) in [-1, 1]; H and W are multiples of its output stride.
        width_multiplier: Factor on the channels of every layer; those are rounded to multiples of 8.
        output_stride: How much smaller the last features are; past it strides become dilations, so that a
            segmentation keeps its detail (Chen et al. 2018).

    Source:
        Sandler et al. 2018, CVPR, table 2 and section 6.1. At width 1, with the classifier for 1,000 classes, 3.5
        million parameters.
    """

    def __init__(self, channels: int, *, width_multiplier: float = 1.0, output_stride: Literal[8, 16, 32] = 16) -> None:
        super().__init__()
        width = _rounded(32 * width_multiplier)
        self.stem = _convolution(channels, width, kernel=3, stride=2)
        stages, total_stride, dilation = [], 2, 1
        for expansion, stage_channels, repeats, wanted_stride in _STAGES:
            out = _rounded(stage_channels * width_multiplier)
            stride, entry_dilation = wanted_stride, dilation
            if total_stride * wanted_stride > output_stride:
                stride, dilation = 1, dilation * wanted_stride
            total_stride *= stride
            blocks = [_InvertedResidual(width, out, expansion=expansion, stride=stride, dilation=entry_dilation)]
            blocks += [
                _InvertedResidual(out, out, expansion=expansion, stride=1, dilation=dilation)
                for _ in range(repeats - 1)
            ]
            stages.append(nn.Sequential(*blocks))
            width = out
        self.stages = nn.ModuleList(stages)
        self.low_channels = _rounded(24 * width_multiplier)
        self.high_channels = width
        _initialise(self)

    def forward(self, image: Tensor) -> Features:
        """Compute features at stride 4 and at the output stride."""
        x = self.stem(image)
        low = x
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number == 1:
                low = x
        return Features(low=low, high=x)


class MobileNetV2Classifier(nn.Module):
    """MobileNetV2 with its head: (N, channels, H, W) in [-1, 1] to logits (N, classes).

    Args:
        channels: Channels of the input.
        classes: Channels of the logits.
        width_multiplier: See :class:`MobileNetV2`; the last layer is never narrower than 1,280 (section 6.1).
        dropout: Share of the pooled features that is dropped in training.
    """

    def __init__(self, channels: int, classes: int, *, width_multiplier: float = 1.0, dropout: float = 0.2) -> None:
        super().__init__()
        self.backbone = MobileNetV2(channels, width_multiplier=width_multiplier, output_stride=32)
        width = _rounded(1280 * max(1.0, width_multiplier))
        self.head = _convolution(self.backbone.high_channels, width, kernel=1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, classes)
        _initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """Compute logits."""
        pooled = self.head(self.backbone(image).high).mean(dim=(2, 3))
        return self.classifier(self.dropout(pooled))


class _InvertedResidual(nn.Module):
    def __init__(self, channels: int, out: int, *, expansion: int, stride: int, dilation: int) -> None:
        super().__init__()
        hidden = channels * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [_convolution(channels, hidden, kernel=1)]
        layers += [
            _convolution(hidden, hidden, kernel=3, stride=stride, dilation=dilation, groups=hidden),
            nn.Conv2d(hidden, out, 1, bias=False),
            nn.BatchNorm2d(out),
        ]
        self.layers = nn.Sequential(*layers)
        self.is_residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.is_residual else self.layers(x)


def _convolution(
    channels: int, out: int, *, kernel: int, stride: int = 1, dilation: int = 1, groups: int = 1
) -> nn.Sequential:
    padding = dilation * (kernel - 1) // 2
    return nn.Sequential(
        nn.Conv2d(channels, out, kernel, stride, padding, dilation, groups, bias=False), nn.BatchNorm2d(out), nn.ReLU6()
    )


def _rounded(channels: float) -> int:
    """Round to a multiple of 8, never down by more than a tenth."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
