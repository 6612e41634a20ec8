"""Read a DICOM series: one volume in units on the grid that its headers say, or one picture."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medgan.errors import ReadError
from medgan.imaging.dicom_choice import Candidate
from medgan.imaging.dicom_colour import picture_of
from medgan.imaging.dicom_contrasts import refuse_several_contrasts
from medgan.imaging.dicom_files import Frame, frames_of, picture_frames
from medgan.imaging.dicom_grid import grid_of, in_order
from medgan.imaging.dicom_kinds import burned_in_reason, kind_of_object
from medgan.imaging.dicom_load import load_series
from medgan.imaging.dicom_notes import count_notes, spacing_notes, value_notes
from medgan.imaging.dicom_parse import DicomFile, parse_whole, parsing
from medgan.imaging.dicom_pixels import stored_stack
from medgan.imaging.dicom_scale import in_units, scale_of, unit_of, with_lookup
from medgan.imaging.dicom_sources import sources_of
from medgan.imaging.dicom_values import text, whole_number
from medgan.imaging.dicom_volumes import choose_volume, without_copies
from medgan.imaging.image import Image, Pixels, StoredAs

_CHOSEN = re.compile(r"(?:volume|picture) (\d+) of \d+")


@dataclass(frozen=True)
class Series:
    """The frames of a volume in order, or one picture, with their stored numbers.

    Args:
        frames: Along the normal; duplicates dropped. A picture is one frame without a place.
        stored: (D, H, W), as stored, before the rescale; a colour picture is (1, H, W, 3) in RGB. Where a Modality LUT
            stands in the place of a rescale, its values.
        notes: What was left out or converted.
        is_picture: Whether it has no place in the patient.
    """

    frames: tuple[Frame, ...]
    stored: Pixels
    notes: tuple[str, ...]
    is_picture: bool = False


def read_dicom(
    path: Path, *, series: str | None = None, volume: int | None = None, max_megapixels: float = 50.0
) -> Image:
    """Read one series, classic or enhanced, compressed or not, or one picture.

    Slices are ordered along their normal, never by name or number. Rescale and Modality LUT are applied: whole slopes
    and intercepts keep integers. MONOCHROME1 says how values are shown, not what they mean: they stay as they are,
    noted. Images without a place in the patient (ultrasound, radiographs, secondary captures, photographs) are
    pictures; colours become RGB.

    ``series`` is a SeriesInstanceUID, or one or more rules joined by ``&``:

    - ``description~TEXT``: the description holds the text, upper or lower case; ``TEXT`` alone means the same
    - ``modality=MR``: of this modality
    - ``number=3``: of this SeriesNumber
    - ``largest``: of those that fit the other rules, the one with most images

    Without it, there must be one series of images beside localizers, reports and segmentations, which are left out.

    Args:
        path: A DICOM file, a folder (with those below it), a DICOMDIR or a zip.
        series: Which series.
        volume: Which of several volumes in the series (echoes, time points, ...), or which of several pictures, from
            0; in the order that :func:`medgan.imaging.dicom_volumes.choose_volume` describes.
        max_megapixels: A frame larger than this is refused before it is decoded.

    Returns:
        A volume: pixels (1, D, H, W) in HU for CT, the stated units for PET, else ``"a.u."`` or what the header
        names. A picture: (1, H, W) or (3, H, W) in ``"level"``, with ``geometry`` None.

    Raises:
        ReadError: R001 an empty file, R004 truncated, R006 too large, R008 several volumes, R010 kind of image,
            R012 several pictures, R019 a link or name that leads out, R020 to R024, R026 to R035,
            R041 pixels longer than announced.
        GeometryError: G010, G011, G013 a tilted gantry, G014 slices beside one line, G015 directions.
    """
    with parsing(path):
        found = read_series(path, series=series, volume=volume, max_megapixels=max_megapixels)
        slope, intercept, said = scale_of(found.frames)
        header = found.frames[0].dataset
        stored = StoredAs(
            format="dicom",
            dtype=found.stored.dtype.name,
            unit="level" if found.is_picture else unit_of(found.frames[0]),
            slope=slope,
            intercept=intercept,
            modality=text(header, "Modality"),
            series=text(header, "SeriesInstanceUID"),
            burned_in=_burned_in(found.frames),
            notes=(*found.notes, *value_notes(found.frames), *said),
        )
        values = in_units(found.frames, found.stored)
        if not found.is_picture:
            return Image(pixels=values[None], stored=stored, geometry=grid_of(found.frames, path), path=path)
    pixels = np.ascontiguousarray(np.moveaxis(values[0], -1, 0)) if values.ndim > 3 else values
    return Image(pixels=pixels, stored=stored, path=path)


def read_series(
    path: Path,
    *,
    whole: bool = False,
    series: str | None = None,
    volume: int | None = None,
    max_megapixels: float = math.inf,
) -> Series:
    """Read the frames of a volume in order, or one picture.

    Args:
        path: As for :func:`read_dicom`.
        whole: Keep all elements of the datasets, for writing a derived series.
        series: As for :func:`read_dicom`.
        volume: As for :func:`read_dicom`.
        max_megapixels: As for :func:`read_dicom`.

    Raises:
        ReadError: As for :func:`read_dicom`.
        GeometryError: G015.
    """
    with parsing(path), sources_of(path) as (sources, notes):
        chosen, said = load_series(sources, series, path)
        files = [parse_whole(file) for file in chosen.files] if whole else list(chosen.files)
        _refuse_large(files, max_megapixels)
        kinds = {kind_of_object(file.dataset) for file in files}
        if len(kinds) > 1:
            raise ReadError(
                "R026",
                "slices and pictures without a place in one series",
                where=str(path),
                remedy="take the pictures out of the folder",
            )
        read = _volume if kinds == {"volume"} else _picture
        found = read(chosen, files, volume, path)
    return Series(found.frames, found.stored, (*notes, *said, *found.notes), found.is_picture)


def volume_of(stored: StoredAs) -> int | None:
    """Which volume or picture of its series an image was read from, as its notes say; None for the only one."""
    found = [match for note in stored.notes if (match := _CHOSEN.match(note))]
    return int(found[0][1]) if found else None


def _volume(chosen: Candidate, files: Sequence[DicomFile], volume: int | None, where: Path) -> Series:
    everything = [frame for file in files for frame in frames_of(file)]
    single, copies = without_copies(everything, _decode, where)
    frames, notes = choose_volume(single, volume, where)
    kept, equal = in_order(frames, _decode, where)
    ordered = [frames[index] for index in kept]
    refuse_several_contrasts(ordered, where)
    if copies + equal:
        notes.append(f"{copies + equal} duplicate slices dropped")
    notes += count_notes(files, len(files) + chosen.localizers - copies, len(ordered), where)
    notes += spacing_notes(ordered)
    ordered, values, said = with_lookup(ordered, stored_stack(ordered, notes))
    return Series(tuple(ordered), values, (*notes, *said))


def _picture(chosen: Candidate, files: Sequence[DicomFile], volume: int | None, where: Path) -> Series:
    in_turn = sorted(files, key=lambda file: (whole_number(file.dataset, "InstanceNumber") or 0, file.path))
    pictures = [frame for file in in_turn for frame in picture_frames(file)]
    if (volume is None and len(pictures) > 1) or not 0 <= (volume or 0) < len(pictures):
        raise ReadError(
            "R012",
            "several pictures in one series" if volume is None else "there is no such picture",
            where=str(where),
            got=f"{len(pictures)} pictures in {len(files)} files" + ("" if volume is None else f", volume {volume}"),
            expected="one" if volume is None else f"volume: 0 to {len(pictures) - 1}",
            remedy="choose one with volume: in the manifest",
        )
    frame = pictures[volume or 0]
    pixels, notes = picture_of(frame)
    if len(pictures) > 1:
        notes.append(f"picture {volume} of {len(pictures)}")
    frames, values, said = ([frame], pixels, []) if pixels.ndim > 3 else with_lookup([frame], pixels)
    return Series(tuple(frames), values, (*notes, *said), is_picture=True)


def _decode(frame: Frame) -> Pixels:
    return np.asarray(stored_stack([frame])[0])


def _refuse_large(files: Sequence[DicomFile], max_megapixels: float) -> None:
    for file in files:
        rows, columns = file.layout.rows, file.layout.columns
        if rows * columns > max_megapixels * 1e6:
            raise ReadError(
                "R006",
                "the image is too large",
                where=str(file.path),
                got=f"{rows} x {columns}, {rows * columns / 1e6:.1f} megapixels",
                expected=f"{max_megapixels:g} megapixels at most",
                remedy="if that is what it should be, raise max_megapixels in the study",
            )


def _burned_in(frames: Sequence[Frame]) -> str:
    datasets = {id(frame.file): frame.dataset for frame in frames}.values()
    return next((why for dataset in datasets if (why := burned_in_reason(dataset))), "")
