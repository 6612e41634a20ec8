"""Weight clipping: no weight of a critic beyond a bound, which bounds its slope."""

import torch
from torch import nn


@torch.no_grad()
def clip_weights(network: nn.Module, *, bound: float) -> None:
    """Bring every parameter of a network into [-bound, bound], in place.

    Args:
        network: A critic, after its optimizer's step.
        bound: Largest absolute value, above 0.

    Source:
        Arjovsky 2017, arXiv:1701.07875, algorithm 1.

    Example:
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> layer.weight.data = torch.tensor([[0.5, -0.005]])
        >>> clip_weights(layer, bound=0.01)
        >>> layer.weight.tolist() == [[0.009999999776482582, -0.004999999888241291]]
        True
    """
    for parameter in network.parameters():
        parameter.clamp_(-bound, bound)
