"""Beyond the list: slices of several contrasts, and what is no file."""

import os
from pathlib import Path

from bad_inputs.dicom_making import ct_slice, save, stored
from bad_inputs.making import ROWS, found, study
from bad_inputs.trial import Seen, bad_input, refused
from medgan.imaging.read import read_image


@bad_input(None, gives="R035")
def alternating_contrasts(folder: Path) -> Seen:
    """Slices that alternate between two echo times, b-values, trigger times or water and fat, none in one place."""
    water, fat = (["DERIVED", "PRIMARY", "DIXON", word] for word in ("WATER", "FAT"))
    pairs = {
        "EchoTime": (10.0, 80.0),
        "DiffusionBValue": (0.0, 1000.0),
        "TriggerTime": (5.0, 300.0),
        "ImageType": (water, fat),
    }
    for keyword, values in pairs.items():
        for index, array in enumerate(stored()):
            save(ct_slice(array, index, **{keyword: values[index % 2]}), folder / keyword / f"{index}.dcm")
    return refused([lambda name=keyword: read_image(folder / name) for keyword in pairs], codes="R035")


@bad_input(None, gives="M059")
def pipe_in_a_manifest(folder: Path) -> Seen:
    """A manifest that names a pipe."""
    os.mkfifo(folder / "day0.fifo")
    rows = [dict(row) for row in ROWS]
    rows[0]["image"] = "day0.fifo"
    return found(study(folder, rows), "M059")
