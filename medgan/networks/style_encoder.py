"""The style encoder of MUNIT: how an image looks as a whole, in a few numbers."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from medgan.networks.blocks import convolution


class StyleEncoder(nn.Module):
    """c7s1-64, d128, d256, d256, d256, the mean over all pixels, fc8, for a width of 64.

    There is no normalisation: an instance norm would take away the very means and spreads that are the style. With 3
    channels and a style of 8 there are 2,764,936 parameters.

    Args:
        in_channels: C of the input.
        width: Channels of the first layer.
        style_size: Numbers of a style.

    Source:
        Huang 2018, arXiv:1804.04732, section 5.1 and appendix B.
    """

    def __init__(self, in_channels: int, *, width: int = 64, style_size: int = 8) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 4 * width, 4 * width]
        layers: list[nn.Module] = [convolution(in_channels, width, kernel=7, norm="none"), nn.ReLU(inplace=True)]
        for fewer, more in pairwise(widths):
            layers += [convolution(fewer, more, kernel=4, stride=2, norm="none"), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.code = nn.Linear(4 * width, style_size)

    def forward(self, image: Tensor) -> Tensor:
        """Encode.

        Args:
            image: (N, in_channels, H, W) in [-1, 1]; sides of at least 16. One that is no multiple of 16 is seen
                without its last rows or columns.

        Returns:
            Styles (N, style_size); N(0, 1) if training has succeeded.
        """
        found = F.adaptive_avg_pool2d(self.layers(image), 1).flatten(1)
        style: Tensor = self.code(found.to(self.code.weight.dtype))
        return style
