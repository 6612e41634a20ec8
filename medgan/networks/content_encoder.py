"""The content encoder of MUNIT: where things are, and nothing of how they look."""

from torch import Tensor, nn

from medgan.networks.blocks import Norm, ResidualBlock, convolution


class ContentEncoder(nn.Module):
    """c7s1-64, d128, d256, R256 x blocks, for a width of 64; every convolution is followed by a normalisation.

    Instance normalisation takes each channel's mean and spread away, and with them the style. With 3 channels and 4
    blocks there are 5,383,360 parameters, less than with biases in front of the normalisations.

    Args:
        in_channels: C of the input.
        width: Channels of the first layer.
        blocks: Residual blocks.
        norm: See :func:`medgan.networks.blocks.norm_layer`.

    Source:
        Huang 2018, arXiv:1804.04732, appendix B.
    """

    def __init__(self, in_channels: int, *, width: int = 64, blocks: int = 4, norm: Norm = "instance") -> None:
        super().__init__()
        self.layers = nn.Sequential(
            convolution(in_channels, width, kernel=7, norm=norm),
            nn.ReLU(inplace=True),
            convolution(width, 2 * width, kernel=4, stride=2, norm=norm),
            nn.ReLU(inplace=True),
            convolution(2 * width, 4 * width, kernel=4, stride=2, norm=norm),
            nn.ReLU(inplace=True),
            *(ResidualBlock(4 * width, norm=norm) for _ in range(blocks)),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Encode.

        Args:
            image: (N, in_channels, H, W) in [-1, 1]; H and W are multiples of 4 and at least 8.

        Returns:
            (N, 4 * width, H / 4, W / 4).
        """
        content: Tensor = self.layers(image)
        return content
