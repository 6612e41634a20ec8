"""What a latent code is held to."""

from torch import Tensor


def kl_to_standard_normal(mean: Tensor) -> Tensor:
    """Divergence of N(mean, 1) from N(0, 1), averaged over the elements of the code.

    Args:
        mean: (N, ...), any shape.

    Returns:
        A scalar in float32, at least 0; unitless (nats an element).

    Source:
        Liu 2017, arXiv:1703.00848, equation 2, with the unit variance of section 3; Kingma 2014, arXiv:1312.6114.

    Example:
        >>> import torch
        >>> kl_to_standard_normal(torch.full((1, 2), 2.0)).item()
        2.0
    """
    return mean.float().square().mean() / 2


def kl_of_diagonal_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Divergence of N(mean, variance) from N(0, 1), summed over a short code's numbers.

    Args:
        mean: (N, K).
        log_variance: (N, K).

    Returns:
        A scalar in float32 and nats, at least 0: summed over K, mean over N.

    Source:
        Kingma and Welling 2013, arXiv:1312.6114, appendix B.

    Example:
        >>> import torch
        >>> kl_of_diagonal_normal(torch.ones(1, 2), torch.zeros(1, 2)).item()
        1.0
    """
    wide_mean, wide = mean.float(), log_variance.float()
    return 0.5 * (wide_mean.square() + wide.exp() - 1 - wide).sum(dim=1).mean()
