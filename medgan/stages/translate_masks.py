"""Masks of translated cases: the source's labels beside the new image, and nothing else that their files hold."""

from functools import partial
from pathlib import Path

import numpy as np

from medgan.imaging.case_images import read_case_image, read_case_label
from medgan.imaging.container import kind_of
from medgan.imaging.deidentify_pictures import deidentify_picture
from medgan.imaging.nifti_bytes import second_file_of
from medgan.imaging.photograph_mask import own_orientation
from medgan.imaging.write_photograph import write_label_png
from medgan.manifests.manifest import Case, Manifest
from medgan.stages.room import copy, put_whole

PICTURES = ("png", "jpeg", "tiff")
_SUFFIXES = {
    "dicom": ("",),
    "nifti": (".nii.gz", ".nii"),
    "png": (".png",),
    "jpeg": (".jpg", ".jpeg"),
    "tiff": (".tif", ".tiff"),
}


def copy_mask(manifest: Manifest, case: Case, place: Path, *, cap: float) -> Path:
    """Copy a case's mask.

    One that was drawn on a photograph as stored is written upright, as the image is. A PNG or TIFF is written without
    the texts and times that programs put beside its pixels; NIfTI and DICOM SEG keep their headers, as images do. A
    pair of header and voxels is copied whole.

    Args:
        manifest: Where the case stands.
        case: Its row; it has a mask.
        place: Where to write, without a suffix.
        cap: Megapixels above which a photograph is refused.

    Returns:
        The file or folder that was written; of a pair, its header.



    Raises:
        ReadError: R005 damaged, R045 the second file of a pair is missing, and what reading raises.
    """
    path = manifest.root / str(case.mask)
    place.parent.mkdir(parents=True, exist_ok=True)
    if kind_of(manifest.image_path(case)) in PICTURES and (own_orientation(manifest.image_path(case)) or 1) > 1:
        image = read_case_image(manifest, case, max_megapixels=cap, guard=True)
        label = read_case_label(manifest, case, like=image, max_megapixels=cap, guard=True)
        place = place.with_name(place.name + ".png")
        put_whole(place, lambda beside: write_label_png(np.asarray(label), beside))
        return place
    second = second_file_of(path) if kind_of(path) == "nifti" else None
    if second is not None:
        return _copy_pair(path, second, place)
    place = place.with_name(place.name + suffix_of(path))
    if kind_of(path) in PICTURES:
        put_whole(place, lambda beside: beside.write_bytes(deidentify_picture(path.read_bytes())[0]))
    else:
        put_whole(place, lambda beside: copy(path, beside))
    return place


def suffix_of(path: Path) -> str:
    """The usual ending of a file's kind, its own where that is one of them: more of a name may tell whose it is."""
    kind = kind_of(path)
    usual = _SUFFIXES[kind]
    own = next((suffix for suffix in usual if path.name.lower().endswith(suffix)), None)
    if own is not None or kind != "nifti":
        return own or usual[0]
    return ".nii.gz" if _is_packed(path) else ".nii"


def _copy_pair(header: Path, voxels: Path, place: Path) -> Path:
    written = [
        place.with_name(place.name + ending + (".gz" if _is_packed(path) else ""))
        for path, ending in ((header, ".hdr"), (voxels, ".img"))
    ]
    for path, new in zip((header, voxels), written, strict=True):
        put_whole(new, partial(copy, path))
    return written[0]


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"
