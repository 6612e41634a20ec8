"""Train: a translator learns from the training subjects of one fold."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import torch
from pydantic import ValidationError

from medgan import discover
from medgan.errors import TrainingError
from medgan.imaging.intensity import Window
from medgan.samples.channels import channels_of, in_equal_channels
from medgan.samples.paired import PairedSamples
from medgan.samples.seeds import seed_for
from medgan.samples.store import PreparedCase
from medgan.samples.unpaired import UnpairedSamples
from medgan.settings.loop import LoopSettings
from medgan.settings.recipe import Recipe
from medgan.settings.study import Study, TranslatorPlan, settings_error
from medgan.stages.arguments import JobArguments
from medgan.stages.failure import losses_drawn
from medgan.stages.materials import Materials, open_materials
from medgan.stages.progress import Progress
from medgan.stages.selection import export_chosen, hold_out, require_both
from medgan.training.alarms.alarm import Alarm
from medgan.training.identity import Identity
from medgan.training.loop import train
from medgan.training.loss_files import loss_files
from medgan.training.parallel import led
from medgan.training.translator import SampleShape, Translator

if TYPE_CHECKING:
    from medgan.stages.validation import PairedScore, UnpairedScore


def run(study: Study, arguments: JobArguments, folder: Path, progress: Progress) -> list[Path]:
    """Train one translator on the training subjects of a fold.

    Returns:
        The weights and what they need to be used: method, recipe, intensity contract.
    """
    materials = open_materials(study)
    fold, seed = arguments.place
    plan = study.translator(arguments.named("translator"))
    source, target = (
        materials.prepared(materials.cases([domain], materials.folds.train(fold)))
        for domain in (study.direction.source, study.direction.target)
    )
    return train_translator(plan, source, target, materials=materials, seed=seed, folder=folder, progress=progress)


def train_translator(
    plan: TranslatorPlan,
    source: Sequence[PreparedCase],
    target: Sequence[PreparedCase],
    *,
    materials: Materials,
    seed: int,
    folder: Path,
    progress: Progress,
) -> list[Path]:
    """Train a translator on prepared cases and write its weights into a folder.

    Raises:
        TrainingError: T010, if the domains do not fit together; T013, if too few subjects are there to hold some out.
    """
    study = materials.study
    recipe = read_recipe(plan)
    channels = {"source": channels_of(source), "target": channels_of(target)}
    source, target = in_equal_channels(source, target)
    shape = sample_shape(recipe, [*source, *target])
    source, target, score = _held_out(plan, source, target, neighbours=recipe.neighbours, seed=study.split_seed)
    torch.manual_seed(seed_for(seed, "init"))
    learner: Translator = discover.load("medgan.methods", plan.method).method(recipe, shape=shape)
    samples = (PairedSamples if learner.needs_pairs else UnpairedSamples)(
        source, target, neighbours=shape.neighbours, size_px=shape.size_px, flips=recipe.flips, seed=seed
    )
    _fit(learner, samples)
    settings = LoopSettings(
        total_steps=recipe.total_steps,
        seed=seed,
        device=study.device,
        precision=study.precision,
        threads=study.threads,
        ema_decay=recipe.ema_decay,
        preview_every=study.preview_every,
        tensorboard=study.tensorboard,
        halve_batch=study.halve_batch,
        checkpoint_every_seconds=study.checkpoint_every_s,
        validate_every=plan.selection.every if score else None,
        ranks_timeout_s=study.ranks_timeout_s,
    )
    identity = Identity(
        method=plan.method,
        recipe=recipe.model_dump(mode="json"),
        shape=shape.told(),
        directions=learner.directions,
        intensity={"source": contract(source), "target": contract(target)},
        data={"manifest": materials.manifest.digest, **loss_files(recipe)},
        context={
            "preparation": study.preparation.model_dump(mode="json"),
            "direction": study.direction.model_dump(),
            "training_subjects": len({case.case.subject_id for case in [*source, *target]}),
            **({"held_out": sorted(score.subjects)} if score else {}),
            **({"channels": channels} if len(set(channels.values())) > 1 else {}),
        },
    )
    with losses_drawn(folder, plan.name):
        train(
            learner,
            lambda step: samples.draw(step, recipe.batch_size),
            run=folder,
            settings=settings,
            identity=identity,
            validate=score,
            on_step=lambda step: progress(step, recipe.total_steps, doing="steps"),
            on_alarm=lambda alarm: progress.alarm(told(alarm)),
        )
    weights = led(lambda: export_chosen(folder, plan.selection, scored_by=score.name if score else ""))
    return [weights, folder / "weights.safetensors"]


def read_recipe(plan: TranslatorPlan) -> Recipe:
    """The checked recipe of a translator.

    Raises:
        SettingsError: S002, with every wrong key and the nearest known one.
    """
    recipe_type = discover.load("medgan.methods", plan.method).method.recipe_type
    try:
        recipe: Recipe = recipe_type.model_validate(plan.recipe)
    except ValidationError as error:
        raise settings_error(error, recipe_type, where=f"translator {plan.name}") from error
    return recipe


def sample_shape(recipe: Recipe, cases: Sequence[PreparedCase]) -> SampleShape:
    """The shape of training samples: the recipe's crop, or the largest prepared image rounded up to 32.

    Raises:
        TrainingError: T010, if there are no cases, or grey and colour images are mixed.
    """
    channels = {case.pixels.shape[0] for case in cases}
    if len(channels) != 1:
        raise TrainingError(
            "T010",
            "the two domains do not fit together",
            got=f"images of {sorted(channels)} channels" if channels else "no cases",
            expected="cases in both domains, all grey or all RGB",
        )
    longest = max(max(case.pixels.shape[-2:]) for case in cases)
    return SampleShape(channels.pop(), recipe.neighbours, recipe.crop_px or -(-longest // 32) * 32)


def contract(cases: Iterable[PreparedCase]) -> dict[str, object]:
    """The intensity contract of a domain: what -1 and 1 stand for; the median where it differs by volume."""
    windows: list[Window] = [case.trace.window for case in cases]
    return {
        "low": median(window.low for window in windows),
        "high": median(window.high for window in windows),
        "unit": windows[0].unit,
        "per_volume": len({(window.low, window.high) for window in windows}) > 1,
    }


def told(alarm: Alarm) -> str:
    """An alarm in one line."""
    return f"step {alarm.step}: {alarm.kind}: {alarm.reason}"


def _held_out(
    plan: TranslatorPlan, source: Sequence[PreparedCase], target: Sequence[PreparedCase], *, neighbours: int, seed: int
) -> tuple[Sequence[PreparedCase], Sequence[PreparedCase], "PairedScore | UnpairedScore | None"]:
    """Cases of either domain to train on, and the score on those held out where the best checkpoint is taken."""
    if not plan.selection.holds_out:
        return source, target, None
    cases = [*source, *target]
    train, held = hold_out(cases, plan.selection, seed=seed_for(seed, "held out"))
    sides = [[case for case in part if case in side] for part in (train, held) for side in (source, target)]
    for side, domain in zip((0, 1), ("source", "target"), strict=True):
        require_both(sides[side], sides[2 + side], what=f"translator {plan.name}, {domain}")
    # Its metrics need scikit-image, which a machine that only trains may lack.
    from medgan.stages.validation import PairedScore, UnpairedScore

    needs_pairs = discover.load("medgan.methods", plan.method).method.needs_pairs
    score = (PairedScore if needs_pairs else UnpairedScore)(sides[2], sides[3], neighbours=neighbours)
    return sides[0], sides[1], score


def _fit(learner: Translator, samples: UnpairedSamples | PairedSamples) -> None:
    """Show the method every sample of each domain, before its first step."""
    if type(learner).fit is not Translator.fit:
        learner.fit(samples.each("a"), samples.each("b"))
