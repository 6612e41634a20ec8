"""The decoder of MUNIT: an image out of a content and a style."""

import torch
from torch import Tensor, nn

from medgan.networks.adain import AdaptiveResidualBlock
from medgan.networks.blocks import Norm, convolution


class StyleDecoder(nn.Module):
    """R256 x blocks whose scales and shifts a perceptron makes of the style, u128, u64, c7s1-C, for a width of 64.

    ``u`` repeats pixels, then convolves 5 x 5, which leaves no checkerboard; layer normalisation there keeps the
    channels' means and spreads that the style has set, where an instance norm would take them away.

    Args:
        out_channels: C of the output.
        width: Channels before the last layer.
        blocks: Residual blocks.
        style_size: Numbers of a style.
        hidden: Width of the perceptron, which has two hidden layers.
        norm: What follows the upsampling convolutions.

    Source:
        Huang 2018, arXiv:1804.04732, section 5.1 and appendix B.
    """

    def __init__(
        self,
        out_channels: int,
        *,
        width: int = 64,
        blocks: int = 4,
        style_size: int = 8,
        hidden: int = 256,
        norm: Norm = "layer",
    ) -> None:
        super().__init__()
        self.residuals = nn.ModuleList([AdaptiveResidualBlock(4 * width) for _ in range(blocks)])
        self.look = nn.Sequential(
            nn.Linear(style_size, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, blocks * 16 * width),
        )
        self.decoder = nn.Sequential(
            *_doubled(4 * width, 2 * width, norm=norm),
            *_doubled(2 * width, width, norm=norm),
            convolution(width, out_channels, kernel=7, norm="none"),
        )

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """Generate images.

        Args:
            content: (N, 4 * width, h, w), from :class:`medgan.networks.content_encoder.ContentEncoder`.
            style: (N, style_size).

        Returns:
            (N, out_channels, 4 h, 4 w) in [-1, 1].
        """
        looks = self.look(style).chunk(len(self.residuals), dim=1)
        for block, look in zip(self.residuals, looks, strict=True):
            content = block(content, look)
        return torch.tanh(self.decoder(content))


def _doubled(in_channels: int, out_channels: int, *, norm: Norm) -> tuple[nn.Module, ...]:
    convolved = convolution(in_channels, out_channels, kernel=5, norm=norm)
    return nn.Upsample(scale_factor=2), convolved, nn.ReLU(inplace=True)
