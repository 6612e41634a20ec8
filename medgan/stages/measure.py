"""Measure: how like the true target images the translated ones are, where there are pairs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medgan.errors import GeometryError, ManifestError, about
from medgan.imaging.geometry import reorient, same_place
from medgan.imaging.image import Image
from medgan.imaging.intensity import Window
from medgan.imaging.read import read_image
from medgan.manifests.manifest import Case, Manifest
from medgan.metrics.catalogue import metric
from medgan.settings.preparation import Preparation
from medgan.settings.study import Study
from medgan.stages.arguments import JobArguments
from medgan.stages.materials import open_materials, used_translators
from medgan.stages.progress import Progress
from medgan.stages.rows import Row, write_rows
from medgan.stages.trained import open_run
from medgan.stages.workspace import Workspace, train_job
from medgan.transforms.prepare import prepare, restore_label

SIMILARITY = "similarity"


@dataclass(frozen=True)
class Pair:
    """A translated case and the true image of the same thing, with the volume or series that its row chooses."""

    case: Case
    translated: Path
    reference: Path
    volume: int | None = None
    series: str | None = None

    @property
    def files(self) -> dict[str, Path | None]:
        """The two images, as errors call them."""
        return {"translated image": self.translated, "true image": self.reference}


def run(study: Study, arguments: JobArguments, folder: Path, progress: Progress) -> list[Path]:
    """Compare each translator's output on the test subjects with the true target images.

    Returns:
        The rows, with the translator as arm.
    """
    materials = open_materials(study)
    fold, seed = arguments.place
    subjects = materials.folds.test(fold)
    rows: list[Row] = []
    for name in used_translators(study):
        trained = open_run(Workspace(study.output).require(train_job(name, fold, seed)), device="cpu")
        translated = materials.translated(name, fold, seed).of_subjects(subjects)
        pairs = find_pairs(translated, materials.manifest, column=study.reference_column)
        for pair in progress.over(pairs, doing=f"measuring {name}"):
            scores = compare_pair(
                pair, names=study.similarity, preparation=study.preparation, window=trained.windows[trained.target]
            )
            rows.extend(
                Row(
                    task=SIMILARITY,
                    arm=name,
                    tested_on="target",
                    target_cases="all",
                    fold=fold,
                    seed=seed,
                    case_id=pair.case.case_id,
                    subject_id=pair.case.subject_id,
                    metric=metric_name,
                    value=value,
                )
                for metric_name, value in scores
            )
    return [write_rows(rows, folder / "rows.csv")]


def find_pairs(translated: Manifest, reference: Manifest, *, column: str | None = None) -> list[Pair]:
    """Match translated cases with true images of the target domain.

    Args:
        translated: Translated cases, whose domain is the target.
        reference: Manifest that holds the true images.
        column: Column with the true image's path below the reference's root, in the reference's row of the same
            case_id; by default the reference's case of the same domain and pair_id.

    Raises:
        ManifestError: M010, if no case has a partner.
    """
    if column is not None:
        paths = {case.case_id: case.extra.get(column, "") for case in reference}
        pairs = [
            Pair(case, translated.image_path(case), reference.root / path)
            for case in translated
            if (path := paths.get(case.case_id))
        ]
    else:
        partners = {(case.domain, case.pair_id): case for case in reference if case.pair_id}
        pairs = [
            Pair(case, translated.image_path(case), reference.image_path(true), true.volume, true.series)
            for case in translated
            if (true := partners.get((case.domain, case.pair_id or ""))) is not None
        ]
    if not pairs:
        raise ManifestError(
            "M010",
            "no translated case has a true image to compare with",
            remedy="fill pair_id, or leave similarity out",
        )
    return pairs


def compare_pair(
    pair: Pair, *, names: tuple[str, ...], preparation: Preparation, window: Window
) -> Iterator[tuple[str, float]]:
    """Scores of one translated image against the true one.

    Both are put on the scale [0, 1] of the target's intensity window: the fixed window for CT and photographs; for
    MR, whose units are arbitrary, the contract's window for the translated volume and the true volume's own
    percentiles for the true one, so that data_range is 1. The mask is the true image's field of view or foreground.
    """
    with about(pair.case.where, pair.files):
        translated = read_image(pair.translated, max_megapixels=preparation.max_megapixels, guard=True)
        reference = read_true(pair, preparation)
        prepared = prepare(reference, preparation)
    field = restore_label(prepared.field.astype(np.uint8), prepared.trace).astype(bool)
    reference, field = same_grid(reference, field, like=translated, where=f"case {pair.case.case_id}")
    own = prepared.trace.window
    output_window = own if own.unit == "level" else window
    pixels = unit_scale(reference, own), unit_scale(translated, output_window)
    for name in names:
        yield name, _score(name, *pixels, mask=field)


def read_true(pair: Pair, preparation: Preparation) -> Image:
    """The true image of a pair."""
    return read_image(
        pair.reference,
        max_megapixels=preparation.max_megapixels,
        volume=pair.volume,
        series=pair.series,
        guard=True,
        fill_not_finite=preparation.fill_not_finite,
    )


def same_grid(
    image: Image, field: npt.NDArray[np.bool_], *, like: Image, where: str
) -> tuple[Image, npt.NDArray[np.bool_]]:
    """An image and its field with the axes of another, whose grid must be the same.

    Raises:
        GeometryError: G003, if the shapes differ; G004, if the grids lie elsewhere.
    """
    if image.geometry is not None and like.geometry is not None:
        codes = like.geometry.axis_codes
        turned, geometry = reorient(image.pixels, image.geometry, axis_codes=codes)
        field = reorient(field[None], image.geometry, axis_codes=codes)[0][0].astype(bool)
        image = replace(image, pixels=turned, geometry=geometry)
        if image.pixels.shape == like.pixels.shape and not same_place(geometry, like.geometry):
            raise GeometryError(
                "G004", "the true image lies on another grid", where=where, remedy="resample one of them"
            )
    if image.pixels.shape != like.pixels.shape:
        raise GeometryError(
            "G003",
            "the true image has another shape",
            where=where,
            got=str(image.pixels.shape),
            expected=str(like.pixels.shape),
        )
    return image, field


def unit_scale(image: Image, window: Window) -> npt.NDArray[np.float32]:
    """Pixels on the scale [0, 1] of a window, clipped."""
    scaled: npt.NDArray[np.float32] = (window.to_unit(image.pixels) + 1.0) / 2.0
    return scaled


def _score(
    name: str,
    reference: npt.NDArray[np.float32],
    output: npt.NDArray[np.float32],
    *,
    mask: npt.NDArray[np.bool_],
) -> float:
    grey = reference.shape[0] == 1
    pair = (reference[0], output[0]) if grey else (reference, output)
    value = metric(name).score(*pair, known={"mask": mask, "channel_axis": None if grey else 0, "data_range": 1.0})
    # PSNR of equal images is infinite: no mean over cases could hold it, so it is undefined and counted.
    return value if math.isfinite(value) else math.nan
