"""Rows 61 to 63: text in the pixels, patient data in headers and paths, markup in ids."""

from pathlib import Path

import numpy as np
from pydicom.uid import (
    OphthalmicPhotography8BitImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    VLPhotographicImageStorage,
)

from bad_inputs.dicom_making import ROOT, blank, ct_slice, put_pixels, save, series, stored
from bad_inputs.making import ROWS, command, findings, study, voxels
from bad_inputs.trial import HANDLED, Seen, bad_input, require
from medgan.manifests.findings import Finding

CLASSES = {
    "US": UltrasoundImageStorage,
    "OT": SecondaryCaptureImageStorage,
    "XC": VLPhotographicImageStorage,
    "OP": OphthalmicPhotography8BitImageStorage,
}
PATIENT = {
    "PatientName": "Mustermann^Erika",
    "PatientID": "KIS-4711-0815",
    "PatientBirthDate": "19640812",
    "AccessionNumber": "ACC99887766",
    "StudyDate": "20190307",
    "InstitutionName": "Klinikum Musterstadt",
    "ReferringPhysicianName": "Doktor^Allwissend",
}


def _captures(folder: Path, **columns: str) -> Path:
    """A study of photographs, four of which are DICOM."""
    rows = [dict(row) for row in ROWS]
    for number, (modality, kind) in enumerate(CLASSES.items()):
        rows[number] |= {"image": f"{modality}.dcm"} | columns
        dataset = blank(kind, f"{ROOT}.61.{number}", modality=modality, number=61 + number)
        dataset.ImageType = ["ORIGINAL", "PRIMARY"]
        put_pixels(dataset, voxels(number, (24, 24, 3)).astype(np.uint8), bits=8)
        save(dataset, folder / f"{modality}.dcm")
    return study(folder, rows)


def _quarantined(found: list[Finding]) -> list[Finding]:
    return [one for one in found if one.code == "R050"]


@bad_input(61, gives="R050")
def unreviewed(folder: Path) -> Seen:
    """Ultrasound, secondary capture, VL photograph and fundus as DICOM that nobody has reviewed."""
    found = findings(_captures(folder))
    errors = [one for one in found if one.severity == "error"]
    require(len(errors) == len(_quarantined(errors)) == 4, f"four are quarantined; {[str(one) for one in errors]}")
    return Seen("error", "R050", str(errors[0]))


@bad_input(61, gives="R050")
def said_to_be_burned_in(folder: Path) -> Seen:
    """A CT whose header says BurnedInAnnotation YES."""
    series(folder / "day0", BurnedInAnnotation="YES")
    rows = [ROWS[0] | {"image": "day0"}, *ROWS[1:]]
    found = _quarantined(findings(study(folder, rows)))
    require(len(found) == 1, "it is quarantined")
    return Seen("error", "R050", str(found[0]))


@bad_input(61, gives=HANDLED)
def reviewed(folder: Path) -> str:
    """The same four, with `yes` in the column reviewed."""
    found = findings(_captures(folder, reviewed="yes"))
    require(not [one for one in found if one.severity == "error"], f"no error; {[str(one) for one in found]}")
    return "they are used"


@bad_input(61, gives="R050")
def used_unreviewed(folder: Path) -> None:
    """Quarantined files, and `medgan prepare` called on without a check."""
    status, said = command("prepare", _captures(folder))
    require(status == 0, said)


def _seeded(folder: Path) -> Path:
    """A study of CT, a patient's data in all its headers and paths; the second file is damaged."""
    rows = [row | {"image": f"Mustermann_Erika_19640812/scan{index}.dcm"} for index, row in enumerate(ROWS)]
    for index, row in enumerate(rows):
        dataset = ct_slice(stored(index)[0], index, **PATIENT)
        if index == 1:
            dataset.PixelData = dataset.PixelData[:-20]
        save(dataset, folder / row["image"])
    return study(folder, rows, preparation={"preset": "ct"})


def _leaks(text: str) -> list[str]:
    words = [*PATIENT.values(), "Mustermann", "Erika", "Allwissend", "Musterstadt"]
    return [word for word in words if word.lower() in text.lower()]


@bad_input(62, gives=HANDLED)
def patient_in_check(folder: Path) -> str:
    """A patient in the headers and the path of files that fail: `medgan check`."""
    _, said = command("check", _seeded(folder))
    require("day1" in said, "the case is named")
    require(not _leaks(said), f"nothing of the patient is printed; found {_leaks(said)}")
    return "the case is named by its id; nothing of the patient is printed"


@bad_input(62, gives=HANDLED)
def patient_in_output(folder: Path) -> str:
    """The same: what `medgan prepare --keep-going` prints and writes."""
    _, said = command("prepare", "--keep-going", _seeded(folder))
    require("day1" in said, f"the case is named; {said}")
    # the list of the files themselves names them, or nothing could find them
    written = [path for path in (folder / "out").rglob("*") if path.is_file() and path.name != "manifest.csv"]
    require(len(written) > 20, "something is written")
    texts = [said, *map(str, (path.relative_to(folder) for path in written))]
    texts += [path.read_bytes().decode("latin-1") for path in written]
    leaks = sorted({word for text in texts for word in _leaks(text)})
    require(not leaks, f"nothing of the patient is printed or written; found {leaks}")
    return f"{len(written)} files without anything of the patient; the list of images in prepare/manifest.csv aside"


@bad_input(63, gives=HANDLED)
def markup(folder: Path) -> str:
    """Markup in a title, a case's id and a note, in the report."""
    from medgan.reports.content import Experiment, Provenance, ReportContent
    from medgan.reports.exhibits import BeforeAfter
    from medgan.reports.page import render

    hostile = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'&"
    grey = np.zeros((8, 8), dtype=np.uint8)
    case = BeforeAfter(case_id=hostile, source=grey, output=grey, note=hostile, worst=True)
    page = render(
        ReportContent(
            title=hostile,
            question=hostile,
            experiment=Experiment(folds=1, seeds=1, split=hostile),
            provenance=Provenance(date="2024-01-01", command=hostile, device="cpu", precision="fp32"),
            pictures=(case,),
        )
    )
    require("<script>alert" not in page and "<img src=x" not in page, "no markup of the id stands in the page")
    require(page.count("&lt;script&gt;alert") >= 4, "it is shown escaped")
    return "shown as text"


@bad_input(63, gives="M006")
def climbing_id(folder: Path) -> Seen:
    """An id that would climb out of the folder of results."""
    rows = [ROWS[0] | {"case_id": "../../x"}, *ROWS[1:]]
    found = [one for one in findings(study(folder, rows)) if one.code == "M006"]
    require(found, "it is found")
    return Seen("error", "M006", str(found[0]))
