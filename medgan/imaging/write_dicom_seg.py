"""Write labels as a DICOM segmentation of their source."""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from medgan import __version__
from medgan.errors import MedganError, WriteError
from medgan.imaging.derivation import Derivation, plain_text
from medgan.imaging.dicom_files import Frame
from medgan.imaging.image import Image
from medgan.imaging.write_dicom import chosen_frames, source_series
from medgan.imaging.write_dicom_identity import MANUFACTURER, Stamp, make_stamp, own_contribution, series_number
from medgan.imaging.write_dicom_seg_codes import algorithm_name, describe_segment
from medgan.imaging.write_dicom_seg_sources import name_picture, source_headers

LABEL_TEXT = "label {} of the label image"
_NO_DATE = "19000101"


def write_segmentation(
    labels: npt.NDArray[Any],
    path: Path | str,
    *,
    like: Image,
    names: Mapping[int, str] | Sequence[str],
    derivation: Derivation | None = None,
) -> None:
    """Write a label image as one DICOM SEG file, a binary segment for each label that has a name.

    Segments are numbered from 1 by rising label; where that is another number than the label, the segment's
    description holds the label, so that :func:`medgan.imaging.dicom_seg.read_segmentation` gives it back. A name of
    the table in docs/dicom-conformance.md gets its own SNOMED CT code, any other the code for tissue. The same input
    gives the same bytes: no clock is asked, and the content's date is the source's.

    Args:
        labels: Whole numbers on the source's grid, (D, H, W), or (H, W) for a picture; 0 is background.
        path: File to write or replace.
        like: The source, a DICOM image whose files must still be there.
        names: What each label is: by label, or a sequence whose first name is label 1's.
        derivation: What made the labels.

    Raises:
        WriteError: W001 the disk refused, W006 the source's files are gone, W016 labels that do not fit, W017 a label
            without a name, W015 highdicom is not installed.
    """
    path, named = Path(path), _named(names)
    labels = np.asarray(labels)
    _check(labels, like, named)
    frames = chosen_frames(source_series(like), like)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    with warnings.catch_warnings(), _as_write_errors(path):
        warnings.simplefilter("ignore")  # odd values that the source already had
        segmentation = _segmentation(labels, frames, like, named=named, derivation=derivation)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            segmentation.save_as(temporary, enforce_file_format=True)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _named(names: Mapping[int, str] | Sequence[str]) -> dict[int, str]:
    pairs = names.items() if isinstance(names, Mapping) else enumerate(names, start=1)
    named = {int(label): plain_text(str(name)) for label, name in sorted(pairs)}
    if not named or min(named) < 1 or max(named) > 65535 or not all(named.values()):
        raise WriteError(
            "W017",
            "segments need a name each",
            got=str(named or "none"),
            expected="at least one label from 1 to 65535 with a name in ASCII",
        )
    return named


def _check(labels: npt.NDArray[Any], like: Image, named: dict[int, str]) -> None:
    if like.stored.format != "dicom" or labels.shape != like.pixels.shape[1:] or labels.dtype.kind not in "iub":
        raise WriteError(
            "W016",
            "the labels do not fit their source",
            where=str(like.path),
            got=f"{labels.dtype} {labels.shape} on {like.stored.format}",
            expected=f"whole numbers of shape {like.pixels.shape[1:]} on a DICOM image",
            remedy="put them on the source's grid first; labels of other formats are written as NIfTI or PNG",
        )
    nameless = sorted(set(np.unique(labels).tolist()) - {0, *named})
    if nameless:
        raise WriteError(
            "W017",
            "labels without a name",
            where=str(like.path),
            got=", ".join(map(str, nameless[:5])),
            expected="one of " + ", ".join(map(str, named)),
        )


@contextmanager
def _as_write_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except MedganError:
        raise
    except ImportError as error:
        raise WriteError(
            "W015", "a DICOM segmentation needs highdicom", where=str(path), remedy='pip install "medgan[dicom]"'
        ) from error
    except OSError as error:
        raise WriteError("W001", "cannot write", where=str(path), got=str(error)) from error
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError) as error:
        raise WriteError(
            "W006",
            "no segmentation can be derived from the source's header",
            where=str(path),
            got=type(error).__name__,
            remedy="export the source again, or write the labels as NIfTI",
        ) from error


def _segmentation(
    labels: npt.NDArray[Any],
    frames: Sequence[Frame],
    like: Image,
    *,
    named: dict[int, str],
    derivation: Derivation | None,
) -> Dataset:
    import highdicom

    sources = source_headers(frames)
    first = sources[0]
    together = 1 if "PerFrameFunctionalGroupsSequence" in first else len(sources)
    content: list[bytes | str] = [np.ascontiguousarray(labels).tobytes(), str(labels.dtype), str(named), "SEG"]
    stamp = make_stamp(str(first.SeriesInstanceUID), derivation, content)
    numbers = np.zeros(labels.shape, dtype=np.uint16)
    for number, label in enumerate(named, start=1):
        numbers[labels == label] = number
    made = highdicom.seg.Segmentation(
        source_images=sources[:together],
        further_source_images=sources[together:] or None,
        pixel_array=_on_grid(numbers, frames, like, str(first.get("FrameOfReferenceUID") or "")),
        segmentation_type="BINARY",
        segment_descriptions=[
            describe_segment(number, named[label], stamp) for number, label in enumerate(named, start=1)
        ],
        series_instance_uid=stamp.series_uid,
        series_number=series_number(first.get("SeriesNumber")),
        sop_instance_uid=stamp.instance_uid("SEG"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        software_versions=__version__,
        device_serial_number=stamp.serial_number,
        omit_empty_frames=bool(numbers.any()),
        content_label="SEGMENTATION",
        content_description=algorithm_name(stamp),
        series_description="Segmentation - not for diagnosis",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
    )
    for item, (number, label) in zip(made.SegmentSequence, enumerate(named, start=1), strict=True):
        if number != label:
            item.SegmentDescription = LABEL_TEXT.format(label)
    _settle(made, frames[0], stamp)
    return made


def _on_grid(numbers: npt.NDArray[Any], frames: Sequence[Frame], like: Image, frame_of_reference: str) -> Any:
    import highdicom

    if like.geometry is None:
        return numbers[None]
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ like.geometry.affine  # RAS to DICOM's LPS
    return highdicom.Volume(
        numbers, affine=affine, coordinate_system="PATIENT", frame_of_reference_uid=frame_of_reference
    )


def _settle(made: Dataset, frame: Frame, stamp: Stamp) -> None:
    """Put what comes from a clock or from chance in terms of the source."""
    source = frame.dataset
    date = next(
        (source.get(f"{what}Date") for what in ("Content", "Acquisition", "Study") if source.get(f"{what}Date")), ""
    )
    made.ContentDate = date or _NO_DATE
    made.ContentTime = source.get("ContentTime") or source.get("AcquisitionTime") or "000000"
    for keyword in ("InstanceCreationDate", "InstanceCreationTime", "SeriesDate", "SeriesTime"):
        made.pop(keyword, None)
    organization = generate_uid(entropy_srcs=[str(stamp.series_uid), "dimensions"])
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
    for item in made.ContributingEquipmentSequence:
        item.pop("ContributionDateTime", None)
    how = str(stamp.derivation.plain()) if stamp.derivation else "no method named"
    made.ContributingEquipmentSequence.append(own_contribution(f"Segmented: {how}. Not for diagnosis."))
    if "FrameOfReferenceUID" not in made:
        made.PatientOrientation = None
        name_picture(made, frame)
    if str(source.get("SyntheticData")) == "YES":
        made.SyntheticData = "YES"
        made.SeriesDescription = "SYNTHETIC - NOT FOR DIAGNOSIS, segmentation"
