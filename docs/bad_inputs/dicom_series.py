"""Rows 20 to 24 and 29: series with slices too many, too few, or of something else."""

from pathlib import Path

import numpy as np

from bad_inputs.dicom_making import ROOT, ct_slice, save, series, stored
from bad_inputs.making import ROWS, found, same, study
from bad_inputs.trial import HANDLED, Seen, bad_input, refused
from medgan.imaging.read import read_image

HU = stored(1).astype(np.int32) - 1024


@bad_input(20, gives="R020")
def two_series(folder: Path) -> None:
    """Two series in one folder."""
    series(folder / "scan")
    read_image(series(folder / "scan", number=2))


@bad_input(20, gives=HANDLED)
def chosen_series(folder: Path) -> str:
    """Two series, one chosen by its UID, and by a part of its description."""
    series(folder / "scan")
    series(folder / "scan", number=2)
    same(read_image(folder / "scan", series="series 1"), HU)
    return same(read_image(folder / "scan", series=f"{ROOT}.1"), HU)


@bad_input(20, gives="R034")
def absent_series(folder: Path) -> None:
    """Two series, and one chosen that is not there."""
    series(folder / "scan")
    read_image(series(folder / "scan", number=2), series="1.2.3")


@bad_input(21, gives="R028")
def missing_middle(folder: Path) -> Seen:
    """A missing slice in the middle, and two."""
    paths = [series(folder / "one", skip=(3,)), series(folder / "two", skip=(1, 3))]
    return refused([lambda path=path: read_image(path) for path in paths], codes="R028")


@bad_input(21, gives="R028")
def missing_most(folder: Path) -> None:
    """Every second slice missing but for one: the gap that is left is the odd one."""
    read_image(series(folder / "scan", stored(slices=9), skip=(1, 3, 5)))


@bad_input(21, gives=HANDLED)
def every_second(folder: Path) -> str:
    """Every second slice missing, evenly: only the thickness tells."""
    image = read_image(series(folder / "scan", skip=(1, 3, 5)))
    return same(image, HU[::2], note="some may be missing")


@bad_input(21, gives="R029")
def uneven(folder: Path) -> None:
    """Slices that are not evenly spaced."""
    for index, height in enumerate((100.0, 102.0, 104.7, 106.0, 108.0)):
        save(
            ct_slice(stored()[index], index, ImagePositionPatient=[-10.0, 20.0, height]),
            folder / "scan" / f"{index}.dcm",
        )
    read_image(folder / "scan")


@bad_input(22, gives="R028")
def missing_end(folder: Path) -> None:
    """A missing last slice, where the header counts the series."""
    read_image(series(folder / "scan", skip=(5,), NumberOfSeriesRelatedInstances=6))


@bad_input(22, gives=HANDLED)
def perhaps_missing_end(folder: Path) -> str:
    """A missing last slice, where the header counts only the acquisition."""
    image = read_image(series(folder / "scan", skip=(5,), ImagesInAcquisition=6))
    return same(image, HU[:5], note="6 images in the acquisition")


@bad_input(22, gives="warning R060")
def perhaps_missing_end_in_a_study(folder: Path) -> Seen:
    """The same, in a study."""
    rows = [row | {"image": row["case_id"]} for row in ROWS]
    for index, row in enumerate(rows):
        missing = {} if index else {"skip": (5,), "ImagesInAcquisition": 6}
        series(folder / row["image"], stored(index + 1), **missing)
    return found(study(folder, rows, preparation={"preset": "ct"}), "R060")


@bad_input(23, gives=HANDLED)
def twin_slice(folder: Path) -> str:
    """A slice that is there twice, the same."""
    series(folder / "scan")
    twin = ct_slice(stored(1)[2], 2, SOPInstanceUID=f"{ROOT}.1.77")
    save(twin, folder / "scan" / "copy.dcm")
    return same(read_image(folder / "scan"), HU, note="duplicate")


@bad_input(23, gives="R027")
def rival_slice(folder: Path) -> None:
    """Two different slices in one place."""
    series(folder / "scan")
    rival = ct_slice(stored(2)[2], 2, SOPInstanceUID=f"{ROOT}.1.77")
    save(rival, folder / "scan" / "copy.dcm")
    read_image(folder / "scan")


@bad_input(24, gives=HANDLED)
def localizer(folder: Path) -> str:
    """A localizer in the series."""
    series(folder / "scan")
    scout = ct_slice(stored(3)[0], 20, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    scout.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    save(scout, folder / "scan" / "0.dcm")
    return same(read_image(folder / "scan"), HU, note="localizer")


@bad_input(24, gives="R026")
def nameless_localizer(folder: Path) -> None:
    """A coronal scout in the series that does not say what it is."""
    series(folder / "scan")
    scout = ct_slice(stored(3)[0], 20, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    save(scout, folder / "scan" / "0.dcm")
    read_image(folder / "scan")


@bad_input(29, gives=HANDLED)
def strangers(folder: Path) -> str:
    """Files in the folder that are not DICOM."""
    series(folder / "scan")
    for name in ("Thumbs.db", ".DS_Store", "report.pdf"):
        (folder / "scan" / name).write_bytes(b"\0" * 200 + b"not an image")
    return same(read_image(folder / "scan"), HU, note="3 files")


@bad_input(29, gives="R021")
def only_strangers(folder: Path) -> Seen:
    """A folder with no DICOM at all, and an empty one."""
    (folder / "text").mkdir()
    (folder / "text" / "readme.txt").write_text("The images are on the other disc.")
    (folder / "empty").mkdir()
    return refused([lambda name=name: read_image(folder / name) for name in ("text", "empty")], codes="R021")
