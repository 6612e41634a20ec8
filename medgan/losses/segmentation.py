"""Dice and cross entropy for segmentation, over the pixels that count."""

from torch import Tensor
from torch.nn import functional

from medgan.losses.across_ranks import mean_over_ranks, sum_over_ranks


def cross_entropy(logits: Tensor, label: Tensor, *, valid: Tensor) -> Tensor:
    """Mean cross entropy over the valid pixels, those of all ranks where several train together.

    Args:
        logits: (N, classes, H, W).
        label: Classes, (N, H, W), integer; whatever stands outside ``valid`` is not looked at.
        valid: (N, H, W) bool: pixels that show something.

    Returns:
        Scalar in nats; 0 where no pixel is valid.
    """
    each = functional.cross_entropy(logits.float(), label.where(valid, 0).long(), reduction="none")
    count = valid.sum()
    return mean_over_ranks((each * valid).sum() / count.clamp(min=1), count)


def soft_dice(logits: Tensor, label: Tensor, *, valid: Tensor, smooth: float = 1.0) -> Tensor:
    """One minus the soft Dice of the foreground classes, each over the whole batch, that of all ranks together.

    Over the batch, a slice without the structure does not swing the loss between its extremes.

    Args:
        logits: (N, classes, H, W); class 0 is the background.
        label: Classes, (N, H, W), integer.
        valid: (N, H, W) bool: pixels that count.
        smooth: Added to numerator and denominator, in pixels.

    Returns:
        Scalar in [0, 1], the mean over the classes from 1 on.

    Source:
        Milletari et al. 2016; over the batch as in Isensee et al. 2021 (nnU-Net).
    """
    mask = valid[:, None].float()
    predicted = logits.float().softmax(dim=1)[:, 1:] * mask
    one_hot = functional.one_hot(label.where(valid, 0).long(), logits.shape[1]).movedim(-1, 1)[:, 1:] * mask
    shared = sum_over_ranks((predicted * one_hot).sum(dim=(0, 2, 3)))
    total = sum_over_ranks(predicted.sum(dim=(0, 2, 3)) + one_hot.sum(dim=(0, 2, 3)))
    return 1 - ((2 * shared + smooth) / (total + smooth)).mean()
