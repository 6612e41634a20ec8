"""Weights before the first step: N(0, 0.02), as in DCGAN, pix2pix and CycleGAN, or He's for networks without norms."""

from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


@torch.no_grad()
def initialise(network: Network, *, std: float = 0.02, generator: torch.Generator | None = None) -> Network:
    """Draw a network's weights anew, in place.

    Weights of convolutions and linear layers are N(0, std), scales of affine normalisations N(1, std), shifts and
    biases 0. A layer that has ``starts_at`` begins with so much of the spread: the last one of a generator that
    predicts a change.

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
            nn.init.normal_(module.weight, 0.0, std * getattr(module, "starts_at", 1.0), generator=generator)
        elif isinstance(module, nn.GroupNorm | nn.InstanceNorm2d | nn.BatchNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, std, generator=generator)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    return network


@torch.no_grad()
def initialise_by_width(network: Network, *, generator: torch.Generator | None = None) -> Network:
    """Draw weights whose spread is the root of 2 / (inputs of a value), in place; biases are 0.

    Through layers without a normalisation a signal then keeps its size, however wide they are: from N(0, 0.02) a
    narrow style encoder would give next to nothing.

    Args:
        network: Any module; its affine normalisations stay as they are.
        generator: Where the numbers come from; none takes torch's own.

    Returns:
        The same network.

    Source:
        He 2015, arXiv:1502.01852, equation 10.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network
