"""Images that are there twice: the same pixels in two files, and nearly the same under two subjects."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medgan.errors import if_shown
from medgan.manifests.findings import Finding
from medgan.manifests.manifest import Case
from medgan.manifests.twins import conflict, twins
from medgan.stages.check_thumbnail import Thumbnail

FARTHEST_HASH = 14
"""Signs, of 63, in which the hashes of two images may differ for them to be compared at all."""
LEAST_SIMILARITY = 0.7
"""Correlation of local contrast from which two images are called nearly identical.

Measured: at most 0.63 between two eyes, 0.53 between two skin lesions and 0.59 between two brains of different people;
at least 0.9 for an image saved smaller, darker or as a JPEG of usual quality.
"""
_WORTH_ALIGNING = 0.25
_MOST_ALIGNED = 20
_REACH = 2
_ROWS = 512


@dataclass(frozen=True, kw_only=True)
class SeenCase:
    """What a check keeps of an image once it is read.

    Args:
        case: Its row.
        pixels: Digest of its decoded pixels.
        label: Digest of its label image; None without one.
        thumbnail: To find it again.
        kind: Such as ``"grey photograph"``.
        is_dicom: Whether it has a header that may name the patient.
        spacing_mm: Volumes: along superior, posterior, left; None for a photograph.
        notes: What reading did beside decoding.
    """

    case: Case
    pixels: bytes
    label: bytes | None
    thumbnail: Thumbnail
    kind: str
    is_dicom: bool
    spacing_mm: tuple[float, float, float] | None
    notes: tuple[str, ...] = ()


def duplicate_findings(seen: Sequence[SeenCase], *, told: Sequence[Finding], allowed: bool) -> Iterator[Finding]:
    """Findings of images that are there twice.

    Args:
        seen: The images of a study.
        told: What is known already; a pair whose files are the same byte by byte is not told again.
        allowed: Whether the study allows one image under two subjects.

    Yields:
        M024 or M028 for the same decoded pixels, M054 where their labels contradict one another, M053 (a warning) for
        nearly the same image under two subjects.
    """
    known = {finding.where for finding in told if finding.code in {"M024", "M028", "M043"}}
    first: dict[bytes, SeenCase] = {}
    for one in seen:
        other = first.setdefault(one.pixels, one)
        if other is one:
            continue
        masks = ["their masks differ"] if None not in (one.label, other.label) and one.label != other.label else []
        if f"{other.case.where} and {one.case.where}" not in known:
            yield from twins(other.case, one.case, what="pixels", allowed=allowed, differing=masks)
        elif masks:
            yield from conflict(other.case, one.case, what="pixels", columns=(), differing=masks)
    for other, one, similarity in near_duplicates(list(first.values())):
        yield Finding(
            code="M053",
            severity="warning",
            where=f"{other.case.where} and {one.case.where}",
            message=f"nearly the same image under two subjects (similarity {similarity:.2f})"
            + if_shown(f": {other.case.image} and {one.case.image}"),
            remedy="look at both: where they are one person, give both rows one subject_id, or take one out",
        )


def near_duplicates(seen: Sequence[SeenCase]) -> Iterator[tuple[SeenCase, SeenCase, float]]:
    """Pairs of two subjects whose images are nearly the same; each image is named as the later one at most once.

    Args:
        seen: Images with different pixels.

    Yields:
        The earlier case, the later one and the correlation of their local contrast, from 0.7 to 1, best aligned
        within two pixels of the thumbnail.
    """
    for axes in (2, 3):
        alike = [one for one in seen if one.thumbnail.contrast.ndim == axes and not one.thumbnail.is_plain]
        if len(alike) > 1:
            yield from _near_of(alike)


def _near_of(seen: Sequence[SeenCase]) -> Iterator[tuple[SeenCase, SeenCase, float]]:
    signs = np.stack([one.thumbnail.signs for one in seen]).astype(np.float32)
    subjects = np.unique([one.case.subject_id for one in seen], return_inverse=True)[1]
    for start in range(0, len(seen), _ROWS):
        rows = slice(start, start + _ROWS)
        apart = (signs.shape[1] - signs[rows] @ signs.T) / 2
        near = (apart <= FARTHEST_HASH) & (subjects[rows, None] != subjects[None])
        for row in np.flatnonzero(near.any(axis=1)):
            later = start + int(row)
            best = _best_earlier(seen, later, np.flatnonzero(near[row, :later]))
            if best is not None:
                yield seen[best[0]], seen[later], best[1]


def _best_earlier(seen: Sequence[SeenCase], later: int, candidates: npt.NDArray[np.intp]) -> tuple[int, float] | None:
    if not candidates.size:
        return None
    one = _unit(seen[later].thumbnail)
    unaligned = np.array([float((one * _unit(seen[place].thumbnail)).sum()) for place in candidates])
    order = np.argsort(-unaligned, kind="stable")[:_MOST_ALIGNED]
    worth = candidates[order][unaligned[order] > _WORTH_ALIGNING]
    scores = {int(place): _aligned(one, _unit(seen[place].thumbnail)) for place in worth}
    best = max(scores, key=lambda place: scores[place], default=None)
    return None if best is None or scores[best] < LEAST_SIMILARITY else (best, scores[best])


def _unit(thumbnail: Thumbnail) -> npt.NDArray[np.float32]:
    values = thumbnail.contrast.astype(np.float32)
    return values / np.float32(np.linalg.norm(values))


def _aligned(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    """The best correlation within a few pixels of shift."""
    from scipy import fft

    shape = [size + 2 * _REACH for size in one.shape]
    product = fft.rfftn(one, shape) * np.conj(fft.rfftn(other, shape))
    correlation = fft.irfftn(product, shape)
    near = np.r_[0 : _REACH + 1, -_REACH:0]
    return float(correlation[np.ix_(*[near] * one.ndim)].max())
