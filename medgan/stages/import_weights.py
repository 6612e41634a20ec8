"""Import: generators saved by the published CycleGAN or pix2pix code become a run that translates."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from medgan import discover
from medgan.errors import CheckpointError, RunError
from medgan.networks.published import PublishedGenerator, describe_published, translated_names
from medgan.settings.preparation import Preparation
from medgan.settings.recipe import Recipe
from medgan.training.foreign import read_state_dict
from medgan.training.identity import Identity
from medgan.training.lock import hold_lock, make_writable
from medgan.training.tensor_files import sha256
from medgan.training.translator import SampleShape
from medgan.training.weights import write_weights

_CONTRACT = {"low": 0.0, "high": 255.0, "unit": "level", "per_volume": False}
"""The published code takes photographs of 8 bits and brings them to [-1, 1]."""


def import_weights(
    file: Path, run: Path, *, source: str, target: str, back: Path | None = None, size_px: int = 256
) -> list[str]:
    """Write a run's ``weights.safetensors`` and ``weights.json`` from published generators.

    Args:
        file: Generator from source to target, such as ``latest_net_G_A.pth`` or ``latest_net_G.pth``.
        run: Folder to write; it must hold no run.
        source: Name of the domain that it takes.
        target: Name of the domain that it gives.
        back: CycleGAN's generator back, such as ``latest_net_G_B.pth``; without it the run translates one way.
        size_px: Longer side to which images are brought before translation.

    Returns:
        In words what was imported, and what was left out.

    Raises:
        CheckpointError: C001 or C007, if a file is absent or holds anything but tensors; C008, if they are no published
            generator's.
        RunError: J002, if there is a run in the folder.
        WriteError: W010, if the folder cannot be written.
    """
    files = {"g_ab": file} | ({"g_ba": back} if back is not None else {})
    found = {name: read_state_dict(path) for name, path in files.items()}
    described = _described(found)
    method, recipe, shape = _counterpart(described, size_px)
    make_writable(run)
    with hold_lock(run):
        if (run / "weights.json").exists() or (run / "checkpoints").exists():
            raise RunError("J002", "there is a run already", where=str(run), remedy="name an empty folder")
        tensors, notes = _tensors(found, method, recipe, shape)
        identity = Identity(
            method=method,
            recipe=recipe.model_dump(mode="json"),
            shape=shape.told(),
            directions=("a", "b") if back is not None else ("b",),
            intensity={"source": _CONTRACT, "target": _CONTRACT},
            data={name: sha256(path) for name, path in files.items()},
            context={
                "preparation": Preparation(preset="photograph", size_px=size_px).model_dump(mode="json"),
                "direction": {"source": source, "target": target},
                "imported": {"networks": list(files), "notes": notes},
            },
        )
        write_weights(run, tensors, identity=identity.to_json(), step=0, averaged=False)
    network = (
        f"ResNet of {described.blocks} blocks" if described.kind == "resnet" else f"U-Net of depth {described.depth}"
    )
    return [f"{method}: {network}, {described.in_channels} channels, {' and '.join(files)}", *notes]


def _described(found: Mapping[str, Mapping[str, Tensor]]) -> PublishedGenerator:
    """The architecture, the same in both directions."""
    described = [describe_published(tensors) for tensors in found.values()]
    first = described[0]
    if any(other != first for other in described) or (len(described) > 1 and first.kind != "resnet"):
        raise CheckpointError(
            "C008",
            "the two files are not CycleGAN's two generators",
            got=" and ".join(map(str, described)),
            remedy="name latest_net_G_A.pth and latest_net_G_B.pth of one training",
        )
    if first.in_channels != first.out_channels or first.in_channels not in (1, 3) or first.depth > 8:
        raise CheckpointError(
            "C008",
            "a generator of this kind cannot be imported",
            got=f"{first.in_channels} channels in, {first.out_channels} out, depth {first.depth}",
            expected="1 or 3 channels, as many out as in, and a depth of 8 at most",
        )
    return first


def _counterpart(found: PublishedGenerator, size_px: int) -> tuple[str, Recipe, SampleShape]:
    """The method, recipe and shape whose generator is the published one."""
    patch = 70 if (size_px if found.kind == "resnet" else 2**found.depth) >= 128 else 16
    shared: dict[str, object] = {
        "total_steps": 0,
        "patch": patch,
        "generator_width": found.width,
        "upsampling": "transposed",
        "norm": "instance-affine" if found.batch_norm else "instance",
    }
    if found.kind == "unet":
        # A depth is told by the size of image that is halved so often.
        method, size_px = "pix2pix", 2**found.depth
    else:
        method, shared = "cyclegan", {**shared, "blocks": found.blocks, "down_padding": "zeros"}
    recipe: Recipe = discover.load("medgan.methods", method).method.recipe_type(**shared)
    return method, recipe, SampleShape(found.in_channels, 1, size_px)


def _tensors(
    found: Mapping[str, Mapping[str, Tensor]], method: str, recipe: Recipe, shape: SampleShape
) -> tuple[dict[str, Tensor], list[str]]:
    with torch.random.fork_rng(devices=[]):
        learner = discover.load("medgan.methods", method).method(recipe, shape=shape)
    tensors: dict[str, Tensor] = {}
    notes: list[str] = []
    for network, published in found.items():
        state, told = translated_names(published, learner.get_submodule(network))
        learner.get_submodule(network).load_state_dict(state, strict=True)
        tensors |= {f"{network}.{name}": tensor for name, tensor in state.items()}
        notes += [note for note in told if note not in notes]
    return tensors, notes
