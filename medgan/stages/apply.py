"""Finished runs applied to manifests they have never seen: translations, scores of a model, likeness of images."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from medgan.errors import ManifestError, SettingsError
from medgan.imaging.read import read_image
from medgan.manifests.manifest import read_manifest
from medgan.metrics.catalogue import metrics_of
from medgan.metrics.interval import Estimate, mean_estimate
from medgan.metrics.semantic import OF_SHARES
from medgan.settings.study import Task
from medgan.stages.arguments import JobArguments
from medgan.stages.compare import estimate_of
from medgan.stages.materials import labelled
from medgan.stages.measure import SIMILARITY, compare_pair, find_pairs
from medgan.stages.progress import Progress
from medgan.stages.rows import Row, read_rows, write_rows
from medgan.stages.scoring import open_model, score_manifest
from medgan.stages.set_statistic import share_names
from medgan.stages.trained import TrainedTranslator, open_run
from medgan.stages.translate import translate_manifest


@dataclass(frozen=True, kw_only=True)
class WantedStyles:
    """Which styles new images are translated in, by a method that has some.

    Args:
        random: How many styles are drawn; None draws none.
        seed: Seed of the draw.
        like: Image of the target domain whose style is taken.

    Raises:
        SettingsError: S222, if both are asked for.
    """

    random: int | None = None
    seed: int = 0
    like: Path | None = None

    def __post_init__(self) -> None:
        if self.random is not None and self.like is not None:
            raise SettingsError(
                "S222",
                "random styles and the style of an image exclude each other",
                got=f"{self.random} random styles, and an image",
                expected="one of the two",
                remedy="run it twice, with two folders for the results",
            )

    def of(self, trained: TrainedTranslator) -> dict[str, TrainedTranslator]:
        """A translator for each folder of results, by its name; the folder itself is ``"."``.

        Raises:
            SettingsError: S220, if the method has no styles.
        """
        if self.like is not None:
            preparation = trained.preparation
            fill, cap = preparation.fill_not_finite, preparation.max_megapixels
            reference = read_image(self.like, guard=True, max_megapixels=cap, fill_not_finite=fill)
            return {".": trained.in_style_of(reference)}
        if self.random is None:
            return {".": trained}
        styled = trained.in_random_styles(self.random, seed=self.seed)
        return {f"style_{number}": one for number, one in enumerate(styled)}


def translate_new(
    trained: TrainedTranslator, manifest: Path, data_root: Path, out: Path, *, styles: WantedStyles, progress: Progress
) -> Iterator[str]:
    """Translate the cases of a new manifest that the run takes, once for each style, and write a manifest for each.

    These are the source's; of a run that was turned :meth:`~TrainedTranslator.towards` a domain, those of all others.

    Yields:
        A line for each manifest.
    """
    cases = read_manifest(manifest, root=data_root)
    chosen = cases.of_domains(trained.takes).cases
    for name, translator in styles.of(trained).items():
        folder = out / name
        translated = translate_manifest(translator, cases, folder, cases=chosen, progress=progress)
        yield f"{len(translated)} cases translated: {folder / 'manifest.csv'}"


def score_new(run: Path, manifest: Path, data_root: Path, out: Path, progress: Progress) -> Iterator[str]:
    """Score a trained downstream model on a new manifest and write ``rows.csv``.

    Yields:
        A line per metric: value, interval, subjects, method.

    Raises:
        CheckpointError: If the run is no downstream run.
        ManifestError: M045 or M046, if no case has the label.
    """
    model = open_model(run)
    cases = read_manifest(manifest, root=data_root)
    chosen = replace(cases, cases=tuple(labelled(cases, model.task)))
    if not len(chosen):
        raise ManifestError(
            "M045" if model.task.label == "mask" else "M046",
            f"no case has a {model.task.label}, which the model is scored by",
            where=manifest.name,
            remedy="fill it in",
        )
    rows = score_manifest(
        model, chosen, place=JobArguments(arm=run.name), tested_on="target", doing="scoring", progress=progress
    )
    path = write_rows(rows, out / "rows.csv")
    table = read_rows([path])
    names = _told(model.task, table.metric)
    for name in names:
        estimate = estimate_of(table, name, model.task.classes, key=name)
        if estimate is not None:
            yield described(name, estimate)
    yield f"{len(chosen)} of {len(cases)} cases have a {model.task.label}; rows: {path}"


def _told(task: Task, found: Iterable[str]) -> Iterator[str]:
    """What is told of a task's rows: the shares of pixels as the scores that are made of them."""
    if task.metrics:
        yield from task.metrics
        return
    shares = set(share_names(task.classes)) if task.label == "mask" else set()
    yield from (name for name in dict.fromkeys(found) if name not in shares)
    yield from OF_SHARES if shares else ()


def measure_new(run: Path, manifest: Path, reference: Path, data_root: Path, out: Path) -> Iterator[str]:
    """Compare a translated manifest with the true images of another and write ``rows.csv``.

    Yields:
        A line per metric: value, interval, subjects, method.
    """
    trained = open_run(run, device="cpu")
    translated = read_manifest(manifest, root=manifest.resolve().parent)
    pairs = find_pairs(translated, read_manifest(reference, root=data_root))
    names = tuple(found.name for found in metrics_of("paired-image"))
    rows = [
        Row(
            task=SIMILARITY,
            arm=trained.method,
            tested_on="target",
            target_cases="all",
            fold=-1,
            seed=-1,
            case_id=pair.case.case_id,
            subject_id=pair.case.subject_id,
            metric=name,
            value=value,
        )
        for pair in pairs
        for name, value in compare_pair(
            pair,
            names=names,
            preparation=trained.preparation,
            window=trained.windows.get(pair.case.domain, trained.windows[trained.target]),
        )
    ]
    path = write_rows(rows, out / "rows.csv")
    for name in names:
        own = [row for row in rows if row.metric == name]
        yield described(name, mean_estimate([row.value for row in own], [row.subject_id for row in own]))
    yield f"{len(pairs)} pairs; rows: {path}"


def described(name: str, estimate: Estimate) -> str:
    """An estimate in words, with its interval, numbers and method."""
    return (
        f"{name}: {estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f}), {estimate.n_subjects} subjects, "
        f"{estimate.n_values} values, {estimate.n_undefined} undefined; {estimate.method}"
    )
