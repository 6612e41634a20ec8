"""Several volumes in one series: echoes, time points, magnitude and phase, b-values, stacks."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from medgan.errors import ReadError
from medgan.imaging.dicom_files import Frame, value_of
from medgan.imaging.dicom_grid import Decode, are_equal, different_in_one_place
from medgan.imaging.dicom_values import text, whole_number

_SAME_PLACE_MM = 1e-3
_MOST_AT_ONCE = 3
_MOST_LISTED = 8
# name in messages, functional group, element there, element of a classic file: tried alone first, then in pairs
_TELLS_APART = (
    ("ImageType", "MRImageFrameTypeSequence", "FrameType", "ImageType"),
    ("ImageType", "CTImageFrameTypeSequence", "FrameType", "ImageType"),
    ("EchoTime", "MREchoSequence", "EffectiveEchoTime", "EchoTime"),
    ("EchoNumbers", "", "EchoNumbers", "EchoNumbers"),
    ("InversionTime", "", "InversionTime", "InversionTime"),
    ("TemporalPosition", "FrameContentSequence", "TemporalPositionIndex", "TemporalPositionIdentifier"),
    ("DiffusionBValue", "MRDiffusionSequence", "DiffusionBValue", "DiffusionBValue"),
    ("DiffusionGradientOrientation", "", "DiffusionGradientOrientation", "DiffusionGradientOrientation"),
    ("TriggerTime", "CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime", "TriggerTime"),
    ("CardiacPhase", "", "NominalPercentageOfCardiacPhase", "NominalPercentageOfCardiacPhase"),
    ("FlipAngle", "", "FlipAngle", "FlipAngle"),
    ("AcquisitionNumber", "FrameContentSequence", "FrameAcquisitionNumber", "AcquisitionNumber"),
    ("FrameReferenceTime", "", "FrameReferenceTime", "FrameReferenceTime"),
    ("ConvolutionKernel", "", "ConvolutionKernel", "ConvolutionKernel"),
    ("AcquisitionTime", "", "AcquisitionTime", "AcquisitionTime"),
)

Key = tuple[Hashable, ...]


def choose_volume(frames: Sequence[Frame], volume: int | None, where: Path) -> tuple[list[Frame], list[str]]:
    """The frames of one volume.

    Stacks of a multi-frame file come apart first. Then, where every place holds equally many frames, the first
    element of the header (or the first two or three together) that gives each volume one frame in every place tells
    them apart; volumes are numbered by its values, rising. Files that hold a volume each, such as mosaics, are told
    apart by AcquisitionNumber and InstanceNumber.

    Args:
        frames: Of one series.
        volume: Which, from 0; None where there is only one.
        where: For messages.

    Returns:
        Its frames and notes.

    Raises:
        ReadError: R008, if there are several and none or a wrong one is chosen.
    """
    volumes: list[list[Frame]] = []
    names: list[str] = []
    for stack_name, stack in _stacks(frames):
        name, parts = _told_apart(stack)
        volumes += [part for _, part in parts]
        names += [", ".join(word for word in (stack_name, f"{name} {_shown(key)}") if word.strip()) for key, _ in parts]
    if volume is None and len(volumes) == 1:
        return volumes[0], []
    if volume is None or not 0 <= volume < len(volumes):
        raise _wrong_volume(len(volumes), names, volume, where)
    said = f" ({names[volume]})" if names[volume].strip() else ""
    return volumes[volume], [f"volume {volume} of {len(volumes)}{said}"] if len(volumes) > 1 else []


def without_copies(frames: Sequence[Frame], decode: Decode, where: Path) -> tuple[list[Frame], int]:
    """Leave out files that are there twice: the same SOPInstanceUID, place, rescale and stored numbers.

    Raises:
        ReadError: R027, if they differ in their numbers.
    """
    first: dict[tuple[str, int], Frame] = {}
    kept = []
    for frame in frames:
        key = (text(frame.dataset, "SOPInstanceUID"), frame.index)
        twin = first.get(key) if key[0] else None
        if twin is None:
            first[key] = frame
        elif are_equal(twin, frame, decode):
            continue
        elif np.allclose(twin.position, frame.position, atol=_SAME_PLACE_MM):
            raise different_in_one_place(twin, frame, where)
        kept.append(frame)
    return kept, len(frames) - len(kept)


def _stacks(frames: Sequence[Frame]) -> list[tuple[str, list[Frame]]]:
    stacks: dict[str, list[Frame]] = {}
    for frame in frames:
        name = value_of(frame.groups, "FrameContentSequence", "StackID")
        stacks.setdefault("" if name is None else str(name), []).append(frame)
    if len(stacks) == 1 or min(map(len, stacks.values())) == 1:
        return [("", list(frames))]
    return [(f"stack {number}", stacks[name]) for number, name in enumerate(sorted(stacks), start=1)]


def _told_apart(frames: list[Frame]) -> tuple[str, list[tuple[Key, list[Frame]]]]:
    """What tells the volumes apart, and the volumes by its values."""
    whole: tuple[str, list[tuple[Key, list[Frame]]]] = ("", [((), frames)])
    places = _places(frames)
    counts = np.bincount(places)
    if (counts == 1).all() or len(set(counts.tolist())) > 1:
        return whole
    for name, keys in _keys(frames):
        pairs = set(zip(keys, places.tolist(), strict=True))
        if len(set(keys)) == counts[0] and len(pairs) == len(frames):
            groups: dict[Key, list[Frame]] = {}
            for key, frame in zip(keys, frames, strict=True):
                groups.setdefault(key, []).append(frame)
            return name, sorted(groups.items(), key=lambda item: _rank(item[0]))
    return whole


def _keys(frames: list[Frame]) -> Iterator[tuple[str, list[Key]]]:
    columns: dict[str, list[Hashable]] = {}
    for name, group, keyword, classic in _TELLS_APART:
        found = [_value(frame, group, keyword, classic) for frame in frames]
        if len(set(found)) > 1:
            columns.setdefault(name, found)
    for size in range(1, _MOST_AT_ONCE + 1):
        for names in combinations(columns, size):
            yield " and ".join(names), list(zip(*(columns[name] for name in names), strict=True))
    by_file = _file_numbers(frames)
    if by_file is not None:
        yield "file", [(number,) for number in by_file]


def _file_numbers(frames: list[Frame]) -> list[int] | None:
    """The rank of each frame's file by its numbers, where files hold several slices each."""
    files = {id(frame.file): frame.file.dataset for frame in frames}
    ranks = {
        one: tuple(whole_number(header, name) or 0 for name in ("AcquisitionNumber", "InstanceNumber"))
        for one, header in files.items()
    }
    if len(files) == len(frames) or len(set(ranks.values())) < len(ranks):
        return None
    in_turn = {one: number for number, one in enumerate(sorted(ranks, key=lambda one: ranks[one]))}
    return [in_turn[id(frame.file)] for frame in frames]


def _places(frames: list[Frame]) -> np.ndarray:
    """A number for each frame, equal where they lie in one place."""
    positions = np.array([np.concatenate([frame.position, *frame.orientation * 100]) for frame in frames])
    numbers = np.zeros(len(frames), dtype=np.int64)
    for column in positions.T:
        order = np.argsort(column, kind="stable")
        steps = np.diff(column[order], prepend=column[order[:1]]) > _SAME_PLACE_MM
        rank = np.empty(len(frames), dtype=np.int64)
        rank[order] = np.cumsum(steps)
        numbers = np.unique(numbers * len(frames) + rank, return_inverse=True)[1]
    return numbers


def _value(frame: Frame, group: str, keyword: str, classic: str) -> Hashable:
    value = value_of(frame.groups, group, keyword)
    value = value_of(frame.groups[-1:], "", classic) if value is None else value
    if value is None or isinstance(value, (int, float)):
        return None if value is None else float(value)
    if isinstance(value, str):
        return value
    return tuple(str(item) for item in value)


def _rank(key: Key) -> tuple[tuple[int, float, str], ...]:
    def ranked(value: Hashable) -> tuple[int, float, str]:
        if isinstance(value, (int, float)):
            return 1, float(value), ""
        return (0, 0.0, "") if value is None else (2, 0.0, str(value))

    return tuple(map(ranked, key))


def _shown(key: Key) -> str:
    show: Callable[[Hashable], str] = lambda value: (  # noqa: E731
        f"{value:g}" if isinstance(value, float) else "\\".join(value) if isinstance(value, tuple) else str(value)
    )
    return " and ".join(show(value)[:40] for value in key)


def _wrong_volume(count: int, names: list[str], volume: int | None, where: Path) -> ReadError:
    shown = "; ".join(f"{number}: {name}" for number, name in enumerate(names[:_MOST_LISTED]) if name.strip())
    more = "; ..." if count > _MOST_LISTED else ""
    return ReadError(
        "R008",
        "several volumes in one series" if volume is None else "there is no such volume",
        where=str(where),
        got=f"{count} volumes{f' ({shown}{more})' if shown else ''}" + ("" if volume is None else f", volume {volume}"),
        expected=f"volume: 0 to {count - 1}",
        remedy="choose one with volume: in the manifest",
    )
