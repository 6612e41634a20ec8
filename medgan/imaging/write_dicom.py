"""Write a volume as a derived DICOM series of its source."""

import hashlib
import warnings
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from medgan.errors import WriteError
from medgan.imaging.derivation import Derivation
from medgan.imaging.dicom import Series, read_series
from medgan.imaging.dicom_pixels import stored_limits
from medgan.imaging.image import Image, Pixels, StoredAs

_DESCRIPTION = "SYNTHETIC - NOT FOR DIAGNOSIS"
_OF_THE_OLD_PIXELS = (
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "IconImageSequence",
    "DigitalSignaturesSequence",
    "MACParametersSequence",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
)


def write_dicom(image: Image, path: Path, like: Image, *, derivation: Derivation | None = None) -> int:
    """Write a new series that says of itself that it is derived and synthetic.

    Patient, study and geometry stay; series and instance UIDs are new, and the same for the same values; every
    instance names its source. Private elements and all that described the old pixels is left out. Values are stored
    by the source's rescale; if one does not fit, the whole series gets a rescale of its own, so that none is clipped.

    Args:
        image: (1, D, H, W) in units on the source's grid.
        path: Folder to make.
        like: The source, whose files must still be there.
        derivation: What made the values.

    Returns:
        0: nothing is clipped.

    Raises:
        WriteError: W006, if the source's files are gone or cannot be written again.
    """
    if like.path is None or not like.path.exists():
        raise WriteError("W006", "a DICOM series is written from its source's files", where=str(like.path))
    series = read_series(like.path, whole=True)
    own = image.stored if image.stored != like.stored else None
    stored, rescale = _stored(image.pixels[0], series, own)
    path.mkdir(parents=True)
    digest = hashlib.sha256(np.ascontiguousarray(stored).tobytes()).hexdigest()
    number = 0
    try:
        for dataset in _datasets(series):
            mine = [place for place, frame in enumerate(series.frames) if frame.dataset is dataset]
            ordered = sorted(mine, key=lambda place: series.frames[place].index)
            if len(ordered) != int(dataset.get("NumberOfFrames") or 1):
                raise WriteError("W006", "a multi-frame source holds duplicate frames", where=str(like.path))
            number += 1
            derived = _derived(dataset, stored[ordered], rescale, digest)
            _save(derived, path / f"{number:05d}.dcm")
    except (RecursionError, ValueError, AttributeError, TypeError) as error:
        raise WriteError(
            "W006", "the source's header cannot be written again", where=str(like.path), got=str(error)[:120]
        ) from error
    return 0


def _save(dataset: FileDataset, path: Path) -> None:
    was_big_endian = dataset.original_encoding[1] is False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd values that the source already had
        if not was_big_endian:
            dataset.save_as(path, enforce_file_format=True)
            return
        for tag in [tag for tag in dataset.keys() if tag.group & 0xFF00 == 0x6000]:  # noqa: SIM118
            del dataset[tag]  # overlay words, whose bytes would stay swapped
        dataset.walk(_decode_value)
        pydicom.dcmwrite(path, dataset, implicit_vr=False, little_endian=True, force_encoding=True)


def _decode_value(dataset: Dataset, element: DataElement) -> None:
    """Turn raw bytes of the old byte order into a value: walking over an element does."""


def _stored(values: Pixels, series: Series, own: StoredAs | None) -> tuple[Pixels, tuple[float, float] | None]:
    """Stored numbers by the source's rescale, or by a new one that is returned with them."""
    if own is not None and own.dtype == "uint16":
        numbers = np.rint((values.astype(np.float64) - own.intercept) / own.slope)
        if numbers.min() >= 0 and numbers.max() < 2**16:
            return numbers.astype(np.uint16), (own.slope, own.intercept)
    slopes = np.array([frame.slope for frame in series.frames])[:, None, None]
    intercepts = np.array([frame.intercept for frame in series.frames])[:, None, None]
    numbers = np.rint((values.astype(np.float64) - intercepts) / slopes)
    low, high = stored_limits(series.frames[0].dataset)
    if numbers.min() >= low and numbers.max() <= high:
        return numbers.astype(series.stored.dtype), None
    bottom, top = float(values.min()), float(values.max())
    whole = values.dtype.kind in "iu" and top - bottom <= 2**16 - 1
    slope = 1.0 if whole else float(f"{(top - bottom) / (2**16 - 2):.10g}") or 1.0
    intercept = float(np.floor(bottom)) if whole else float(f"{bottom:.10g}")
    fresh = np.clip(np.rint((values.astype(np.float64) - intercept) / slope), 0, 2**16 - 1)
    return fresh.astype(np.uint16), (slope, intercept)


def _datasets(series: Series) -> list[FileDataset]:
    unique: dict[int, FileDataset] = {id(frame.dataset): frame.dataset for frame in series.frames}
    return list(unique.values())


def _derived(source: FileDataset, stored: Pixels, rescale: tuple[float, float] | None, digest: str) -> FileDataset:
    """The source's dataset, changed in place: it was read for this."""
    old_class, old_instance = str(source.SOPClassUID), str(source.SOPInstanceUID)
    source.remove_private_tags()
    for keyword in _OF_THE_OLD_PIXELS:
        if keyword in source:
            delattr(source, keyword)
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = old_class, old_instance
    source.SourceImageSequence = Sequence([reference])
    kind = [str(item) for item in source.get("ImageType") or []]
    source.ImageType = ["DERIVED", "SECONDARY", *kind[2:]]
    source.SeriesDescription = _DESCRIPTION
    source.DerivationDescription = "Translated between image domains by medgan; not for diagnosis"
    source.SeriesInstanceUID = generate_uid(entropy_srcs=[str(source.SeriesInstanceUID), digest])
    source.SOPInstanceUID = generate_uid(entropy_srcs=[old_instance, digest])
    source.file_meta.MediaStorageSOPInstanceUID = source.SOPInstanceUID
    source.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    _set_pixels(source, stored, rescale)
    return source


def _set_pixels(dataset: FileDataset, stored: Pixels, rescale: tuple[float, float] | None) -> None:
    if rescale is not None:
        _set_rescale(dataset, *rescale)
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    else:
        dataset.HighBit = int(dataset.get("BitsStored") or dataset.BitsAllocated) - 1
    raw = stored.astype(stored.dtype.newbyteorder("<"), copy=False).tobytes()
    dataset.PixelData = raw + b"\0" * (len(raw) % 2)
    dataset["PixelData"].VR = "OB" if int(dataset.BitsAllocated) == 8 else "OW"
    dataset["PixelData"].is_undefined_length = False


def _set_rescale(dataset: FileDataset, slope: float, intercept: float) -> None:
    groups = [
        item
        for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
        for group in dataset.get(name) or []
        for item in group.get("PixelValueTransformationSequence") or []
    ]
    for place in groups or [dataset]:
        place.RescaleSlope, place.RescaleIntercept = f"{slope:.10g}", f"{intercept:.10g}"
