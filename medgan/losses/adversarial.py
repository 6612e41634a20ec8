"""What a discriminator and a generator want of the logits."""

from typing import Literal

from torch import Tensor
from torch.nn import functional as F  # noqa: N812

Adversarial = Literal["least-squares", "vanilla", "hinge", "wasserstein"]


def generator_loss(fake_logits: Tensor, *, kind: Adversarial) -> Tensor:
    """How far the fakes are from passing for real.

    Args:
        fake_logits: What the discriminator says to fakes, any shape, before any sigmoid.
        kind: ``"least-squares"`` (1 is real), ``"vanilla"`` (cross-entropy, the non-saturating form), ``"hinge"`` or
            ``"wasserstein"``, whose logits are a critic's values and need a penalty or clipped weights.

    Returns:
        A scalar, the mean over logits, in float32 whatever the logits are in. Unitless; below 0 only for the hinge
        and Wasserstein's.

    Source:
        Mao 2017, arXiv:1611.04076; Goodfellow 2014, arXiv:1406.2661; Lim and Ye 2017, arXiv:1705.02894; Arjovsky
        2017, arXiv:1701.07875.

    Example:
        >>> import torch
        >>> generator_loss(torch.zeros(1, 1, 2, 2), kind="least-squares").item()
        1.0
    """
    logits = fake_logits.float()
    if kind == "least-squares":
        return (logits - 1).square().mean()
    if kind == "vanilla":
        return F.softplus(-logits).mean()
    return -logits.mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, *, kind: Adversarial) -> Tensor:
    """How far the discriminator is from telling real from fake: the sum of both halves.

    CycleGAN and pix2pix take half of this, to slow the discriminator down; their methods do so by a weight.

    Args:
        real_logits: What it says to real images, before any sigmoid.
        fake_logits: What it says to fakes; their images are detached from the generator.
        kind: As in :func:`generator_loss`.

    Returns:
        A scalar in float32, at least 0 but for Wasserstein's, which is minus the distance that the critic sees.

    Example:
        >>> import torch
        >>> discriminator_loss(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), kind="least-squares").item()
        0.0
    """
    real, fake = real_logits.float(), fake_logits.float()
    if kind == "least-squares":
        return (real - 1).square().mean() + fake.square().mean()
    if kind == "vanilla":
        return F.softplus(-real).mean() + F.softplus(fake).mean()
    if kind == "wasserstein":
        return fake.mean() - real.mean()
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
