"""Exhibits: which cases a report shows before and after, and their pictures."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from medgan.errors import ManifestError, about
from medgan.imaging.case_images import read_case_image
from medgan.imaging.image import Image
from medgan.imaging.intensity import Window
from medgan.imaging.read import read_label
from medgan.manifests.manifest import Case
from medgan.reports.content import BeforeAfter
from medgan.samples.naming import about_case
from medgan.samples.seeds import rng_for
from medgan.settings.study import Study
from medgan.stages.compare import TRIVIAL_METHODS, higher_is_better
from medgan.stages.materials import Materials
from medgan.stages.measure import SIMILARITY, find_pairs, read_true
from medgan.stages.trained import open_run
from medgan.stages.workspace import train_job
from medgan.transforms.prepare import Prepared, prepare

PICTURE_SEED = 0
SHOWN = 3
Picture = npt.NDArray[np.uint8]


def before_after(study: Study, materials: Materials, rows: pd.DataFrame) -> tuple[BeforeAfter, ...]:
    """Pictures of the study's first learned translator on test subjects: the worst cases, then random ones."""
    plan = next((plan for plan in study.translators if plan.method not in TRIVIAL_METHODS), None)
    if plan is None:
        return ()
    fold, seed = study.folds_to_run[0], study.seeds[0]
    subjects = materials.folds.test(fold)
    translated = {case.case_id: case for case in materials.translated(plan.name, fold, seed).of_subjects(subjects)}
    originals = {case.case_id: case for case in materials.cases([study.direction.source], subjects)}
    here = rows[(rows.fold == fold) & (rows.seed == seed)]
    worst = _worst(study, plan.name, here)
    left = sorted(set(translated) - set(worst))
    drawn = rng_for(PICTURE_SEED, "pictures").permutation(len(left))[:SHOWN]
    shown = list(worst.items()) + [
        (left[index], f"drawn at random from {len(translated)} test cases") for index in drawn
    ]
    draw = _Drawer(study, materials, plan.name, fold, seed)
    return tuple(
        draw(originals[case_id], translated[case_id], note=note, worst=case_id in worst)
        for case_id, note in shown
        if case_id in translated
    )


def _worst(study: Study, translator: str, rows: pd.DataFrame) -> dict[str, str]:
    """The cases that came out worst: least like the truth, or lost most in what a model makes of them."""
    if study.similarity:
        name = study.similarity[0]
        own = rows[(rows.task == SIMILARITY) & (rows.arm == translator) & (rows.metric == name)]
        ordered = own.sort_values("value", ascending=higher_is_better(name))
        shown = ordered.head(SHOWN)
        return {str(c): f"worst {name}: {v:.3g}" for c, v in zip(shown.case_id, shown.value, strict=True)}
    for task in study.tasks:
        name = "dice" if task.label == "mask" else "expected_class"
        own = rows[(rows.task == task.name) & (rows.metric == name) & (rows.arm == task.baseline)]
        values = own.pivot_table(index="case_id", columns="tested_on", values="value")
        if {"source", translator} <= set(values.columns):
            change = (values[translator] - values["source"]).sort_values()
            return {str(c): f"largest fall in {task.name} {name}: {v:+.3f}" for c, v in change.head(SHOWN).items()}
    return {}


class _Drawer:
    """Draws one case before and after, with the mask's outline and a true image where there are any."""

    def __init__(self, study: Study, materials: Materials, translator: str, fold: int, seed: int) -> None:
        self._study, self._materials, self._name = study, materials, translator
        self._window = open_run(study.output / train_job(translator, fold, seed), device="cpu").windows
        self._translated = materials.translated(translator, fold, seed)
        self._cap = study.preparation.max_megapixels

    def __call__(self, original: Case, translated: Case, *, note: str, worst: bool) -> BeforeAfter:
        with about_case(self._materials.manifest, original):
            source = read_case_image(
                self._materials.manifest,
                original,
                max_megapixels=self._cap,
                fill_not_finite=self._study.preparation.fill_not_finite,
            )
            prepared = prepare(source, self._study.preparation)
            label = self._label(original, source)
        index = _slice(source, label)
        with about_case(self._translated, translated):
            output = read_case_image(self._translated, translated, max_megapixels=self._cap)
        reference = self._reference(translated)
        return BeforeAfter(
            case_id=original.case_id,
            source=_picture(source, prepared.trace.window, index),
            output=_picture(output, self._target_window(prepared), index),
            reference=reference if reference is None else _picture(*reference, index),
            source_mask=None if label is None else _plane(label[None], source, index)[0],
            note=note,
            worst=worst,
            source_label=original.domain,
            output_label=f"{self._study.direction.target}, by {self._name}",
            reference_label=f"true {self._study.direction.target}",
        )

    def _label(self, case: Case, image: Image) -> npt.NDArray[np.int64] | None:
        path = self._materials.manifest.mask_path(case)
        if path is None:
            return None
        return read_label(path, like=image, max_megapixels=self._cap).astype(np.int64)

    def _target_window(self, prepared: Prepared) -> Window:
        own = prepared.trace.window
        return own if own.unit == "level" else self._window[self._study.direction.target]

    def _reference(self, translated: Case) -> tuple[Image, Window] | None:
        if not self._study.similarity:
            return None
        one = type(self._translated)(cases=(translated,), root=self._translated.root)
        try:
            pair = find_pairs(one, self._materials.manifest, column=self._study.reference_column)[0]
        except ManifestError:
            return None  # a case without a true image
        with about(pair.case.where, pair.files):
            image = read_true(pair, self._study.preparation)
            return image, prepare(image, self._study.preparation).trace.window


def _slice(source: Image, label: npt.NDArray[np.int64] | None) -> int:
    """The axial slice to show: the one with most of the label, else with most of the body."""
    if source.geometry is None:
        return 0
    if label is not None and label.any():
        upright = _upright(label[None], source)[0]
        return int(upright.reshape(len(upright), -1).astype(bool).sum(axis=1).argmax())
    return int(_upright(source.pixels, source).shape[1] // 2)


def _picture(image: Image, window: Window, index: int) -> Picture:
    """An 8-bit picture of a photograph or of one axial slice, hung as radiologists do."""
    plane = _plane(image.pixels, image, index)
    levels = np.rint((window.to_unit(plane) + 1.0) * 127.5).astype(np.uint8)
    return np.ascontiguousarray(levels[0] if levels.shape[0] == 1 else np.moveaxis(levels, 0, -1))


def _plane(array: npt.NDArray[np.generic], image: Image, index: int) -> npt.NDArray[np.generic]:
    return array if image.geometry is None else _upright(array, image)[:, index]


def _upright(array: npt.NDArray[np.generic], image: Image) -> npt.NDArray[np.generic]:
    from medgan.imaging.geometry import reorient

    if image.geometry is None:
        return array
    return reorient(array, image.geometry, axis_codes="SPL")[0]
