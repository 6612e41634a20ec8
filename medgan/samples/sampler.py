"""An endless, seeded order of samples that has no state but the step."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt


class Sampler:
    """Says which item the i-th draw is: every item once an epoch, in a new order each epoch.

    A pure function of ``(seed, i)``, so that a resumed run needs nothing but its step.

    Args:
        count: Number of items.
        seed: Seed of the orders.

    Raises:
        ValueError: If there is no item.

    Example:
        >>> sampler = Sampler(3, seed=0)
        >>> sorted(sampler.index(i) for i in range(3, 6))
        [0, 1, 2]
    """

    def __init__(self, count: int, *, seed: int) -> None:
        if count < 1:
            raise ValueError(f"a sampler needs at least one item, got {count}")
        self.count, self.seed = count, seed
        self._order = lru_cache(maxsize=2)(self._permute)

    def index(self, i: int) -> int:
        """Item of the i-th draw, counted from 0 and never ending."""
        if i < 0:
            raise ValueError(f"draws are counted from 0, got {i}")
        epoch, place = divmod(i, self.count)
        return int(self._order(epoch)[place])

    def indices(self, step: int, *, batch_size: int) -> list[int]:
        """Items of a step's batch: the draws from ``step * batch_size`` on."""
        return [self.index(step * batch_size + place) for place in range(batch_size)]

    def _permute(self, epoch: int) -> npt.NDArray[np.int64]:
        return np.random.default_rng((self.seed, epoch)).permutation(self.count)
