"""Weights before the first step: N(0, 0.02), as in DCGAN, pix2pix and CycleGAN."""

from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


@torch.no_grad()
def initialise(network: Network, *, std: float = 0.02, generator: torch.Generator | None = None) -> Network:
    """Draw a network's weights anew, in place.

    Weights of convolutions and linear layers are N(0, std), scales of affine normalisations N(1, std), shifts and
    biases 0.

    Args:
        network: Any module.
        std: Standard deviation.
        generator: Where the numbers come from; none takes torch's own.

    Returns:
        The same network.

    Source:
        Radford 2015, arXiv:1511.06434, section 3; Zhu 2017, arXiv:1703.10593, section 4.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, std, generator=generator)
        elif isinstance(module, nn.GroupNorm | nn.InstanceNorm2d | nn.BatchNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, std, generator=generator)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    return network
