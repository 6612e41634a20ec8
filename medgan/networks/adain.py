"""Adaptive instance normalisation: a residual block whose scales and shifts come from outside."""

import torch
from torch import Tensor, nn

from medgan.networks.layers import InstanceNorm, ReflectedConv2d


class AdaptiveInstanceNorm(nn.Module):
    """Takes each channel's mean and spread away and gives it others, (N, C, H, W) to the same shape.

    Args:
        channels: C of the input.

    Source:
        Huang and Belongie 2017, arXiv:1703.06868, equation 8.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.normalise = InstanceNorm(channels)

    def forward(self, features: Tensor, look: Tensor) -> Tensor:
        """Normalise.

        Args:
            features: (N, C, H, W).
            look: (N, 2 C): each channel's scale, told as its difference to 1, so that weights near 0 leave a plain
                instance normalisation; then each channel's shift.
        """
        scale, shift = look[:, :, None, None].chunk(2, dim=1)
        restyled: Tensor = (1 + scale) * self.normalise(features) + shift
        return restyled


class AdaptiveResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, each with an adaptive normalisation, whose result is added to the input.

    Args:
        channels: C of the input and the output.

    Source:
        Huang 2018, arXiv:1804.04732, section 5.1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.looks = 4 * channels
        self.first, self.second = (ReflectedConv2d(channels, channels, 3, bias=False) for _ in range(2))
        self.restyle_first, self.restyle_second = (AdaptiveInstanceNorm(channels) for _ in range(2))

    def forward(self, features: Tensor, look: Tensor) -> Tensor:
        """Add what the convolutions find, in a given look.

        Args:
            features: (N, C, H, W).
            look: (N, 4 C): scales and shifts of the first normalisation, then of the second.
        """
        first, second = look.chunk(2, dim=1)
        found = torch.relu(self.restyle_first(self.first(features), first))
        return features + self.restyle_second(self.second(found), second)
