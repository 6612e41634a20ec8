"""Scores a trained downstream model on a manifest, case by case, on each image's own grid."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from medgan import discover
from medgan.errors import CheckpointError, ManifestError
from medgan.imaging.case_images import read_case_image
from medgan.imaging.image import Image
from medgan.imaging.read import read_label
from medgan.imaging.slices import crop_back, fit_square, neighbour_stack, pad_to_multiple
from medgan.manifests.manifest import Case, Manifest
from medgan.metrics.catalogue import metric
from medgan.metrics.semantic import class_shares
from medgan.metrics.surface import hd95, hd95_px
from medgan.samples.naming import about_case
from medgan.settings.loop import DeviceName
from medgan.settings.preparation import Preparation
from medgan.settings.study import Task
from medgan.stages.arguments import JobArguments
from medgan.stages.progress import Progress
from medgan.stages.rows import Row
from medgan.stages.set_statistic import share_names
from medgan.training.device import pick_device
from medgan.training.weights import load_weights, read_weights
from medgan.transforms.prepare import Prepared, prepare, restore_label

OVERLAPS = ("dice", "jaccard", "thresholded_jaccard", "pixel_accuracy", "sensitivity", "specificity")
BATCH = 8


class HasPixels(Protocol):
    """A prepared image, from memory or from the store."""

    @property
    def pixels(self) -> npt.NDArray[np.float32]:
        """(C, H, W) or (C, D, H, W) in [-1, 1]."""


@dataclass(frozen=True)
class TrainedModel:
    """A downstream model in evaluation mode, and how its images are prepared."""

    learner: Any
    task: Task
    preparation: Preparation
    device: torch.device


def open_model(run: Path | str, *, device: DeviceName = "auto") -> TrainedModel:
    """Open a finished downstream run.

    Raises:
        CheckpointError: If the weights are absent, damaged or not a downstream model's.
    """
    info, tensors = read_weights(Path(run))
    context, shape = info.identity.context, info.identity.shape
    if "task" not in context:
        raise CheckpointError("C004", "not a downstream run", where=str(run), expected="the folder of a downstream job")
    task = Task.model_validate(context["task"])
    learner_type = discover.load("medgan.downstream", task.task).task
    recipe = learner_type.recipe_type.model_validate(info.identity.recipe)
    learner = learner_type.blank(recipe, channels=shape["channels"], classes=task.classes)
    load_weights(learner, tensors)
    where = pick_device(device)
    return TrainedModel(learner.eval().to(where), task, Preparation.model_validate(context["preparation"]), where)


def score_manifest(
    model: TrainedModel,
    manifest: Manifest,
    *,
    place: JobArguments,
    tested_on: str,
    doing: str,
    progress: Progress | None = None,
) -> list[Row]:
    """Score every case of a manifest that has the task's label.

    Returns:
        For segmentation one row per case, class and overlap or distance, and the shares of the pixels that FCN scores
        are made of; for classification the reference, the
        predicted class, each class's probability and the expected class (sum of class times probability).
    """
    rows: list[Row] = []
    cases = progress.over(manifest.cases, doing=doing) if progress else manifest.cases
    for case in cases:
        with about_case(manifest, case):
            image = read_case_image(
                manifest,
                case,
                max_megapixels=model.preparation.max_megapixels,
                guard=True,
                fill_not_finite=model.preparation.fill_not_finite,
            )
            prepared = prepare(image, model.preparation)
            if model.task.label == "mask":
                scores = _segmentation(model, prepared, image, manifest, case)
            else:
                scores = _classification(model, prepared, case)
            rows.extend(_row(model.task.name, name, value, case, place, tested_on) for name, value in scores)
    return rows


@torch.inference_mode()
def predict_label(model: TrainedModel, prepared: HasPixels) -> npt.NDArray[np.int64]:
    """Segment a prepared image; integer labels of shape (H, W) or (D, H, W) on the prepared grid."""
    pixels = prepared.pixels
    volume = pixels if pixels.ndim == 4 else pixels[:, None]
    neighbours = model.learner.recipe.neighbours
    stacks = np.stack([neighbour_stack(volume, index, neighbours=neighbours) for index in range(volume.shape[1])])
    padded, before = pad_to_multiple(stacks, model.learner.size_multiple)
    labels = [
        model.learner.predict(torch.from_numpy(padded[start : start + BATCH]).to(model.device)).cpu().numpy()
        for start in range(0, len(padded), BATCH)
    ]
    whole: npt.NDArray[np.int64] = crop_back(np.concatenate(labels)[:, None], before)[:, 0]
    return whole if pixels.ndim == 4 else whole[0]


@torch.inference_mode()
def predict_classes(model: TrainedModel, prepared: HasPixels) -> npt.NDArray[np.float64]:
    """Class probabilities of a prepared photograph, shape (K,)."""
    multiple = model.learner.size_multiple
    side = -(-max(prepared.pixels.shape[-2:]) // multiple) * multiple
    square, _ = fit_square(prepared.pixels, side)
    batch = torch.from_numpy(np.ascontiguousarray(square))[None].to(model.device)
    probabilities: npt.NDArray[np.float64] = model.learner.probabilities(batch)[0].double().cpu().numpy()
    return probabilities


def class_label(raw: npt.NDArray[Any], values: tuple[int, ...], *, where: str = "") -> npt.NDArray[np.int64]:
    """Map a mask file's values to classes 1, 2, ...; 0 is the background.

    Raises:
        ManifestError: M052, if a value is not among those that the task names.
    """
    unknown = sorted(set(np.unique(raw).tolist()) - {0, *values})
    if unknown:
        raise ManifestError(
            "M052",
            "the mask holds values that the task does not name",
            where=where,
            got=", ".join(map(str, unknown[:10])),
            expected=f"0 and {', '.join(map(str, values))}",
            remedy="name them in mask_values, or correct the mask",
        )
    label = np.zeros(raw.shape, dtype=np.int64)
    for index, value in enumerate(values, start=1):
        label[raw == value] = index
    return label


def _segmentation(
    model: TrainedModel, prepared: Prepared, image: Image, manifest: Manifest, case: Case
) -> Iterator[tuple[str, float]]:
    mask_path = manifest.mask_path(case)
    if mask_path is None:
        raise AssertionError("cases without a mask are left out before")
    reference = class_label(
        read_label(mask_path, like=image, max_megapixels=model.preparation.max_megapixels, guard=True),
        model.task.mask_values,
    )
    predicted = restore_label(predict_label(model, prepared), prepared.trace)
    shares = class_shares(reference, predicted, classes=range(model.task.classes))
    yield from zip(share_names(model.task.classes), np.concatenate(shares).tolist(), strict=True)
    for index in range(1, model.task.classes):
        suffix = "" if model.task.classes == 2 else f"_{index}"
        for name in OVERLAPS:
            yield name + suffix, metric(name).score(reference, predicted, known={"label": index})
        if image.geometry is None:
            yield "hd95_px" + suffix, hd95_px(reference, predicted, label=index)
        else:
            yield "hd95" + suffix, hd95(reference, predicted, label=index, spacing_mm=image.geometry.spacing_mm)


def _classification(model: TrainedModel, prepared: Prepared, case: Case) -> Iterator[tuple[str, float]]:
    probabilities = predict_classes(model, prepared)
    yield "reference", float(getattr(case, model.task.label))
    yield "predicted", float(probabilities.argmax())
    yield "expected_class", float((probabilities * np.arange(len(probabilities))).sum())
    for index, value in enumerate(probabilities):
        yield f"p{index}", float(value)


def _row(task: str, name: str, value: float, case: Case, place: JobArguments, tested_on: str) -> Row:
    return Row(
        task=task,
        arm=place.arm or "",
        tested_on=tested_on,
        target_cases=place.target_cases or "all",
        fold=-1 if place.fold is None else place.fold,
        seed=-1 if place.seed is None else place.seed,
        case_id=case.case_id,
        subject_id=case.subject_id,
        metric=name,
        value=value,
    )
