"""Train: a translator learns from the training subjects of one fold."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import torch
from pydantic import ValidationError

from medgan import discover
from medgan.errors import SettingsError, TrainingError
from medgan.imaging.intensity import Window
from medgan.samples.channels import channels_of, in_equal_channels
from medgan.samples.paired import PairedSamples
from medgan.samples.seeds import seed_for
from medgan.samples.store import PreparedCase
from medgan.samples.unpaired import UnpairedSamples
from medgan.settings.loop import LoopSettings
from medgan.settings.recipe import Recipe
from medgan.settings.study import Study, TranslatorPlan, settings_error
from medgan.settings.texture import StyleTransferRecipe
from medgan.stages.arguments import JobArguments
from medgan.stages.failure import losses_drawn
from medgan.stages.materials import Materials, open_materials
from medgan.stages.progress import Progress
from medgan.stages.selection import export_chosen, hold_out, require_both
from medgan.stages.style_image import style_samples
from medgan.training.alarms.alarm import Alarm
from medgan.training.identity import Identity
from medgan.training.loop import train
from medgan.training.loss_files import loss_files
from medgan.training.parallel import led
from medgan.training.translator import LETTERS, SampleShape, Translator

if TYPE_CHECKING:
    from medgan.stages.validation import EveryDomainScore, PairedScore, UnpairedScore

Cases = Sequence[PreparedCase]


def run(study: Study, arguments: JobArguments, folder: Path, progress: Progress) -> list[Path]:
    """Train one translator on the training subjects of a fold.

    Returns:
        The weights and what they need to be used: method, recipe, intensity contract.
    """
    materials = open_materials(study)
    fold, seed = arguments.place
    plan = study.translator(arguments.named("translator"))
    subjects = materials.folds.train(fold)
    domains = [materials.prepared(materials.cases([name], subjects)) for name in study.learnt_by(plan)]
    return train_translator(plan, *domains, materials=materials, seed=seed, folder=folder, progress=progress)


def train_translator(
    plan: TranslatorPlan,
    *domains: Cases,
    materials: Materials,
    seed: int,
    folder: Path,
    progress: Progress,
) -> list[Path]:
    """Train a translator on prepared cases and write its weights into a folder.

    Args:
        plan: The translator.
        domains: Cases of the source, of the target, and of each further domain that the plan names, in its order.
        materials: Of the study.
        seed: Of the training.
        folder: Of the run.
        progress: Told how far it is.

    Raises:
        SettingsError: S230, if the method does not take so many domains.
        TrainingError: T010, if the domains do not fit together; T013, if too few subjects are there to hold some out;
            T014, if a domain has none.
    """
    study = materials.study
    recipe = read_recipe(plan)
    check_domains_taken(plan)
    names = study.learnt_by(plan)
    _refuse_empty(dict(zip(names, domains, strict=True)))
    channels = [channels_of(cases) for cases in domains]
    domains = in_equal_channels(*domains)
    shape = sample_shape(recipe, [case for cases in domains for case in cases])._replace(domains=len(domains))
    domains, score = _held_out(plan, names, domains, recipe=recipe, seed=study.split_seed)
    torch.manual_seed(seed_for(seed, "init"))
    learner: Translator = discover.load("medgan.methods", plan.method).method(recipe, shape=shape)
    samples = (PairedSamples if learner.learns_by_pairs(recipe) else UnpairedSamples)(
        *domains, neighbours=shape.neighbours, size_px=shape.size_px, flips=recipe.flips, seed=seed
    )
    _fit(learner, samples, study=study)
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
        intensity=_by_side(names, [contract(cases) for cases in domains]),
        data={"manifest": materials.manifest.digest, **loss_files(recipe)},
        context={
            "preparation": study.preparation.model_dump(mode="json"),
            "direction": study.direction.model_dump(),
            "training_subjects": len({case.case.subject_id for cases in domains for case in cases}),
            **({"also": list(plan.also)} if plan.also else {}),
            **({"held_out": sorted(score.subjects)} if score else {}),
            **({"channels": _by_side(names, channels)} if len(set(channels)) > 1 else {}),
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
            "the domains do not fit together",
            got=f"images of {sorted(channels)} channels" if channels else "no cases",
            expected="cases in all domains, all grey or all RGB",
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


def check_domains_taken(plan: TranslatorPlan) -> None:
    """Refuse further domains where the method takes two.

    Raises:
        SettingsError: S230.
    """
    names = discover.names("medgan.methods")
    if plan.also and plan.method in names and not discover.load("medgan.methods", plan.method).method.many_domains:
        taking = [name for name in names if discover.load("medgan.methods", name).method.many_domains]
        raise SettingsError(
            "S230",
            f"{plan.method} translates between two domains only",
            where=f"translator {plan.name}, also",
            got=", ".join(plan.also),
            expected=f"a method that takes many domains: {', '.join(taking)}",
            remedy="take one of these, or leave also out",
        )


def _refuse_empty(domains: Mapping[str, Cases]) -> None:
    empty = [name for name, cases in domains.items() if not cases]
    if empty:
        raise TrainingError(
            "T014",
            "a domain that the translator learns has no training subjects in this fold",
            where=empty[0],
            got=", ".join(f"{len(cases)} cases of {name}" for name, cases in domains.items()),
            expected="cases of every domain",
            remedy="correct the column split or the folds; a domain under also may be left out",
        )


def _by_side(names: Sequence[str], values: Sequence[object]) -> dict[str, object]:
    """What is so of source and target, and of further domains by their names."""
    told: dict[str, object] = dict(zip(("source", "target"), values, strict=False))
    return told | ({"also": dict(zip(names[2:], values[2:], strict=True))} if names[2:] else {})


def _held_out(
    plan: TranslatorPlan, names: Sequence[str], domains: Sequence[Cases], *, recipe: Recipe, seed: int
) -> tuple[tuple[Cases, ...], "PairedScore | UnpairedScore | EveryDomainScore | None"]:
    """Cases of each domain to train on, and the score on those held out where the best checkpoint is taken."""
    if not plan.selection.holds_out:
        return tuple(domains), None
    cases = [case for of_domain in domains for case in of_domain]
    parts = hold_out(cases, plan.selection, seed=seed_for(seed, "held out"))
    train, held = ([[case for case in part if case in side] for side in domains] for part in parts)
    for side, kept, scored in zip(("source", "target", *names[2:]), train, held, strict=True):
        require_both(kept, scored, what=f"translator {plan.name}, {side}")
    # Its metrics need scikit-image, which a machine that only trains may lack.
    from medgan.stages.validation import EveryDomainScore, PairedScore, UnpairedScore

    if len(domains) > 2:
        return tuple(train), EveryDomainScore(*held, neighbours=recipe.neighbours)
    by_pairs = discover.load("medgan.methods", plan.method).method.learns_by_pairs(recipe)
    return tuple(train), (PairedScore if by_pairs else UnpairedScore)(*held, neighbours=recipe.neighbours)


def _fit(learner: Translator, samples: UnpairedSamples | PairedSamples, *, study: Study) -> None:
    """Show the method every sample of each domain, or the image whose style it is to take, before its first step."""
    if type(learner).fit is not Translator.fit:
        shown = [samples.each(letter) for letter in LETTERS[: learner.shape.domains]]
        recipe = learner.recipe
        if isinstance(recipe, StyleTransferRecipe) and recipe.style_image is not None:
            shown[1] = style_samples(recipe.style_image, preparation=study.preparation, shape=learner.shape)
        learner.fit(*shown)
