"""The learning rate as a pure function of the step."""


def rate_factor(
    step: int, *, total_steps: int, decay_from: float, halve_every: int | None = None, tenth_from: float = 1.0
) -> float:
    """Share of the starting learning rate that a step uses.

    Constant until ``decay_from * total_steps``, then linear to 0 at ``total_steps``; the last step done,
    ``total_steps - 1``, still has a rate above 0.

    Args:
        step: Steps done so far, counted from 0.
        total_steps: Steps of the whole run.
        decay_from: Share of the steps in [0, 1]; 1 keeps the rate constant.
        halve_every: Steps after which the rate is halved besides, as in MUNIT (Huang 2018, arXiv:1804.04732).
        tenth_from: Share of the steps after which the rate is a tenth besides, as in SRGAN (Ledig 2017,
            arXiv:1609.04802); 1 leaves it.

    Source:
        CycleGAN's schedule, Zhu 2017, https://arxiv.org/abs/1703.10593, section 7.1.

    Example:
        >>> [rate_factor(step, total_steps=4, decay_from=0.5) for step in range(5)]
        [1.0, 1.0, 1.0, 0.5, 0.0]
        >>> [rate_factor(step, total_steps=8, decay_from=1, halve_every=3) for step in (0, 2, 3, 6)]
        [1.0, 1.0, 0.5, 0.25]
        >>> [rate_factor(step, total_steps=4, decay_from=1, tenth_from=0.5) for step in (1, 2, 3)]
        [1.0, 0.1, 0.1]
    """
    start = decay_from * total_steps
    halved = 0.5 ** (step // halve_every) if halve_every else 1.0
    reduced = halved * (0.1 if tenth_from < 1 and step >= tenth_from * total_steps else 1.0)
    if step <= start:
        return reduced
    return reduced * max(0.0, (total_steps - step) / (total_steps - start))
