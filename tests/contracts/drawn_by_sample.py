"""Random numbers of a step that do not depend on how a batch is dealt out over ranks.

In training each rank draws its own numbers, so that two ranks and one process with their whole batch see other ones. To
compare them, both are made to draw here for the whole batch, from the number of the call alone, and to take the share
of their own samples. What concerns no single sample, such as the places that CUT compares in all images, is drawn alike
on every rank.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

DRAWING = (torch.rand, torch.randn, torch.randint, torch.rand_like, torch.randn_like)


class DrawnBySample(TorchFunctionMode):
    """Within it, torch's functions that draw give one rank's share of what the whole batch is given.

    A call's first side that is a multiple of the rank's batch is that of the samples; its parts (real images, fakes)
    are shared out one by one. The batch must be of a size that no other side is a multiple of: 5 where sides are
    powers of two.

    Args:
        rank: Which share.
        ranks: How many there are.
        batch_size: Samples of one rank.
    """

    def __init__(self, rank: int, ranks: int, *, batch_size: int) -> None:
        super().__init__()
        self.rank, self.ranks, self.batch_size = rank, ranks, batch_size
        self.calls = 0

    def __torch_function__(
        self, function: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given: Mapping[str, Any] = kwargs or {}
        if function not in (*DRAWING, torch.randperm) or given.get("generator") is not None:
            return function(*args, **given)
        self.calls += 1
        with torch.random.fork_rng(devices=[]):
            # The loop's own seed, which differs by rank, is moved on outside.
            torch.manual_seed(self.calls)
            drawn: Tensor = function(*args, **given)
            sides = [side for side, length in enumerate(drawn.shape) if length and length % self.batch_size == 0]
            if function is torch.randperm or not sides:
                assert function is not torch.randperm or not sides, "an order of samples cannot be shared out"
                return drawn
            torch.manual_seed(self.calls)
            return self._share(function, drawn, sides[0], args, given)

    def _share(
        self, function: Callable[..., Any], like: Tensor, side: int, args: tuple[Any, ...], given: Mapping[str, Any]
    ) -> Tensor:
        """This rank's samples of what is drawn for all."""
        parts = like.shape[side] // self.batch_size
        whole = [*like.shape[:side], parts * self.ranks * self.batch_size, *like.shape[side + 1 :]]
        kind = {"dtype": like.dtype, "device": like.device}
        if function is torch.randint:
            limits = [one for one in args if isinstance(one, int)]
            drawn = torch.randint(*limits, tuple(whole), **kind)
        else:
            drawn = (torch.randn if function in (torch.randn, torch.randn_like) else torch.rand)(whole, **kind)
        shares = drawn.unflatten(side, (parts, self.ranks, self.batch_size))
        return shares.select(side + 1, self.rank).flatten(side, side + 1)
