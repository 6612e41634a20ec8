"""Write an image as a derived DICOM series of its source."""

import logging
import warnings
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from medgan import __version__
from medgan.errors import MedganError, WriteError
from medgan.imaging.derivation import Derivation
from medgan.imaging.dicom import Series, read_series, volume_of
from medgan.imaging.dicom_files import Frame
from medgan.imaging.image import Image
from medgan.imaging.write_dicom_identity import Stamp, make_stamp
from medgan.imaging.write_dicom_layout import (
    enhanced_header,
    instance_numbers,
    is_enhanced,
    is_stack,
    slice_header,
    stack_header,
)
from medgan.imaging.write_dicom_pixels import pack, set_pixels
from medgan.imaging.write_dicom_target import Target, target_of
from medgan.imaging.write_dicom_values import Packed

_log = logging.getLogger(__name__)


def write_dicom(image: Image, path: Path, like: Image, *, derivation: Derivation | None = None) -> int:
    """Write a new series that says of itself that it is derived and synthetic.

    Patient, study, frame of reference and geometry stay; series and instance UIDs are new, and the same for the same
    content; every instance names its source. Private elements and all that described the old pixels is left out. The
    result is of the class of its own modality: values in HU make a CT, whatever the source was. Values are stored by
    the source's rescale; if one does not fit, the whole series gets a rescale of its own, so that none is clipped.
    docs/dicom-conformance.md has every rule.

    Args:
        image: (1, D, H, W) in units on the source's grid, or a picture (C, H, W).
        path: Folder to make.
        like: The source, whose files must still be there.
        derivation: What made the values.

    Returns:
        0: nothing is clipped.

    Raises:
        WriteError: W006, if the source's files are gone or cannot be written again; W007, if there is no class for
            the values; W008, if a picture cannot hold them; W009, if no rescale can.
    """
    series = source_series(like)
    frames = chosen_frames(series, like)
    path.mkdir(parents=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd values that the source already had
            _write_all(image, path, like, series=series, frames=frames, derivation=derivation)
    except MedganError:
        raise
    except (RecursionError, ValueError, AttributeError, TypeError, KeyError, IndexError, NotImplementedError) as error:
        raise WriteError(
            "W006",
            "the source's header cannot be written again",
            where=str(like.path),
            got=type(error).__name__,
            remedy="export the source again, or write the result as NIfTI",
        ) from error
    return 0


def source_series(like: Image) -> Series:
    """The files that an image was read from, whole.

    Raises:
        WriteError: W006, if they are gone, or do not say which study, series and instance they are.
    """
    if like.path is None or not like.path.exists():
        raise WriteError("W006", "a DICOM series is written from its source's files", where=str(like.path), got="none")
    series = read_series(like.path, whole=True, series=like.stored.series or None, volume=volume_of(like.stored))
    _identify([frame.dataset for frame in series.frames], like.path)
    return series


def _identify(datasets: list[FileDataset], where: Path) -> None:
    """Put into the datasets the identity that only their file meta tells, and a study where none is named."""
    for dataset in datasets:
        if not dataset.get("SOPInstanceUID"):
            dataset.SOPInstanceUID = dataset.file_meta.get("MediaStorageSOPInstanceUID", "")
        if not dataset.SOPInstanceUID:
            raise WriteError(
                "W006",
                "the source does not say which instance it is",
                where=str(where),
                got="no SOPInstanceUID",
                remedy="export it again; a derived series must name its source",
            )
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
            if not dataset.get(keyword):
                setattr(dataset, keyword, generate_uid(entropy_srcs=[str(datasets[0].SOPInstanceUID), keyword]))
                _log.debug("the source has no %s: one was made for it", keyword)


def chosen_frames(series: Series, like: Image) -> tuple[Frame, ...]:
    """The frames that an image was made of, one for each slice.

    Raises:
        WriteError: W006, if the files hold another number of frames than the image.
    """
    depth = like.pixels.shape[1] if like.is_volume else 1
    if len(series.frames) != depth:
        raise WriteError(
            "W006",
            "the source's files have changed since they were read",
            where=str(like.path),
            got=f"{len(series.frames)} slices",
            expected=str(depth),
        )
    return series.frames


def _write_all(
    image: Image, path: Path, like: Image, *, series: Series, frames: tuple[Frame, ...], derivation: Derivation | None
) -> None:
    target = target_of(image, like, frames[0].dataset)
    packed = pack(image, like, frames=frames, target=target, dtype=series.stored.dtype)
    content: list[bytes | str] = [packed.numbers.tobytes(), str(packed.numbers.shape), str(packed.rescale), str(target)]
    stamp = make_stamp(str(frames[0].dataset.SeriesInstanceUID), derivation, content)
    if is_enhanced(frames[0], target) or is_stack(frames, target):
        _write_multi_frame(path, frames, packed, target, stamp)
        return
    for place, (frame, number) in enumerate(zip(frames, instance_numbers(frames), strict=True)):
        header = slice_header(frame, target, stamp, number=number)
        set_pixels(header, [frame], packed, [place], target=target)
        _save(header, path / f"{place + 1:05d}.dcm")


def _write_multi_frame(path: Path, frames: tuple[Frame, ...], packed: Packed, target: Target, stamp: Stamp) -> None:
    files: dict[int, list[int]] = {}
    for place, frame in enumerate(frames):
        files.setdefault(id(frame.dataset), []).append(place)
    for number, places in enumerate(files.values(), start=1):
        ordered = sorted(places, key=lambda place: frames[place].index)
        mine = [frames[place] for place in ordered]
        make = stack_header if is_stack(mine, target) else enhanced_header
        header = make(mine, target, stamp, number=number)
        set_pixels(header, mine, packed, ordered, target=target)
        _save(header, path / f"{number:05d}.dcm")


def _save(header: Dataset, path: Path) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = generate_uid(entropy_srcs=["medgan"])
    meta.ImplementationVersionName = f"MEDGAN_{__version__}"[:16]
    FileDataset(path, header, preamble=b"\0" * 128, file_meta=meta).save_as(path, enforce_file_format=True)
