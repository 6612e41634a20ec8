"""W-Net: two tiny U-Nets, the second of which mends what the first found; for retinal vessels."""

import torch
from torch import Tensor, nn


class VesselWNet(nn.Module):
    """Images (N, 3, H, W) in [0, 1] to logits of vessels (N, 1, H, W); H and W are multiples of 4.

    The names of its layers are those of the published weights, which load as they are: 68,482 parameters.

    Source:
        Galdran 2022, doi:10.1038/s41598-022-09675-y (arXiv:2009.01907), figure 2.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unet1 = _TinyUNet(3)
        self.unet2 = _TinyUNet(4)

    def forward(self, image: Tensor) -> Tensor:
        """Find vessels, then look again at the image beside what was found."""
        first = self.unet1(image)
        found: Tensor = self.unet2(torch.cat([image, first], dim=1))
        return found


class _TinyUNet(nn.Module):
    """Three levels of 8, 16 and 32 channels."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.first = _Block(in_channels, 8)
        self.down_path = nn.ModuleList([_Block(8, 16), _Block(16, 32)])
        self.up_path = nn.ModuleList([_Up(32, 16), _Up(16, 8)])
        self.final = nn.Conv2d(8, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        features = self.first(image)
        skips = []
        for down in self.down_path:
            skips.append(features)
            features = down(nn.functional.max_pool2d(features, 2))
        for up in self.up_path:
            features = up(features, skips.pop())
        logits: Tensor = self.final(features)
        return logits


class _Block(nn.Module):
    """Two convolutions, and a way past them."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.shortcut = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels))
        self.block = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        added: Tensor = self.block(features) + self.shortcut(features)
        return added


class _Up(nn.Module):
    """Twice as large, beside the features of the same size on the way down."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.up_layer = nn.ModuleDict(
            {"block": nn.ModuleList([nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)])}
        )
        self.conv_bridge_layer = nn.ModuleDict(
            {
                "block": nn.Sequential(
                    nn.Conv2d(out_channels, out_channels, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(out_channels)
                )
            }
        )
        self.conv_layer = _Block(2 * out_channels, out_channels)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        larger = self.up_layer["block"][0](features)  # type: ignore[index]
        bridged = self.conv_bridge_layer["block"](skip)
        joined: Tensor = self.conv_layer(torch.cat([larger, bridged], dim=1))
        return joined
