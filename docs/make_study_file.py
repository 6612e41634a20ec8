"""Writes the tables of docs/study-file.md from the settings themselves: ``python docs/make_study_file.py``."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from medgan import discover
from medgan.settings.discriminator import DiscriminatorRecipe
from medgan.settings.extra_losses import ExtraLosses, PairedExtraLosses, WithExtraLosses, WithPairedExtraLosses
from medgan.settings.features import FeatureSettings
from medgan.settings.preparation import Preparation
from medgan.settings.recipe import Recipe
from medgan.settings.resolution import ResolutionRecipe
from medgan.settings.selection import Selection
from medgan.settings.study import Arm, Direction, Study, Task, TranslatorPlan
from medgan.settings.texture import StyleTransferRecipe

PAGE = Path(__file__).with_name("study-file.md")
BEGIN, END = "<!-- tables: begin -->\n", "<!-- tables: end -->\n"

# What the settings do not say of themselves, or say too briefly for a page; a name without a model counts for all.
MEANINGS = {
    "name": "lower-case letters, digits, `-` and `_`; folders and the report use it",
    "recipe": "settings of the method or the task, see below; what is left out keeps its default",
    "selection": "which checkpoint is used, see below and [training.md](training.md)",
    "batch_size": "samples in a step",
    "learning_rate": "rate of Adam at the start",
    "betas": "decay rates of Adam",
    "weight_decay": "of Adam, added to the gradient",
    "probability": "how often a sample is changed",
    "norm": "normalisation inside the networks",
    "upsampling": "`resize` and convolve, or `transposed` convolution as published, which can leave a checkerboard",
    "adversarial": "form of the adversarial loss",
    "brightness": "largest relative change to either side",
    "saturation": "largest relative change to either side",
    "Colour.contrast": "largest relative change to either side",
    "Colour.gamma": "largest relative change of the exponent to either side",
    "weight_cycle": "of the cycle loss",
    "weight_dice": "of the Dice loss",
    "weight_cross_entropy": "of the cross entropy",
    "dropout": "share of the features left out in training",
    "Segmenter.network": "architecture",
    "Classifier.network": "architecture",
    "Pix2Pix.generator": "architecture of the generator",
    "Study.question": "one sentence; it heads the report",
    "Study.manifest": "the table of cases (CSV), relative to the study file",
    "Study.data_root": "folder that the manifest's paths are relative to; `$NAME` and `~` are expanded",
    "Study.output": "folder for everything that the study makes; `--output` on the command line goes before it",
    "Study.preparation": "how images are brought to the scale of a network, see below",
    "Study.direction": "which domain is translated into which, see below",
    "Study.translators": "what translates, see below",
    "Study.tasks": "downstream tasks, see below",
    "Study.folds": "folds by subject; where the manifest's column `split` gives them, their number",
    "Study.split_seed": "seed that deals the subjects out to folds",
    "Study.stratify": "what every fold gets its share of, beside subjects of every domain",
    "Study.seeds": "seeds of the training; everything is trained once per fold and seed",
    "Study.device": "`auto` takes a CUDA device where there is one",
    "Study.precision": "of training; `auto` takes bf16 where the hardware computes in it, else fp32",
    "Study.checkpoint_every_s": "seconds between checkpoints",
    "Study.preview_every": "steps between preview pictures of a translator",
    "Study.citations": "data sets as `name: citation, licence`, for the report",
    "Direction.source": "domain that is translated",
    "Direction.target": "domain that it is made to look like",
    "Preparation.preset": "`fundus` crops to the field of view; `photograph` keeps the whole picture; `mr` scales each "
    "volume by percentiles of its own foreground; `ct` uses one window in HU",
    "Task.label": "what is learnt: the mask, or the manifest's column `grade` or `quality`",
    "Task.mask_values": "value in the mask file of class 1, 2, ...; 0 is the background, any other an error",
    "Task.arms": "ways of training that are compared, see below",
    "Task.metrics": "names of metrics, each scored and compared; `dice` and `jaccard` for masks, else "
    "`kappa_quadratic` and `accuracy`, where none is named",
    "HistogramMatching.total_steps": "nothing is trained",
    "Identity.total_steps": "nothing is trained",
    "Arm.images": "extra images: `identity` (the source images as they are) or a translator's name; none leaves "
    "the target cases alone",
    "Arm.use": "`alone`, `before` the target cases (pre-train, then fine-tune) or `beside` them (mixed)",
    "Arm.fraction": "share of the draws (`beside`) or of the steps (`before`) that goes to the extra images",
}


def tables() -> str:
    """The tables, as Markdown."""
    parts = [_section(title, model) for title, model in _models()]
    return "\n".join(parts)


def keys_without_meaning() -> list[str]:
    """Keys that neither the settings nor this script explain."""
    return [
        f"{model.__name__}.{key}"
        for _, model in _models()
        for key, entry in model.model_json_schema()["properties"].items()
        if not _meaning(model, key, entry)
    ]


def page_with_tables(text: str) -> str:
    """The page with its tables written anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


def _models() -> Iterator[tuple[str, type[BaseModel]]]:
    yield "The study", Study
    yield "`preparation:`", Preparation
    yield "`direction:`", Direction
    yield "An entry of `translators:`", TranslatorPlan
    yield "An entry of `tasks:`", Task
    yield "An entry of a task's `arms:`", Arm
    yield "`selection:` of a translator or a task", Selection
    yield "A translator's `recipe:`, whatever its method", Recipe
    yield f"A translator's `recipe:` with discriminators: {_those_with(DiscriminatorRecipe)}", DiscriminatorRecipe
    yield f"A translator's `recipe:` of super-resolution: {_those_with(ResolutionRecipe)}", ResolutionRecipe
    yield f"A translator's `recipe:` for style transfer: {_those_with(StyleTransferRecipe)}", StyleTransferRecipe
    yield f"`extra:` of a translator's `recipe:`: {_those_with(WithExtraLosses, WithPairedExtraLosses)}", ExtraLosses
    yield f"More of `extra:`, with pairs: {_those_with(WithPairedExtraLosses)}", PairedExtraLosses
    yield "`features:`, `segmenter:` and `source_segmenter:`", FeatureSettings
    for name in discover.names("medgan.methods"):
        yield f"A translator's `recipe:` for `{name}`", discover.load("medgan.methods", name).method.recipe_type
    for name in discover.names("medgan.downstream"):
        yield f"A task's `recipe:` for `{name}`", discover.load("medgan.downstream", name).task.recipe_type
    for name in discover.names("medgan.transforms.augment"):
        augmentation = discover.load("medgan.transforms.augment", name).augmentation
        yield f"`{name}` in a task's `recipe: augment:`", augmentation


def _those_with(*kinds: type[Recipe]) -> str:
    """Methods whose recipes are of a kind."""
    recipes = {
        name: discover.load("medgan.methods", name).method.recipe_type for name in discover.names("medgan.methods")
    }
    return ", ".join(f"`{name}`" for name, recipe in recipes.items() if issubclass(recipe, kinds))


def _told_before(model: type[BaseModel]) -> dict[str, Any]:
    """Keys of a model that stand in the tables of what it is a kind of."""
    kinds: tuple[type[BaseModel], ...] = (
        *(Recipe, DiscriminatorRecipe, ResolutionRecipe, StyleTransferRecipe),
        *(WithExtraLosses, WithPairedExtraLosses, ExtraLosses),
    )
    found: dict[str, Any] = {}
    for kind in kinds:
        if issubclass(model, kind) and model is not kind:
            found |= kind.model_json_schema()["properties"]
    return found


def _section(title: str, model: type[BaseModel]) -> str:
    schema = model.model_json_schema()
    inherited = _told_before(model)
    rows = [
        f"| `{key}` | {_kind(entry)} | {_default(model, key, entry)} | {_meaning(model, key, entry)} |"
        for key, entry in schema["properties"].items()
        if _shown(entry) != _shown(inherited.get(key))
    ]
    table = ["| key | value | default | meaning |", "|---|---|---|---|", *rows] if rows else ["No keys of its own."]
    return "\n".join([f"### {title}", "", *table, ""])


def _shown(entry: dict[str, Any] | None) -> str:
    return json.dumps(entry, sort_keys=True)


def _meaning(model: type[BaseModel], key: str, entry: dict[str, Any]) -> str:
    name = model.__name__.removesuffix("Recipe")
    own = MEANINGS.get(f"{name}.{key}") or entry.get("description") or MEANINGS.get(key, "")
    text = str(own).replace("|", "\\|")
    return text[:1].upper() + text[1:]


def _default(model: type[BaseModel], key: str, entry: dict[str, Any]) -> str:
    if model.model_fields[key].is_required():
        return "required"
    value = entry.get("default", {})
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "one arm, `target-only`"
    return "none" if value in (None, [], {}) else f"`{json.dumps(value)}`"


def _kind(entry: dict[str, Any]) -> str:
    """A JSON schema's type in words."""
    if "$ref" in entry:
        return "mapping, see below"
    if "enum" in entry or "const" in entry:
        return " or ".join(f"`{value}`" for value in entry.get("enum", [entry.get("const")]))
    if "anyOf" in entry:
        return " or ".join("none" if option.get("type") == "null" else _kind(option) for option in entry["anyOf"])
    return _of_type(entry)


def _of_type(entry: dict[str, Any]) -> str:
    if entry.get("type") == "array":
        fixed = entry.get("prefixItems")
        return f"list of {len(fixed)} numbers" if fixed else f"list of {_plural(_kind(entry.get('items', {})))}"
    names = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    if entry.get("format") == "path":
        return "path"
    return names.get(str(entry.get("type")), "mapping") + _limits(entry)


def _limits(entry: dict[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {entry[key]:g}" for key, sign in signs.items() if key in entry]
    return " " + " and ".join(found) if found else ""


def _plural(kind: str) -> str:
    many = {"text": "texts", "whole number": "whole numbers", "mapping,": "mappings,"}
    for one, several in many.items():
        if kind.startswith(one):
            return several + kind.removeprefix(one)
    return kind


if __name__ == "__main__":
    PAGE.write_text(page_with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
