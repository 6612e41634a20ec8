"""Translate: a run and a manifest in, a translated manifest out."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from medgan.errors import MedganError
from medgan.imaging.case_images import read_case_image
from medgan.imaging.image import Image
from medgan.imaging.write import write_image
from medgan.manifests.file_checks import files_of
from medgan.manifests.manifest import Case, Manifest, write_manifest
from medgan.samples.naming import about_case
from medgan.settings.study import Study
from medgan.stages.arguments import JobArguments
from medgan.stages.materials import open_materials
from medgan.stages.progress import Progress
from medgan.stages.room import require_room, sweep
from medgan.stages.trained import TrainedTranslator, open_run
from medgan.stages.translate_masks import copy_mask, suffix_of
from medgan.stages.workspace import Workspace, train_job
from medgan.stages.writer import WriterBehind
from medgan.training.device import set_threads


def run(study: Study, arguments: JobArguments, folder: Path, progress: Progress) -> list[Path]:
    """Translate the study's source images: those of the test subjects, and all where an arm trains on them.

    Returns:
        The translated manifest, and its images.
    """
    set_threads(study.threads)
    materials = open_materials(study)
    fold, seed = arguments.place
    name = arguments.named("translator")
    place = Workspace(study.output).require(train_job(name, fold, seed))
    trained = open_run(place, device=study.device, precision=study.translation_precision)
    subjects = set(materials.folds.test(fold))
    if any(arm.images == name for task in study.tasks for arm in task.arms):
        subjects |= materials.folds.train(fold)
    cases = materials.cases([study.direction.source], subjects)
    translated = translate_manifest(trained, materials.manifest, folder, cases=cases, go_on=True, progress=progress)
    masks = [file for case in translated if (path := translated.mask_path(case)) is not None for file in files_of(path)]
    images = [file for case in translated for file in files_of(translated.image_path(case))]
    return [folder / "manifest.csv", folder / "manifest.json", *images, *masks]


def translate_manifest(
    trained: TrainedTranslator,
    manifest: Manifest,
    folder: Path,
    *,
    cases: Sequence[Case] | None = None,
    go_on: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Translate cases of a manifest and write images, masks and ``manifest.csv``.

    While one case is written, the next is computed; what goes wrong in either names its case. An image appears under
    its name only when it is whole.

    Every image keeps its format, size and geometry. The new manifest names its parent's digest and the run, and its
    cases carry the domain wanted, their labels, and the domain they came from in the column ``translated_from``.
    The parent's free columns go with them, but for paths: files lie elsewhere, and may be named after patients.

    Args:
        trained: A finished run.
        manifest: The parent.
        folder: Where to write.
        cases: Those to translate; all by default.
        go_on: Whether images that are there are kept: only for a folder that holds nothing but this run's.
        progress: Told how far it is.

    Raises:
        WriteError: W013, before anything is written, if the images will not fit on the disk.
    """
    chosen = manifest.cases if cases is None else cases
    sweep(folder)
    require_room(folder, manifest, [case for case in chosen if not (go_on and _is_made(manifest, case, folder))])
    shown: Iterable[Case] = progress.over(chosen, doing="translating") if progress else chosen
    with WriterBehind() as behind:
        done = tuple(_translate_case(trained, manifest, case, folder, go_on=go_on, behind=behind) for case in shown)
    translated = Manifest(
        cases=done, root=folder, parent=manifest.digest, run=trained.run, precision=trained.computed_in
    )
    write_manifest(translated, folder / "manifest.csv")
    return translated


def _translate_case(
    trained: TrainedTranslator, manifest: Manifest, case: Case, folder: Path, *, go_on: bool, behind: WriterBehind
) -> Case:
    source_path = manifest.image_path(case)
    name, cap = safe_name(case.case_id), trained.preparation.max_megapixels
    mask = None
    with about_case(manifest, case):
        image = translated_name(source_path, case)
        made = go_on and (folder / image).exists()
        source = None if made else _read(trained, manifest, case)
        if case.mask is not None:
            mask = copy_mask(manifest, case, folder / "masks" / name, cap=cap).relative_to(folder)
        if source is not None:
            behind.begin()
            result = trained.translate(source)
            write = partial(_write, result, source, folder / image, trained=trained, manifest=manifest, case=case)
    if source is not None:  # outside, so that what went wrong with the case before is not told of this one
        behind.hand_over(write)
    return replace(
        case,
        domain=trained.gives,
        volume=None,
        series=None,
        image=str(image),
        mask=None if mask is None else str(mask),
        extra=_free_columns(manifest, case) | {"translated_from": case.domain},
    )


def _is_made(manifest: Manifest, case: Case, folder: Path) -> bool:
    try:
        return (folder / translated_name(manifest.image_path(case), case)).exists()
    except MedganError:
        return False  # it is told with its case when its turn comes


def _read(trained: TrainedTranslator, manifest: Manifest, case: Case) -> Image:
    preparation = trained.preparation
    return read_case_image(
        manifest,
        case,
        max_megapixels=preparation.max_megapixels,
        guard=True,
        fill_not_finite=preparation.fill_not_finite,
    )


def _write(
    result: Image, source: Image, path: Path, *, trained: TrainedTranslator, manifest: Manifest, case: Case
) -> None:
    with about_case(manifest, case):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(result, path, like=source, derivation=trained.derivation_from(case.domain))


def _free_columns(manifest: Manifest, case: Case) -> dict[str, str]:
    """A case's free columns without those that name a file."""

    def is_path(value: str) -> bool:
        return "/" in value or "\\" in value or ("." in value and (manifest.root / value).is_file())

    return {name: value for name, value in case.extra.items() if not is_path(value)}


def translated_name(source: Path, case: Case) -> Path:
    """Where the translation of a case lies below the results."""
    return Path("images") / (safe_name(case.case_id) + suffix_of(source))


def safe_name(case_id: str) -> str:
    """A file name for a case: its id where that is harmless, else a digest of it."""
    harmless = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}", case_id)
    return case_id if harmless else "case-" + hashlib.sha256(case_id.encode()).hexdigest()[:16]
