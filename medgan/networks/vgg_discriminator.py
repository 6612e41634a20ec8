"""SRGAN's discriminator: VGG's way down, then one logit for the whole image."""

from torch import Tensor, nn

from medgan.errors import SettingsError
from medgan.networks.blocks import Norm, norm_layer

SMALLEST_PX = 32
_GRID = 6  # of 512 channels: what four halvings leave of the paper's 96 pixels


class VGGDiscriminator(nn.Module):
    """k3n64s1, k3n64s2, then 128, 256 and 512 likewise; a layer of 1,024 and one of 1, for a width of 64.

    The published network is for 96 x 96 pixels, which come to 6 x 6 before the dense layers. For any other size the
    features are averaged over a grid of 6 x 6 cells (repeated, where there are fewer pixels): at 96 it is the published
    network. It has 23,559,937 parameters for 3 channels, of the published 23,565,505: the normalisation has no scales,
    and there are no biases in front of it.

    Args:
        in_channels: C of what is judged.
        width: Channels of the first layer.
        norm: In place of the batch normalisation from the second layer on; the default looks at one sample.

    Source:
        Ledig 2017, arXiv:1609.04802, figure 4.
    """

    def __init__(self, in_channels: int, *, width: int = 64, norm: Norm = "instance") -> None:
        super().__init__()
        came = in_channels
        layers: list[nn.Module] = []
        for number in range(8):
            out, stride = width * 2 ** (number // 2), 1 + number % 2
            kind: Norm = norm if number else "none"
            layers += [nn.Conv2d(came, out, 3, stride=stride, padding=1, bias=kind == "none"), norm_layer(kind, out)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
            came = out
        self.layers = nn.Sequential(*layers)
        self.grid = nn.AdaptiveAvgPool2d(_GRID)
        hidden = 16 * width
        dense = [nn.Flatten(), nn.Linear(came * _GRID**2, hidden), nn.LeakyReLU(0.2, inplace=True)]
        self.dense = nn.Sequential(*dense, nn.Linear(hidden, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Judge images (N, in_channels, H, W) in [-1, 1], sides of at least 32: a logit each, (N, 1), high for real."""
        judged: Tensor = self.dense(self.grid(self.layers(image)))
        return judged


def check_size_fits(size_px: int) -> None:
    """Refuse training images that leave nothing to normalise.

    Raises:
        SettingsError: S210.
    """
    if size_px < SMALLEST_PX:
        raise SettingsError(
            "S210",
            "the training images are too small for the discriminator",
            got=f"{size_px} px",
            expected=f"at least {SMALLEST_PX} px",
            remedy="take a larger crop",
        )
