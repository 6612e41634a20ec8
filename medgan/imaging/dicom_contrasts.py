"""Slices of several contrasts at different places of one volume: nothing in their geometry would show it."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from medgan.errors import ReadError
from medgan.imaging.dicom_files import Frame, value_of
from medgan.imaging.dicom_values import PARSE_ERRORS

_SHARE = 0.01
_B_STEP = 25.0  # s/mm²; some scanners write the b-value that was reached, not the one that was asked for
_FEW = 3
_KIND = slice(2, None)  # behind ORIGINAL or DERIVED, and PRIMARY or SECONDARY


class _Attribute(NamedTuple):
    """An element that says which contrast a slice is of.

    Args:
        name: In messages, and the element of a classic file.
        group: Functional group of an enhanced file.
        keyword: Element there.
        is_number: Whether values are compared as numbers; else word by word.
        share: Numbers that differ by less than this part of the greater are one.
        step: Numbers that differ by less than this are one.
        only_few: Whether it also differs from slice to slice within one contrast, so that only few values, each of
            several slices, tell.
    """

    name: str
    group: str = ""
    keyword: str = ""
    is_number: bool = True
    share: float = 0.0
    step: float = 0.5
    only_few: bool = False


def refuse_several_contrasts(frames: Sequence[Frame], where: Path) -> None:
    """Refuse a volume whose slices alternate between contrasts: water and fat, echoes, b-values, phases.

    What tells several images of one place apart makes several volumes, of which one is chosen; this is for images that
    never share a place. AcquisitionNumber, AcquisitionTime and FrameReferenceTime are no sign of it: one CT has several
    breath-holds, one MR several concatenations, one PET several bed positions.

    Args:
        frames: Of one volume.
        where: For messages.

    Raises:
        ReadError: R035, with the element and how many values it has.
    """
    for attribute in _ATTRIBUTES:
        if _is_equal_as_stored(frames, attribute):
            continue
        found = _counted([_value(frame, attribute) for frame in frames], attribute)
        if len(found) == 1 or (attribute.only_few and not _is_pattern(found)):
            continue
        raise ReadError(
            "R035",
            "slices of several contrasts in one volume",
            where=str(where),
            got=f"{len(found)} different values of {attribute.name}{_shown(found)} in {len(frames)} slices",
            expected="one in all slices",
            remedy="sort the slices into one folder for each value; a part of them alone may lack slices",
        )


def _is_equal_as_stored(frames: Sequence[Frame], attribute: _Attribute) -> bool:
    """Whether classic files all hold the same bytes, or nothing, which is quicker told than what they mean."""
    if len(frames[0].groups) > 1:
        return False
    tag = _TAGS[attribute.name]
    first = _stored(frames[0].dataset, tag)
    return all(_stored(frame.dataset, tag) == first for frame in frames)


def _stored(dataset: Dataset, tag: Any) -> object:
    element = dataset.get_item(tag) if tag in dataset else None
    return None if element is None else element.value


def _is_pattern(found: Counter[Hashable]) -> bool:
    return len(found) <= _FEW and min(found.values()) > 1


def _shown(found: Counter[Hashable]) -> str:
    """Numbers alone are shown: words of a header may be anything."""
    numbers = sorted(value for value in found if isinstance(value, float))
    if len(numbers) < len(found) or len(found) > 2 * _FEW:
        return ""
    return f" ({', '.join(f'{value:g}' for value in numbers)})"


def _value(frame: Frame, attribute: _Attribute) -> Any:
    try:
        found = value_of(frame.groups, attribute.group, attribute.keyword) if attribute.group else None
        return value_of(frame.groups[-1:], "", attribute.name) if found is None else found
    except PARSE_ERRORS:  # an element that is no number tells nothing, and nothing else needs it
        return None


def _counted(values: Sequence[Any], attribute: _Attribute) -> Counter[Hashable]:
    """How many slices have each value; numbers that are nearly the same count as the least of them."""
    if not attribute.is_number:
        words = [_words(value) for value in values]
        return Counter(word[_KIND] if attribute.name == "ImageType" else word for word in words)
    # no diffusion weighting is often written as nothing at all
    numbers = [_number(value, 0.0 if attribute.name == "DiffusionBValue" else math.nan) for value in values]
    found: Counter[Hashable] = Counter()
    least = before = -math.inf
    for number in sorted(number for number in numbers if not math.isnan(number)):
        if number - before > max(attribute.share * number, attribute.step):
            least = number
        found[least] += 1
        before = number
    absent = sum(math.isnan(number) for number in numbers)
    return found + Counter({None: absent} if absent else {})


def _number(value: Any, default: float) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return default
    return found if math.isfinite(found) else default


def _words(value: Any) -> tuple[str, ...]:
    return tuple(map(str, [] if value is None else [value] if isinstance(value, str) else list(value)))


_ATTRIBUTES = (
    _Attribute("ImageType", "MRImageFrameTypeSequence", "FrameType", is_number=False),
    _Attribute("EchoTime", "MREchoSequence", "EffectiveEchoTime", share=_SHARE, step=0.0),
    _Attribute("EchoNumbers"),
    _Attribute("InversionTime", share=_SHARE, step=0.0),
    _Attribute("FlipAngle", share=_SHARE),
    _Attribute("DiffusionBValue", "MRDiffusionSequence", "DiffusionBValue", step=_B_STEP),
    _Attribute("TemporalPositionIdentifier", "FrameContentSequence", "TemporalPositionIndex"),
    _Attribute("NominalPercentageOfCardiacPhase"),
    _Attribute("TriggerTime", "CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime", only_few=True),
    _Attribute("ConvolutionKernel", is_number=False),
)
_TAGS = {attribute.name: Tag(attribute.name) for attribute in _ATTRIBUTES}
