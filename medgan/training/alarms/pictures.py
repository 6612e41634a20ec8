"""What is wrong with translated pictures: all alike, turned dark for bright, unchanged, or with a checkerboard.

A preview shows about four samples, so that a sign counts only where it is far beyond chance, and but for the collapse
only after :data:`SETTLED_STEPS` and in two previews in a row.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from medgan.settings.domains import LETTERS
from medgan.training.alarms.alarm import Kind
from medgan.training.alarms.spectrum import Pattern, find_pattern

SETTLED_STEPS = 200
"""Steps before which a generator's pictures stand for nothing: a fresh one turns contrasts round by chance."""

COLLAPSED_SHARE = 0.05
"""Of the spread between samples, of the inputs' or the targets', whichever is less."""

INVERTED = -0.5
"""Mean correlation between input and output within the foreground, where no pairs tell what is right."""
INVERTED_FROM_TRUTH = 0.5
"""With pairs: how far the correlation lies below that between input and true target, and itself below zero."""

UNCHANGED_SHARE = 0.05
"""Of the distance between the domains: less change than that translates nothing."""
LEAST_DISTANCE = 0.02
"""Mean distance of the domains' intensities, in [-1, 1], under which doing nothing may be right: 1 % of the range."""

PEAK = 10.0
"""Energy of a pattern over its surroundings. Real photographs averaged over a preview have 1 to 7, small JPEG files up
to 17; untrained generators have 1 to 5 with ``resize`` and 18 to 370 with ``transposed``."""
PEAK_OVER_REAL = 3.0
"""And over the highest peak of the real images, which may have one themselves (mosaics, JPEG blocks, resampling)."""
PATTERN_HEIGHT = 0.004
"""Root mean square of a pattern, in [-1, 1]: half a grey level of 256, averaged over the picture. JPEG blocks have
0.001; untrained generators 0.001 to 0.006 with ``resize`` and 0.03 to 0.13 with ``transposed``."""

_BACKGROUND = -0.98
_GRID_PX = 64


class Finding(NamedTuple):
    """A look at one kind of sign in one translation.

    Args:
        kind: Of the alarm.
        name: Of the picture, such as ``"fake_b"``.
        present: Whether the sign is there.
        reason: What was seen, in one sentence.
    """

    kind: Kind
    name: str
    present: bool
    reason: str


class Translation(NamedTuple):
    """A translation with what it came from and what it should look like.

    Args:
        name: Such as ``"fake_b"``.
        fake: (N, C, H, W) in [-1, 1].
        source: What it was made from, of the same shape.
        target: Real images of the wanted domain; the true ones, pixel by pixel, where ``paired``.
        paired: Whether they are.
    """

    name: str
    fake: Tensor
    source: Tensor
    target: Tensor
    paired: bool


def translations(pictures: Mapping[str, Tensor], *, real: Mapping[str, Tensor], paired: bool) -> Iterator[Translation]:
    """The translations ``fake_a``, ``fake_b`` and so on of a preview, with source and target.

    ``fake_a`` is made from b, and all others from a.

    Args:
        pictures: The learner's preview; ``real_a`` and ``real_b`` are taken from it where they are there.
        real: The samples it was made from.
        paired: Whether samples of both domains show the same thing.
    """
    for target in ("b", "a", *LETTERS[2:]):
        name, source = f"fake_{target}", "b" if target == "a" else "a"
        sides = [pictures.get(f"real_{side}", real.get(side)) for side in (source, target)]
        fake = pictures.get(name)
        if fake is None or sides[0] is None or sides[1] is None:
            continue
        if len(fake) > 1 and fake.shape[1:] == sides[0].shape[1:] == sides[1].shape[1:]:
            shown, before, wanted = (image.detach().float() for image in (fake, sides[0], sides[1]))
            yield Translation(name, shown, before, wanted, paired and len(fake) == len(sides[1]))


def findings(one: Translation) -> Iterator[Finding]:
    """All that can be judged of a translation; what cannot is left out."""
    yield _collapse(one)
    for found in (_inversion(one), _unchanged(one), _checkerboard(one)):
        if found is not None:
            yield found


def spread(images: Tensor) -> float:
    """How much images (N, C, H, W) differ between samples: the standard deviation over N, averaged over pixels."""
    return float(images.std(dim=0).mean())


def correlation(one: Tensor, other: Tensor) -> float | None:
    """Mean over the samples of the correlation of intensities within the foreground, where either shows anything.

    Args:
        one: (N, C, H, W) in [-1, 1]; -1 is background.
        other: Of the same shape.

    Returns:
        In [-1, 1]; None where no sample has a foreground with any contrast.
    """
    values = []
    for x, y in zip(one.mean(dim=1), other.mean(dim=1), strict=True):
        inside = (x > _BACKGROUND) | (y > _BACKGROUND)
        if int(inside.sum()) > 1 and float(x[inside].std()) > 1e-3 and float(y[inside].std()) > 1e-3:
            values.append(float(torch.corrcoef(torch.stack([x[inside], y[inside]]))[0, 1]))
    return sum(values) / len(values) if values else None


def distance(one: Tensor, other: Tensor, *, paired: bool) -> float:
    """How far two domains' intensities lie apart, in units of [-1, 1].

    With pairs the mean absolute difference. Without, the least distance of pooled intensities (Wasserstein-1, mean over
    channels) between a half of one side and a half of the other, less what the halves of one side differ by, which is
    what the choice of samples makes.
    """
    if paired:
        return float((one - other).abs().mean())
    halves = [[_quantiles(half) for half in (side[0::2], side[1::2])] for side in (one, other)]
    within = [_apart(*half) for half in halves]
    between = [_apart(mine, theirs) for mine in halves[0] for theirs in halves[1]]
    return max(min(between) - max(within), 0.0)


def _collapse(one: Translation) -> Finding:
    wanted = COLLAPSED_SHARE * min(spread(one.source), spread(one.target) if len(one.target) > 1 else float("inf"))
    found = spread(one.fake)
    reason = f"{one.name}: pictures of {len(one.fake)} samples differ by {found:.2g}, expected over {wanted:.2g}"
    return Finding("collapse", one.name, found < wanted, reason)


def _inversion(one: Translation) -> Finding | None:
    found = correlation(one.source, one.fake)
    truth = correlation(one.source, one.target) if one.paired else None
    if found is None or (one.paired and truth is None):
        return None
    told = f"{one.name}: bright and dark change places (correlation {found:.2f} with its input)"
    if truth is not None:
        present = found < min(0.0, truth - INVERTED_FROM_TRUTH)
        return Finding("inversion", one.name, present, f"{told}, where true images have {truth:.2f}")
    hint = "without pairs nothing tells whether the domains are negatives of each other, as fluid in T1 and T2 is"
    return Finding("inversion", one.name, found < INVERTED, f"{told}; {hint}: look at the previews")


def _unchanged(one: Translation) -> Finding | None:
    apart = distance(one.source, one.target, paired=one.paired)
    if apart < LEAST_DISTANCE:
        return None
    change = float((one.fake - one.source).abs().mean())
    reason = f"{one.name}: pictures differ by {change:.2g} from their inputs, the domains by {apart:.2g}"
    return Finding("unchanged", one.name, change < UNCHANGED_SHARE * apart, reason)


def _checkerboard(one: Translation) -> Finding | None:
    patterns = [find_pattern(images) for images in (one.fake, one.source, one.target)]
    known = [pattern for pattern in patterns if pattern is not None]
    if len(known) < len(patterns):
        return None
    fake, real = known[0], max(known[1:], key=lambda pattern: pattern.peak)
    reason = (
        f"{one.name}: a pattern of {_period(fake)} px stands {fake.peak:.1f} times over its surroundings "
        f"(height {fake.height:.2g}), in real images {real.peak:.1f} times"
    )
    present = fake.peak > max(PEAK, PEAK_OVER_REAL * real.peak) and fake.height > PATTERN_HEIGHT
    return Finding("checkerboard", one.name, present, reason)


def _period(pattern: Pattern) -> str:
    return " x ".join("any" if side == 1 else str(side) for side in pattern.period_px)


def _quantiles(images: Tensor) -> Tensor:
    """Quantiles of each channel's intensities, (C, 101), from a grid of at most 64 x 64 pixels of each image."""
    every = [max(1, side // _GRID_PX) for side in images.shape[-2:]]
    values = images[..., :: every[0], :: every[1]].transpose(0, 1).flatten(1).sort(dim=1).values
    at = torch.linspace(0, values.shape[1] - 1, 101, device=images.device).long()
    return values[:, at]


def _apart(one: Tensor, other: Tensor) -> float:
    """Wasserstein-1 of two distributions given by their quantiles."""
    return float((one - other).abs().mean())
