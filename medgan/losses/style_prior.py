"""How far a style's distribution is from the one that styles are drawn of."""

from torch import Tensor


def standard_normal_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of a diagonal normal distribution from the standard one.

    Args:
        mean: (N, K).
        log_variance: (N, K).

    Returns:
        A scalar in float32 and nats, at least 0: summed over K, mean over N.

    Source:
        Kingma and Welling 2013, arXiv:1312.6114, appendix B.

    Example:
        >>> import torch
        >>> standard_normal_divergence(torch.ones(1, 2), torch.zeros(1, 2)).item()
        1.0
    """
    wide_mean, wide = mean.float(), log_variance.float()
    return 0.5 * (wide_mean.square() + wide.exp() - 1 - wide).sum(dim=1).mean()
