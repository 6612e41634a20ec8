"""The encoders and decoders of UNIT, whose middle layers belong to both domains."""

import torch
from torch import Tensor, nn

from medgan.networks.blocks import Norm, ResidualBlock, Upsampling, convolution, upsampled


class LatentEncoder(nn.Module):
    """One domain's layers in front of the latent space: three convolutions and residual blocks.

    Args:
        in_channels: C of the input.
        width: Channels of the first layer.
        blocks: Residual blocks of its own; the paper has 3, and a fourth that both domains share.
        norm: See :func:`medgan.networks.blocks.norm_layer`.

    Source:
        Liu 2017, arXiv:1703.00848, section 4 and its table of the architecture.
    """

    def __init__(self, in_channels: int, *, width: int = 64, blocks: int = 3, norm: Norm = "instance") -> None:
        super().__init__()
        self.layers = nn.Sequential(
            convolution(in_channels, width, kernel=7, norm=norm),
            nn.LeakyReLU(0.01, inplace=True),
            convolution(width, 2 * width, kernel=3, stride=2, norm=norm),
            nn.LeakyReLU(0.01, inplace=True),
            convolution(2 * width, 4 * width, kernel=3, stride=2, norm=norm),
            nn.LeakyReLU(0.01, inplace=True),
            shared_blocks(blocks, width=width, norm=norm),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Encode.

        Args:
            image: (N, in_channels, H, W) in [-1, 1]; H and W are multiples of 4 and at least 8.

        Returns:
            (N, 4 * width, H / 4, W / 4).
        """
        features: Tensor = self.layers(image)
        return features


class LatentDecoder(nn.Module):
    """One domain's layers behind the latent space: residual blocks, twice doubled, and a 1 x 1 convolution.

    Args:
        out_channels: C of the output.
        width: Channels before the last layer.
        blocks: Residual blocks of its own; the paper has 3, behind one that both domains share.
        upsampling: See :func:`medgan.networks.blocks.upsampled`.
        norm: See :func:`medgan.networks.blocks.norm_layer`.

    Source:
        Liu 2017, arXiv:1703.00848, section 4 and its table of the architecture.
    """

    def __init__(
        self,
        out_channels: int,
        *,
        width: int = 64,
        blocks: int = 3,
        upsampling: Upsampling = "resize",
        norm: Norm = "instance",
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            shared_blocks(blocks, width=width, norm=norm),
            upsampled(4 * width, 2 * width, upsampling=upsampling, norm=norm, transposed_kernel=3),
            nn.LeakyReLU(0.01, inplace=True),
            upsampled(2 * width, width, upsampling=upsampling, norm=norm, transposed_kernel=3),
            nn.LeakyReLU(0.01, inplace=True),
            nn.Conv2d(width, out_channels, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Decode features (N, 4 * width, h, w) to images (N, out_channels, 4 h, 4 w) in [-1, 1]."""
        return torch.tanh(self.layers(features))


def shared_blocks(count: int, *, width: int, norm: Norm) -> nn.Sequential:
    """Residual blocks around the latent space, (N, 4 * width, h, w) to the same shape."""
    return nn.Sequential(*(ResidualBlock(4 * width, norm=norm) for _ in range(count)))
