"""Beyond the list: images of two patients as one series, and files that the user may not read."""

import os
from pathlib import Path

from bad_inputs.dicom_making import ROOT, ct_slice, save, series, stored
from bad_inputs.making import picture
from bad_inputs.trial import Seen, bad_input, refused
from medgan.imaging.read import read_image


@bad_input(None, gives="R026")
def other_patient(folder: Path) -> None:
    """A slice of another patient under the same series UID."""
    series(folder / "scan", skip=(3,))
    other = ct_slice(stored(1)[3], 3, PatientID="P2", PatientName="Other^Person", StudyInstanceUID=f"{ROOT}.0.2")
    save(other, folder / "scan" / "x.dcm")
    read_image(folder / "scan")


@bad_input(None, gives="R040")
def forbidden(folder: Path) -> Seen:
    """An image, a folder and a slice that the user may not read."""
    picture(folder / "x.png")
    series(folder / "scan")
    series(folder / "closed")
    for path in (folder / "x.png", folder / "scan" / "1_003.dcm", folder / "closed"):
        path.chmod(0)
    folder.chmod(0o755)
    is_root = os.geteuid() == 0
    if is_root:  # whom no mode stops
        os.seteuid(65534)
    try:
        names = ("x.png", "scan", "closed")
        return refused([lambda name=name: read_image(folder / name) for name in names], codes="R040")
    finally:
        if is_root:
            os.seteuid(0)
        (folder / "closed").chmod(0o700)
