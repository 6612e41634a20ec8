"""Commands that need no study: what there is to choose from, and what is done to files and finished runs."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

tools = typer.Typer()
console = Console()


def say(line: str) -> None:
    """Print a line as it is: paths unbroken, brackets in ids no markup."""
    console.print(line, markup=False, highlight=False, soft_wrap=True, emoji=False)


@tools.command()
def methods() -> None:
    """List the translation methods and the presets of their recipes."""
    from medgan import discover
    from medgan.settings.recipe import Recipe

    table = Table(Column("method", no_wrap=True), "needs pairs", "what it does", Column("paper", overflow="fold"))
    for name in discover.names("medgan.methods"):
        method = discover.load("medgan.methods", name).method
        makes = method.recipe_type.makes_pairs is not Recipe.makes_pairs
        pairs = ("yes, or made" if makes else "yes") if method.needs_pairs else "no"
        table.add_row(name, pairs, method.summary, method.paper)
        for preset, settings in method.recipe_type.presets.items():
            table.add_row(f"  preset {preset}", "", settings.summary, settings.paper)
    console.print(table)


@tools.command()
def tasks() -> None:
    """List the downstream tasks."""
    from medgan import discover

    table = Table("task", "what it learns")
    for name in discover.names("medgan.downstream"):
        table.add_row(name, discover.load("medgan.downstream", name).task.summary)
    console.print(table)


@tools.command()
def schema(
    method: Annotated[str | None, typer.Option(help="the recipe of a method, in place of a study file")] = None,
) -> None:
    """Print the JSON schema of a study file, for editors."""
    from medgan import discover
    from medgan.settings.study import Study

    model: Any = Study if method is None else discover.load("medgan.methods", method).method.recipe_type
    typer.echo(json.dumps(model.model_json_schema(), indent=2))


@tools.command()
def manifest(
    sources: Annotated[list[str], typer.Argument(help="names of data sets, or of a manifest medgan knows")],
    data_root: Annotated[Path, typer.Option(help="folder that holds the data sets")],
    out: Annotated[Path, typer.Option(help="CSV file to write")],
) -> None:
    """Make the manifest of downloaded data sets."""
    from medgan.manifests.catalogue import build_named
    from medgan.manifests.manifest import write_manifest

    made = build_named(sources, data_root)
    write_manifest(made, out)
    say(f"{len(made)} cases of {', '.join(made.domains)}: {out}")


@tools.command()
def phantom(
    name: Annotated[str, typer.Argument(help="fundus, lesion, ct or brain")],
    out: Annotated[Path, typer.Option(help="folder to write")],
    subjects: Annotated[int, typer.Option(help="number of generated subjects")] = 20,
    seed: Annotated[int, typer.Option(help="seed of the generated images")] = 0,
) -> None:
    """Write a generated study with a known truth."""
    from medgan import discover

    path = discover.load("medgan.phantoms", name).write_study(out, seed=seed, subjects=subjects)
    say(str(path))


@tools.command()
def checkpoints(
    run: Annotated[Path, typer.Argument(help="folder of a train or downstream job", show_default=False)],
    set_aside: Annotated[
        bool, typer.Option("--set-aside", help="take damaged ones out of the way, to go on from the newest whole one")
    ] = False,
    export: Annotated[
        bool, typer.Option("--export", help="write the weights again from the one they came from")
    ] = False,
) -> None:
    """List a run's checkpoints, each read to its end; exit status 1 if one is damaged and stays where it is."""
    from medgan.training import mend

    for name in mend.set_aside(run) if set_aside else ():
        say(f"{name}: set aside as damaged_{name}")
    if export:
        say(str(mend.export_again(run)))
    found = mend.look_over(run)
    for standing in found:
        say(str(standing))
    if not found:
        say("no checkpoint is left: the next training begins anew")
    raise typer.Exit(any(standing.wrong for standing in found))


@tools.command("import-weights")
def import_weights(
    file: Annotated[Path, typer.Argument(help="generator from source to target (.pth)", show_default=False)],
    out: Annotated[Path, typer.Option(help="folder of the run to make")],
    source: Annotated[str, typer.Option(help="name of the domain that it takes")],
    target: Annotated[str, typer.Option(help="name of the domain that it gives")],
    back: Annotated[Path | None, typer.Option(help="CycleGAN's generator from target to source")] = None,
    size_px: Annotated[int, typer.Option(min=16, help="longer side that images are brought to")] = 256,
) -> None:
    """Make a run of generators that the published CycleGAN or pix2pix code saved; only tensors are read."""
    from medgan.stages.import_weights import import_weights as import_files

    for line in import_files(file, out, source=source, target=target, back=back, size_px=size_px):
        say(line)


@tools.command()
def deidentify(
    source: Annotated[Path, typer.Argument(help="file, folder or zip archive with images", show_default=False)],
    out: Annotated[Path, typer.Argument(help="folder to make", show_default=False)],
    reviewed: Annotated[bool, typer.Option("--reviewed", help="somebody has looked for text in the pixels")] = False,
    key: Annotated[Path | None, typer.Option(help="secret of the new ids, made if absent; random without")] = None,
    crosswalk: Annotated[Path | None, typer.Option(help="file for old and new ids, outside the folder")] = None,
) -> None:
    """Write images anew without what tells who the patients are; exit status 1 if some were not exported."""
    from medgan.stages.deidentify import deidentify as deidentify_source

    done = deidentify_source(source, out, reviewed=reviewed, key=key, crosswalk=crosswalk)
    for line in done.lines():
        say(line)
    raise typer.Exit(1 if done.refused else 0)
