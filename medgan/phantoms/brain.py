"""Brains as T1 and FLAIR on one grid, skull-stripped, with tissues and white-matter lesions known."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medgan.imaging.geometry import Geometry
from medgan.manifests.manifest import Case
from medgan.phantoms._head import Tissue, grow_brain
from medgan.phantoms._study import check_request, finish
from medgan.phantoms._texture import Field, generator, noise
from medgan.phantoms._volume import axial_geometry, write_dicom, write_nifti

__all__ = ["DOMAINS", "BrainPair", "render_brain", "write_study"]

DOMAINS = ("flair", "t1")
_FIELD_MM = 192.0
_HEIGHT_MM = 168.0
# Mean signal in arbitrary units, in the order of Tissue: outside, CSF, grey, white, deep grey, lesion.
_SIGNAL = {
    "t1": np.array([0.0, 42.0, 150.0, 246.0, 198.0, 176.0]),
    "flair": np.array([0.0, 46.0, 298.0, 244.0, 272.0, 430.0]),
}
_NOISE = {"t1": 7.0, "flair": 8.0}


@dataclass(frozen=True, kw_only=True)
class BrainPair:
    """One brain in two contrasts on one grid.

    Args:
        t1: Arbitrary units, shape (D, H, W), int16; 0 outside the brain.
        flair: Arbitrary units, shape (D, H, W), int16; 0 outside the brain.
        lesions: White-matter lesions, 0 or 1, shape (D, H, W).
        tissues: 0 outside, 1 CSF, 2 cortex, 3 white matter (lesions among it), 4 deep grey matter.
        geometry: Grid; axial, slices upward.
    """

    t1: npt.NDArray[np.int16]
    flair: npt.NDArray[np.int16]
    lesions: npt.NDArray[np.uint8]
    tissues: npt.NDArray[np.uint8]
    geometry: Geometry


def render_brain(rng: np.random.Generator, *, size_px: int, slices: int) -> BrainPair:
    """Scan an invented brain in two contrasts.

    Args:
        rng: Where everything is drawn from.
        size_px: Rows and columns of a slice, which is 192 mm wide: 96 makes 2 mm.
        slices: How many, over 168 mm.
    """
    anatomy, place, texture, *scans = rng.spawn(5)
    spacing = (_HEIGHT_MM / slices, _FIELD_MM / size_px, _FIELD_MM / size_px)
    shape = (slices, size_px, size_px)
    lines = [(np.arange(count) - (count - 1) / 2.0) * step for count, step in zip(shape, spacing, strict=True)]
    z, y, x = np.meshgrid(*lines, indexing="ij")
    tissues = grow_brain(anatomy, (z - 6.0, y, x), spacing_mm=spacing)
    grain = noise(texture, shape, cells=(_HEIGHT_MM / 7, _FIELD_MM / 7, _FIELD_MM / 7))
    volumes = {
        contrast: _scan(scan, tissues, contrast=contrast, grain=grain)
        for scan, contrast in zip(scans, ("t1", "flair"), strict=True)
    }
    return BrainPair(
        t1=volumes["t1"],
        flair=volumes["flair"],
        lesions=(tissues == Tissue.LESION).astype(np.uint8),
        tissues=np.where(tissues == Tissue.LESION, Tissue.WHITE, tissues).astype(np.uint8),
        geometry=axial_geometry(shape, spacing_mm=spacing, centre_mm=np.round(place.normal(0.0, 6.0, size=3), 1)),
    )


def write_study(
    folder: Path,
    *,
    seed: int,
    subjects: int,
    size_px: int = 96,
    slices: int | None = None,
    dicom: bool = False,
    first_subject: int = 0,
) -> Path:
    """Write a study of two paired domains, ``t1`` and ``flair``: each brain in both, voxel upon voxel.

    The manifest's ``mask`` holds the white-matter lesions (0 and 1), ``pair_id`` joins a brain's contrasts, and the
    free column ``tissues`` names the tissue labels (1 CSF, 2 cortex, 3 white matter, 4 deep grey matter).
    Where DICOM is asked for, the free column ``dicom`` names the folder of the same volume as a series.

    Args:
        folder: Where to write; made if missing.
        seed: Subject k depends on the seed and on k alone.
        subjects: How many; two volumes each.
        size_px: Rows and columns; 96 makes 2 mm voxels.
        slices: Slices of a volume; None for cubic voxels.
        dicom: Whether to write each volume as a DICOM series too.
        first_subject: Number of the first subject, for a further set of other people under the same seed.

    Returns:
        Path of the manifest.

    Raises:
        SettingsError: S060 for a study that cannot be made.
    """
    check_request(subjects=subjects, size_px=size_px)
    count = slices or round(size_px * _HEIGHT_MM / _FIELD_MM)
    cases = []
    for number in range(first_subject, first_subject + subjects):
        pair = render_brain(generator(seed, "brain", number), size_px=size_px, slices=count)
        cases += _write_pair(folder, pair, subject=f"B{number:04d}", dicom=dicom)
    return finish(folder, cases)


def _write_pair(folder: Path, pair: BrainPair, *, subject: str, dicom: bool) -> list[Case]:
    geometry = pair.geometry
    mask = write_nifti(folder, f"lesions/{subject}", array=pair.lesions, geometry=geometry)
    tissues = write_nifti(folder, f"tissues/{subject}", array=pair.tissues, geometry=geometry)
    cases = []
    for domain, array in (("flair", pair.flair), ("t1", pair.t1)):
        extra = {"tissues": tissues}
        if dicom:
            extra["dicom"] = write_dicom(
                folder,
                f"dicom/{subject}_{domain}",
                array=array,
                geometry=geometry,
                modality="MR",
                subject=subject,
                description=f"Brain {domain}",
            )
        image = write_nifti(folder, f"{domain}/{subject}", array=array, geometry=geometry)
        cases.append(
            Case(
                case_id=f"{subject}_{domain}",
                subject_id=subject,
                domain=domain,
                image=image,
                mask=mask,
                pair_id=subject,
                extra=extra,
            )
        )
    return cases


def _scan(
    rng: np.random.Generator, tissues: npt.NDArray[np.uint8], *, contrast: str, grain: Field
) -> npt.NDArray[np.int16]:
    """Signal of the tissues, blurred by the voxel, shaded by the coil, with Rician noise; cut out along the brain."""
    brain = tissues != Tissue.OUTSIDE
    truth = _SIGNAL[contrast][tissues] * (1.0 + 0.025 * grain)
    # Normalised inside the brain, so that its rim does not darken into the background.
    weight = ndimage.gaussian_filter(brain.astype(np.float64), 0.5)
    signal = ndimage.gaussian_filter(truth, 0.5) / np.maximum(weight, 0.05)
    shading = np.exp(0.06 * noise(rng, tissues.shape, cells=1.6))
    sigma = _NOISE[contrast]
    real = signal * shading + rng.normal(0.0, sigma, size=signal.shape)
    imaginary = rng.normal(0.0, sigma, size=signal.shape)
    scale = rng.uniform(0.8, 1.25)
    return np.asarray(np.maximum(np.rint(np.hypot(real, imaginary) * scale), 1.0) * brain, dtype=np.int16)
