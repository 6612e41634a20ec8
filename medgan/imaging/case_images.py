"""The image and the labels of a manifest's row: what every stage reads by."""

from typing import Any

import numpy.typing as npt

from medgan.imaging.burned_in import refuse_unreviewed
from medgan.imaging.image import Image
from medgan.imaging.read import read_image, read_label
from medgan.manifests.case import Case
from medgan.manifests.manifest import Manifest


def read_case_image(
    manifest: Manifest,
    case: Case,
    *,
    max_megapixels: float = 50.0,
    guard: bool = False,
    fill_not_finite: float | None = None,
) -> Image:
    """Read a case's image: the volume or series that its row chooses, and only if it may be used.

    Args:
        manifest: Where the case stands.
        case: The row.
        max_megapixels: As for :func:`medgan.imaging.read.read_image`.
        guard: Read in a child process under limits: where a study's files are met for the first time.
        fill_not_finite: As for :func:`medgan.imaging.read.read_image`.

    Raises:
        ReadError: What :func:`medgan.imaging.read.read_image` raises; R050, if it waits for a review.
        GeometryError: G010 to G012.
    """
    path = manifest.image_path(case)
    image = read_image(
        path,
        max_megapixels=max_megapixels,
        volume=case.volume,
        series=case.series,
        guard=guard,
        fill_not_finite=fill_not_finite,
    )
    refuse_unreviewed(image, reviewed=case.reviewed, where=case.where)
    return image


def read_case_label(
    manifest: Manifest, case: Case, *, like: Image, max_megapixels: float = 50.0, guard: bool = False
) -> npt.NDArray[Any] | None:
    """Read a case's label image on its image's grid, or None where the row names none.

    Raises:
        ReadError: R013 to R015 and what reading raises.
        GeometryError: G003, G004.
    """
    path = manifest.mask_path(case)
    return None if path is None else read_label(path, like=like, max_megapixels=max_megapixels, guard=guard)
