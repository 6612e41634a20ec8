"""Grey and RGB domains in one study: grey photographs, such as masks, are shown in three equal channels."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from medgan.errors import TrainingError
from medgan.samples.prepared import PreparedCase

Array = npt.NDArray[np.float32]
_RGB = 3


def in_equal_channels(*domains: Sequence[PreparedCase]) -> tuple[list[PreparedCase], ...]:
    """Let all domains have as many channels: where some are grey and others RGB, the grey ones are repeated.

    What is stored stays as it is. Colours are never taken away: no grey is made of RGB.

    Args:
        domains: Cases of each domain.

    Raises:
        TrainingError: T010, if a domain mixes grey and RGB, or no such rule brings them together.
    """
    counts = [channels_of(cases) for cases in domains]
    if 0 in counts or len(set(counts)) == 1:
        return tuple(list(cases) for cases in domains)
    photographs = all(len(case.shape) == 3 for cases in domains for case in cases)
    if set(counts) != {1, _RGB} or not photographs:
        raise TrainingError(
            "T010",
            "the domains do not fit together",
            got=f"{' and '.join(map(str, counts))} channels",
            expected="all grey or all RGB, or photographs of which some domains are grey and the others RGB",
        )
    return tuple([_repeated(case) for case in cases] for cases in domains)


def channels_of(cases: Sequence[PreparedCase]) -> int:
    """How many channels all cases of a domain have; 0 without cases.

    Raises:
        TrainingError: T010, if they differ.
    """
    found = sorted({case.shape[0] for case in cases})
    if len(found) > 1:
        raise TrainingError(
            "T010",
            "a domain mixes grey and colour images",
            got=f"images of {found} channels",
            expected="all grey or all RGB",
            remedy="convert them on purpose before the study",
        )
    return found[0] if found else 0


def repeated(pixels: Array, *, channels: int) -> Array:
    """One channel (1, ...) shown as several equal ones, a view; other arrays as they are."""
    return np.broadcast_to(pixels, (channels, *pixels.shape[1:])) if pixels.shape[0] == 1 else pixels


def merged(pixels: Array, *, channels: int) -> Array:
    """The mean of the channels, (1, ...), where one is wanted; else the array as it is."""
    return pixels.mean(axis=0, keepdims=True) if channels == 1 and pixels.shape[0] > 1 else pixels


def _repeated(case: PreparedCase) -> PreparedCase:
    return case if case.shape[0] != 1 else replace(case, shape=(_RGB, *case.shape[1:]), repeated=_RGB)
