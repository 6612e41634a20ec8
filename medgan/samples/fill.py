"""Prepare one case straight into the store, in a child process: a decoder that crashes costs that case alone."""

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path

from medgan.errors import ReadError, WriteError
from medgan.imaging.case_images import read_case_image, read_case_label
from medgan.imaging.limits import guarded, seconds_for
from medgan.manifests.manifest import Case, Manifest
from medgan.samples.footprint import predicted_bytes
from medgan.samples.naming import about_case
from medgan.samples.prepared import save_prepared
from medgan.settings.preparation import Preparation
from medgan.transforms.prepare import prepare

_HEADER_S = 20.0
_PREPARING = 5.0
"""How many times longer reading, resampling and writing may take than reading alone."""


def prepare_into(manifest: Manifest, case: Case, preparation: Preparation, folder: Path) -> None:
    """Read a case, prepare it and save it; the child's part.

    The arrays are written where they will be mapped from, so that none travels between processes.

    Args:
        manifest: Knows where the case's files lie.
        case: Its row.
        preparation: How it is prepared.
        folder: Where it shall lie; it appears whole or not at all.

    Raises:
        MedganError: What reading and preparing raise; W093, if it cannot be written.
    """
    limit = preparation.max_megapixels
    image = read_case_image(manifest, case, max_megapixels=limit, fill_not_finite=preparation.fill_not_finite)
    label = read_case_label(manifest, case, like=image, max_megapixels=limit)
    prepared = prepare(image, preparation, label=label)
    try:
        save_prepared(prepared, folder, source=hashlib.sha256(case.image.encode()).hexdigest())
    except OSError as error:
        raise WriteError(
            "W093",
            "the prepared case cannot be written",
            where=str(folder.parent.parent),
            got=error.strerror or type(error).__name__,
            remedy="free some space or choose another output folder, then run again: what is whole is kept",
        ) from error


def fill(manifest: Manifest, case: Case, preparation: Preparation, folder: Path) -> None:
    """Prepare a case into the store, under limits of time and memory.

    Each thread that calls this has a child process of its own, which is kept for the next case.

    Raises:
        MedganError: As :func:`prepare_into`, with the case named; R070 to R075 as
            :func:`medgan.imaging.limits.guarded`.
    """
    alone = replace(manifest, cases=(case,))  # the other rows need not travel
    with about_case(manifest, case):
        guarded(prepare_into, alone, case, preparation, folder, where=case.where, seconds=_seconds(alone, case))


def bytes_needed(manifest: Manifest, case: Case, preparation: Preparation) -> int:
    """The disk that a case will take at most, told from its header; 0 where that cannot be read, or crashes."""
    predict = partial(predicted_bytes, has_label=case.mask is not None)
    try:
        return guarded(predict, manifest.image_path(case), preparation, where=case.where, seconds=_HEADER_S)
    except ReadError:
        return 0  # preparing it will say why


def _seconds(manifest: Manifest, case: Case) -> float:
    paths = (manifest.image_path(case), manifest.mask_path(case))
    return _PREPARING * sum(seconds_for(path) for path in paths if path is not None)
