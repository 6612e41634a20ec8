"""Spectral normalisation: no layer stretches its input by more than 1."""

from typing import TypeVar

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

Network = TypeVar("Network", bound=nn.Module)


def spectrally_normalised(network: Network) -> Network:
    """Divide the weights of every convolution and linear layer by their largest singular value, in place.

    The value is followed by one power iteration a pass in training; its vectors are buffers, and are saved.

    Source:
        Miyato 2018, arXiv:1802.05957.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and not is_parametrized(module, "weight"):
            spectral_norm(module)
    return network


def without_parametrizations(network: Network) -> Network:
    """Replace every computed weight by its value now, in place: for a network that is trained no further."""
    for module in list(network.modules()):
        if is_parametrized(module, "weight"):
            remove_parametrizations(module, "weight", leave_parametrized=True)
    return network
