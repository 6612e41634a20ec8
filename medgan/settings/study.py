"""A study file: which images, which translators, which downstream tasks, and what is compared."""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from medgan.errors import SettingsError
from medgan.settings.base import Settings
from medgan.settings.content import load_mapping
from medgan.settings.domains import LETTERS
from medgan.settings.loop import RANKS_TIMEOUT_S, DeviceName, PrecisionName, TranslationPrecision
from medgan.settings.preparation import Preparation
from medgan.settings.profiles import with_profile
from medgan.settings.selection import Selection

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=48)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]
IDENTITY = "identity"
SIMILARITY = "similarity"
_TAKEN = frozenset({"source", "target"})
"""What a task's rows call original images, and so no translator."""


class Direction(Settings):
    """Which domain is translated into which."""

    source: str
    target: str


class TranslatorPlan(Settings):
    """One translator of the study: a method, its recipe and how long it trains."""

    name: Name
    method: str = Field(description="a name from `medgan methods`")
    recipe: dict[str, Any] = Field(default_factory=dict, description="settings of the method; the rest as published")
    selection: Selection = Selection()
    also: tuple[str, ...] = Field(
        default=(),
        max_length=len(LETTERS) - 2,
        description="further domains of the manifest that it learns beside source and target, where its method takes "
        "many; the run then translates to each of them",
    )


class Arm(Settings):
    """One way of training a downstream model; every arm of a task takes the same number of steps.

    ``images`` are the extra cases: nothing, the source domain as it is (``identity``), or the source domain translated
    by a translator of the study. ``use`` says how: ``alone``, ``before`` the target cases (pre-train, then fine-tune)
    or ``beside`` them (mixed, ``fraction`` of each batch from the extra cases). Without extra cases it is target-only.
    """

    name: Name
    images: str | None = Field(default=None, description="identity, or the name of a translator")
    use: Literal["alone", "before", "beside"] = "alone"
    fraction: float = Field(default=0.5, gt=0, lt=1, description="share of the draws (beside) or steps (before)")


class Task(Settings):
    """A downstream task: what is learnt, with which arms, and on which images it is tested."""

    name: Name
    task: str = Field(description="a name from `medgan tasks`: segmentation or classification")
    label: Literal["mask", "grade", "quality"]
    classes: int = Field(default=2, ge=2, description="number of classes; for masks with the background")
    mask_values: tuple[int, ...] = Field(default=(255,), description="value in the mask file of class 1, 2, ...")
    domains: tuple[str, ...] = Field(default=(), description="domains trained on; the study's target by default")
    recipe: dict[str, Any] = Field(default_factory=dict, description="settings of the learner")
    selection: Selection = Selection()
    arms: tuple[Arm, ...] = (Arm(name="target-only"),)
    baseline: str = Field(default="target-only", description="the arm that the others are compared with")
    target_cases: tuple[Count | Literal["all"], ...] = Field(
        default=("all",), min_length=1, description="how many labelled target cases the arms may see; the sweep"
    )
    tested_on: tuple[str, ...] = Field(
        default=(), description="translators whose output on the test subjects' source images is scored as well"
    )
    metrics: tuple[str, ...] = Field(
        default=(), description="names of metrics; Dice and Jaccard, or quadratic kappa and accuracy, by default"
    )

    def trains(self, arm: Arm, count: int | str) -> bool:
        """Whether an arm is trained for this number of target cases: one that sees none is trained only once."""
        sees_none = arm.images is not None and arm.use == "alone"
        return not sees_none or count == self.target_cases[0]


class Study(Settings):
    """Everything a study needs, as its file says it."""

    name: Name
    question: str
    manifest: Path
    data_root: Path
    output: Path
    preparation: Preparation
    direction: Direction
    translators: tuple[TranslatorPlan, ...] = ()
    tasks: tuple[Task, ...] = ()
    similarity: tuple[str, ...] = Field(
        default=(), description="metrics of translated against true target images, where there are pairs"
    )
    reference_column: str | None = Field(
        default=None,
        description="column with the path of the true target image; by default the target's case of the same pair_id",
    )
    primary: str | None = Field(
        default=None,
        description="what the verdict is about: task/arm/metric[/target cases], task/tested-on/metric or "
        "similarity/translator/metric",
    )
    margin: float | None = Field(
        default=None, gt=0, description="differences of the primary metric smaller than this do not matter"
    )
    folds: int = Field(default=5, ge=1)
    run_folds: tuple[int, ...] | None = Field(
        default=None, min_length=1, description="folds that are run; all by default"
    )
    split_seed: int = 20_240_101
    stratify: Literal["none", "grade", "quality", "domain"] = "domain"
    seeds: tuple[Seed, ...] = Field(default=(0, 1, 2), min_length=1)
    device: DeviceName = "auto"
    precision: PrecisionName = "auto"
    translation_precision: TranslationPrecision = Field(
        default="fp32",
        description="of translating images: fp32 gives the same images, but for rounding, on every machine; bf16 is "
        "faster where the hardware computes in it, and coarser",
    )
    threads: int = Field(default=1, ge=1, description="threads of training a translator")
    preparing_threads: int | None = Field(
        default=None, ge=1, description="cases that are prepared at a time; by default one for every core"
    )
    checkpoint_every_s: float = Field(default=120.0, gt=0)
    ranks_timeout_s: float = Field(
        default=RANKS_TIMEOUT_S,
        gt=0,
        description="Seconds that a process of several that train together waits for another",
    )
    preview_every: int = Field(default=500, ge=1)
    allow_duplicates: bool = Field(
        default=False, description="let the same file stand under two subjects; recorded by `medgan check`"
    )
    keep_going: bool = Field(
        default=False,
        description="leave out cases that cannot be used, list them and end with a status that is not zero, "
        "in place of stopping at the first",
    )
    spacing_tolerance: float | None = Field(
        default=None,
        ge=1,
        description="volumes: the largest factor by which a case's spacing may differ, along any axis, from "
        "preparation.spacing_mm or else from the median of all; beyond it `medgan check` gives an error",
    )
    halve_batch: bool = Field(
        default=False,
        description="translators: where memory does not suffice, pass each batch through in halves, then quarters, and "
        "so on, with the gradients added up; the result is that of the whole batch, up to rounding and dropout",
    )
    tensorboard: bool = Field(
        default=False, description="translators write TensorBoard files; needs the extra medgan[tensorboard]"
    )
    citations: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_fit(self) -> "Study":
        translators = [plan.name for plan in self.translators]
        known = {*translators, IDENTITY}
        _refuse_twice("translators", translators)
        _refuse_twice("tasks", [task.name for task in self.tasks])
        _refuse_twice("run_folds", self.run_folds or ())
        _refuse_twice("seeds", self.seeds)
        for plan in self.translators:
            known_domains = dict.fromkeys((self.direction.source, self.direction.target))
            _refuse_twice(f"translators.{plan.name}.also", [*known_domains, *plan.also])
            if plan.name in _TAKEN or (plan.name == IDENTITY and plan.method != IDENTITY):
                raise ValueError(f"translators: the name {plan.name!r} has a meaning of its own; choose another")
        for task in self.tasks:
            _check_task(task, known)
            if task.task == "classification" and self.preparation.is_volume:
                raise ValueError(f"tasks.{task.name}: classification takes photographs, not {self.preparation.preset}")
        for fold in self.run_folds or ():
            if not 0 <= fold < self.folds:
                raise ValueError(f"run_folds: fold {fold} does not exist; there are {self.folds}, counted from 0")
        _check_primary(self)
        return self

    @property
    def folds_to_run(self) -> tuple[int, ...]:
        """Folds that are run."""
        return self.run_folds if self.run_folds is not None else tuple(range(self.folds))

    def learnt_by(self, plan: TranslatorPlan) -> tuple[str, ...]:
        """Domains that a translator learns, in the order of their letters: source, target, then its own."""
        return (self.direction.source, self.direction.target, *plan.also)

    def translator(self, name: str) -> TranslatorPlan:
        """A translator by name.

        Raises:
            SettingsError: S004, if the study has none of that name.
        """
        for plan in self.translators:
            if plan.name == name:
                return plan
        if name == IDENTITY:
            return TranslatorPlan(name=IDENTITY, method=IDENTITY)
        raise SettingsError("S004", f"no translator {name!r}", expected=", ".join(p.name for p in self.translators))

    def task(self, name: str) -> Task:
        """A task by name.

        Raises:
            SettingsError: S004, if the study has none of that name.
        """
        for task in self.tasks:
            if task.name == name:
                return task
        raise SettingsError("S004", f"no task {name!r}", expected=", ".join(t.name for t in self.tasks))


def read_study(path: Path, *, profile: str | None = None, output: Path | None = None) -> Study:
    """Read a study file.

    ``profiles:`` holds named sets of changes; the chosen one is laid over the rest. Paths are relative to the file,
    and ``~`` and ``$NAME`` in them are expanded from the environment.

    Args:
        path: The YAML file.
        profile: Name of the profile to lay over it.
        output: Folder for the results in place of the file's.

    Raises:
        SettingsError: S000 no file, S001 not YAML, S002 unknown key or wrong type (with the key's path and the nearest
            known key), S003 unknown profile, S005 an environment variable in a path is not set, S006 the profile
            changes an entry that the study does not have.
    """
    content = load_mapping(path)
    profiles = content.pop("profiles", None) or {}
    if profile is not None:
        content = with_profile(content, profiles, profile, file=path.name)
    if output is not None:
        content["output"] = str(output.resolve())
    for key in ("manifest", "data_root", "output"):
        if isinstance(content.get(key), str):
            content[key] = _expand(content[key], key, path)
    if "translators" in content:
        content["translators"] = _expand_weights(content["translators"], "translators", path)
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        raise settings_error(error, Study, where=path.name) from error


def settings_error(error: ValidationError, model: type[BaseModel], *, where: str) -> SettingsError:
    """One error that names every wrong key with its path, and the nearest known key."""
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        hint = ""
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(item["loc"][-1]), sorted(_all_keys(model)), n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
        lines.append(f"{key or 'study'}: {item['msg']}{hint}")
    return SettingsError("S002", "settings do not fit", where=where, got="; ".join(lines), remedy="see `medgan schema`")


def _refuse_twice(where: str, entries: Sequence[object]) -> None:
    twice = [entry for index, entry in enumerate(entries) if entry in entries[:index]]
    if twice:
        raise ValueError(f"{where}: {twice[0]!r} stands twice")


def _check_label(task: Task) -> None:
    if task.task == ("classification" if task.label == "mask" else "segmentation"):
        raise ValueError(f"tasks.{task.name}: {task.task} does not learn a {task.label}")
    if 0 in task.mask_values:
        raise ValueError(f"tasks.{task.name}.mask_values: 0 is the background")
    if task.label == "mask" and len(task.mask_values) != task.classes - 1:
        raise ValueError(
            f"tasks.{task.name}.mask_values: {len(task.mask_values)} values for {task.classes} classes; "
            "the background has none, every other class one"
        )


def _check_task(task: Task, known: set[str]) -> None:
    _check_label(task)
    if task.name == SIMILARITY:
        raise ValueError(f"tasks: the name {SIMILARITY!r} has a meaning of its own; choose another")
    arms = [arm.name for arm in task.arms]
    _refuse_twice(f"tasks.{task.name}.arms", arms)
    _refuse_twice(f"tasks.{task.name}.target_cases", task.target_cases)
    _refuse_twice(f"tasks.{task.name}.tested_on", task.tested_on)
    _refuse_twice(f"tasks.{task.name}.mask_values", task.mask_values)
    if task.baseline not in arms:
        raise ValueError(f"tasks.{task.name}.baseline: {task.baseline!r} is not one of the arms {', '.join(arms)}")
    baseline = next(arm for arm in task.arms if arm.name == task.baseline)
    if task.tested_on and not all(task.trains(baseline, count) for count in task.target_cases):
        raise ValueError(
            f"tasks.{task.name}.baseline: {task.baseline!r} sees no target case, so that there is no sweep"
        )
    for name in [arm.images for arm in task.arms if arm.images] + list(task.tested_on):
        if name not in known:
            raise ValueError(f"tasks.{task.name}: {name!r} is not a translator; there are {', '.join(sorted(known))}")


def _check_primary(study: Study) -> None:
    """Refuse a primary comparison that the study does not make; the report would have no verdict."""
    if study.primary is None:
        return
    parts = study.primary.split("/")
    task = next((task for task in study.tasks if task.name == parts[0]), None)
    if task is not None:
        compared = {arm.name for arm in task.arms} - {task.baseline} | set(task.tested_on) - {IDENTITY}
        fits = len(parts) in {3, 4} and parts[1] in compared and parts[2] in (task.metrics or (parts[2],))
        fits = fits and (len(parts) == 3 or parts[3] in map(str, task.target_cases))
        fits = fits and not (parts[1] in task.tested_on and any(arm.name == parts[1] for arm in task.arms))
    else:
        compared = {plan.name for plan in study.translators} - {IDENTITY}
        fits = len(parts) == 3 and parts[0] == SIMILARITY and parts[1] in compared and parts[2] in study.similarity
    if not fits:
        raise ValueError(f"primary: {study.primary!r} names no comparison of the study, or two")


def _all_keys(model: type[BaseModel]) -> set[str]:
    """Keys of a model and of those within it."""
    models = [model]
    for one in models:  # which grows on the way
        for field in one.model_fields.values():
            parts = [field.annotation, *get_args(field.annotation)]
            within = [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
            models += [part for part in within if part not in models]
    return {key for one in models for key in one.model_fields}


def _expand(text: str, key: str, study: Path) -> str:
    expanded = os.path.expandvars(os.path.expanduser(text))  # noqa: PTH111
    if "$" in expanded:
        variable = text.split("$")[-1].strip("{}").split("/")[0].strip("{}")
        raise SettingsError(
            "S005",
            f"{key} names an environment variable that is not set",
            where=study.name,
            got=text,
            remedy=f"set it, for example: export {variable}=/path/to/images",
        )
    return str((study.resolve().parent / expanded).resolve())


def _expand_weights(value: Any, key: str, study: Path) -> Any:
    """Expand the paths of frozen networks' weights and of style images, wherever in a recipe they stand."""
    if isinstance(value, list):
        return [_expand_weights(entry, key, study) for entry in value]
    if not isinstance(value, dict):
        return value
    expanded = {name: _expand_weights(entry, f"{key}.{name}", study) for name, entry in value.items()}
    if "network" in value and isinstance(value.get("weights"), str):
        expanded["weights"] = _expand(value["weights"], f"{key}.weights", study)
    if isinstance(value.get("style_image"), str):
        expanded["style_image"] = _expand(value["style_image"], f"{key}.style_image", study)
    return expanded
