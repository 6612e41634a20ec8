"""Abdominal CT in Hounsfield units, with and without contrast, with organs known; NIfTI and DICOM."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medgan.errors import SettingsError
from medgan.imaging.geometry import Geometry
from medgan.manifests.manifest import Case
from medgan.phantoms._abdomen import Tissue, grow_abdomen
from medgan.phantoms._study import check_request, finish
from medgan.phantoms._texture import Field, generator, noise
from medgan.phantoms._volume import axial_geometry, write_dicom, write_nifti

__all__ = ["DOMAINS", "LABELS", "CtPair", "render_ct", "write_study"]

DOMAINS = ("contrast", "noncontrast")
LABELS = {"liver": 1, "kidney": 2, "spleen": 3}
_FIELD_MM, _HEIGHT_MM = 400.0, 190.0
_NOISE_HU = 13.0

# Mean attenuation without contrast and in the portal venous phase, in HU.
_HU = {
    Tissue.AIR: (-1000, -1000),
    Tissue.TABLE: (-380, -380),
    Tissue.SKIN: (20, 25),
    Tissue.FAT: (-108, -106),
    Tissue.MUSCLE: (54, 64),
    Tissue.VISCERAL_FAT: (-102, -98),
    Tissue.BOWEL_WALL: (38, 85),
    Tissue.BOWEL_CONTENT: (18, 20),
    Tissue.GAS: (-900, -900),
    Tissue.STOMACH: (28, 34),
    Tissue.LIVER: (58, 112),
    Tissue.LIVER_VESSEL: (44, 160),
    Tissue.GALLBLADDER: (8, 9),
    Tissue.SPLEEN: (49, 124),
    Tissue.KIDNEY_CORTEX: (33, 195),
    Tissue.KIDNEY_MEDULLA: (30, 168),
    Tissue.KIDNEY_SINUS: (-55, -35),
    Tissue.PANCREAS: (40, 98),
    Tissue.AORTA: (43, 162),
    Tissue.VENA_CAVA: (40, 142),
    Tissue.MARROW: (165, 175),
    Tissue.CORTICAL_BONE: (620, 620),
    Tissue.CANAL: (22, 24),
    Tissue.DISC: (85, 88),
}


@dataclass(frozen=True, kw_only=True)
class CtPair:
    """One patient scanned without and with contrast, on one grid.

    Args:
        noncontrast: HU, shape (D, H, W), int16.
        contrast: HU in the portal venous phase, shape (D, H, W), int16.
        labels: 0 other, 1 liver, 2 kidney, 3 spleen, shape (D, H, W).
        geometry: Grid; axial, slices upward.
    """

    noncontrast: npt.NDArray[np.int16]
    contrast: npt.NDArray[np.int16]
    labels: npt.NDArray[np.uint8]
    geometry: Geometry


def render_ct(rng: np.random.Generator, *, size_px: int, slices: int) -> CtPair:
    """Scan an invented patient twice.

    Args:
        rng: Where everything is drawn from.
        size_px: Rows and columns of a slice, which is 400 mm wide.
        slices: How many, over 190 mm.

    Raises:
        SettingsError: S060 for fewer than 4 slices.
    """
    if slices < 4:
        raise SettingsError("S060", "too few slices for an abdomen", got=str(slices), expected=">= 4")
    anatomy, chemistry, *scans = rng.spawn(4)
    spacing = (_HEIGHT_MM / slices, _FIELD_MM / size_px, _FIELD_MM / size_px)
    shape = (slices, size_px, size_px)
    at = np.meshgrid(*(_axis(count, step) for count, step in zip(shape, spacing, strict=True)), indexing="ij")
    tissues = grow_abdomen(anatomy, (at[0], at[1], at[2]))
    shift = chemistry.normal(0.0, 3.0, size=len(Tissue))
    arrival = chemistry.uniform(0.85, 1.15)
    grain = noise(chemistry, shape, cells=(_HEIGHT_MM / 12, _FIELD_MM / 9, _FIELD_MM / 9))
    volumes = [
        _scan(rng_scan, tissues, table=_attenuation(enhanced, shift=shift, arrival=arrival), grain=grain, at_mm=spacing)
        for rng_scan, enhanced in zip(scans, (False, True), strict=True)
    ]
    return CtPair(
        noncontrast=volumes[0],
        contrast=volumes[1],
        labels=_labels(tissues),
        geometry=axial_geometry(shape, spacing_mm=spacing, centre_mm=np.round(anatomy.normal(0.0, 8.0, size=3), 1)),
    )


def write_study(
    folder: Path,
    *,
    seed: int,
    subjects: int,
    size_px: int = 96,
    slices: int = 24,
    dicom: bool = False,
    first_subject: int = 0,
) -> Path:
    """Write a study of two domains, ``contrast`` and ``noncontrast``, each patient scanned in both.

    The manifest's ``mask`` holds 1 liver, 2 kidney, 3 spleen; ``pair_id`` joins the scans of a patient.
    Where DICOM is asked for, the free column ``dicom`` names the folder of the same volume as a series.

    Args:
        folder: Where to write; made if missing.
        seed: Subject k depends on the seed and on k alone.
        subjects: How many; two volumes each.
        size_px: Rows and columns.
        slices: Slices of a volume.
        dicom: Whether to write each volume as a DICOM series too.
        first_subject: Number of the first subject, for a further set of other people under the same seed.

    Returns:
        Path of the manifest.

    Raises:
        SettingsError: S060 for a study that cannot be made.
    """
    check_request(subjects=subjects, size_px=size_px)
    cases = []
    for number in range(first_subject, first_subject + subjects):
        pair = render_ct(generator(seed, "ct", number), size_px=size_px, slices=slices)
        cases += _write_pair(folder, pair, subject=f"C{number:04d}", dicom=dicom)
    return finish(folder, cases)


def _write_pair(folder: Path, pair: CtPair, *, subject: str, dicom: bool) -> list[Case]:
    mask = write_nifti(folder, f"labels/{subject}", array=pair.labels, geometry=pair.geometry)
    cases = []
    for domain, array in (("contrast", pair.contrast), ("noncontrast", pair.noncontrast)):
        extra = {}
        if dicom:
            extra["dicom"] = write_dicom(
                folder,
                f"dicom/{subject}_{domain}",
                array=array,
                geometry=pair.geometry,
                modality="CT",
                subject=subject,
                description=f"Abdomen {domain}",
                contrast_agent="Iodine" if domain == "contrast" else None,
            )
        image = write_nifti(folder, f"{domain}/{subject}", array=array, geometry=pair.geometry)
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


def _axis(count: int, step: float) -> Field:
    return np.asarray((np.arange(count) - (count - 1) / 2.0) * step, dtype=np.float64)


def _attenuation(enhanced: bool, *, shift: Field, arrival: float) -> Field:  # noqa: FBT001
    """HU of each tissue, by its number: the patient's own, with as much contrast as has arrived."""
    plain, late = (np.array([_HU[tissue][phase] for tissue in Tissue], dtype=np.float64) for phase in (0, 1))
    table = plain + (late - plain) * arrival * enhanced
    soft_tissue = np.abs(plain) < 250
    return np.asarray(table + shift * soft_tissue)


def _scan(
    rng: np.random.Generator,
    tissues: npt.NDArray[np.uint8],
    *,
    table: Field,
    grain: Field,
    at_mm: tuple[float, float, float],
) -> npt.NDArray[np.int16]:
    """Blur by the scanner's point spread and add noise: grainy within a slice, strongest in the middle."""
    solid = ~np.isin(tissues, (Tissue.AIR, Tissue.GAS, Tissue.TABLE))
    bone = np.isin(tissues, (Tissue.MARROW, Tissue.CORTICAL_BONE))
    truth = table[tissues] + grain * (3.0 * solid + 35.0 * bone)
    blurred = ndimage.gaussian_filter(truth, (0.25, 0.55, 0.55))
    white = rng.normal(size=tissues.shape)
    fine = ndimage.gaussian_filter(white, (0.3, 0.6, 0.6)) - 0.7 * ndimage.gaussian_filter(white, (0.3, 2.0, 2.0))
    inside = ndimage.gaussian_filter(solid.astype(np.float64), (0, 60.0 / at_mm[1], 60.0 / at_mm[2]))
    return np.asarray(
        np.clip(np.rint(blurred + _NOISE_HU * fine / fine.std() * (0.35 + inside)), -1024, 3071), dtype=np.int16
    )


def _labels(tissues: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    of_tissue = np.zeros(len(Tissue), dtype=np.uint8)
    of_tissue[[Tissue.LIVER, Tissue.LIVER_VESSEL]] = LABELS["liver"]
    of_tissue[[Tissue.KIDNEY_CORTEX, Tissue.KIDNEY_MEDULLA]] = LABELS["kidney"]
    of_tissue[Tissue.SPLEEN] = LABELS["spleen"]
    return of_tissue[tissues]
