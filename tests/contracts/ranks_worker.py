"""Run by test_ranks_contract.py, once per rank: trains every method and task, and leaves what came of it.

Usage: ranks_worker.py FOLDER RANK WORLD LAW NAME..., where LAW is "parity", "equal" or "long".
"""

import copy
import sys
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from drawn_by_sample import DrawnBySample
from safetensors.torch import save_file
from tiny_methods import presets_with_other_turns, tiny_recipe
from torch import Tensor, nn

from medgan import discover
from medgan.settings.loop import LoopSettings
from medgan.training.checkpoint import load_checkpoint
from medgan.training.learner import Learner
from medgan.training.loop import train
from medgan.training.parallel import rank, ranks
from medgan.training.translator import SampleShape

STEPS = {"parity": 2, "equal": 8, "long": 50}
SIZE = 32
SAMPLES = 2
SAMPLES_OF_CHANCE = 5
"""Samples of a rank where a step draws random numbers: no side of what it draws is a multiple."""
QUIET = {"pool_size": 0, "dropout": 0.0, "ema_decay": None, "optimizer": "sgd", "learning_rate": 1e-3}
"""Without what inherently differs by rank, and by an optimizer that does not blow noise up.

In float64, since a fresh network with batch norms on two samples amplifies the last digits of float32 a thousandfold.
"""
CHANCES = {"drop_connect_rate": 0.0, "p": 0.0}
"""Attributes of layers that drop at random."""

Draw = Callable[[int], dict[str, Tensor]]
Sample = Callable[[int], dict[str, Tensor]]


def blobs(number: int, channels: int) -> Tensor:
    generator = torch.Generator().manual_seed(number)
    coarse = torch.rand(1, channels, 5, 5, generator=generator) * 1.8 - 0.9
    return nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")[0]


def pair(number: int) -> dict[str, Tensor]:
    a = blobs(number, 1)
    return {"a": a, "b": -0.7 * a + 0.1}


def labelled(number: int) -> dict[str, Tensor]:
    """With unequal shares of padding, so that ranks do not weigh the same."""
    image = blobs(number, 1)
    valid = torch.ones(SIZE, SIZE, dtype=torch.bool)
    valid[: 3 * (number % 4)] = False
    return {"image": image, "label": ((image[0] > 0) & valid).long(), "valid": valid}


def graded(number: int) -> dict[str, Tensor]:
    image = blobs(number, 1)
    return {"image": image, "label": torch.tensor(int(image.mean() > 0))}


def made_method(name: str, **settings: object) -> tuple[Learner, Sample]:
    method = discover.load("medgan.methods", name.split(":")[0]).method
    kept = {key: value for key, value in settings.items() if key in method.recipe_type.model_fields}
    learner = method(tiny_recipe(name, **kept), shape=SampleShape(1, 1, SIZE))
    samples = [pair(number) for number in range(4)]
    learner.fit([one["a"] for one in samples], [one["b"] for one in samples])
    return learner, pair


def made_task(name: str, **settings: object) -> tuple[Learner, Sample]:
    task = discover.load("medgan.downstream", name.split(":")[0]).task
    if ":" in name:
        settings = {**settings, "network": name.split(":")[1]}
    learner = task(recipe_of(task.recipe_type, settings), channels=1, classes=2)
    if hasattr(learner, "balance"):
        learner.balance([3.0, 1.0])
    sample = graded if "class" in name else labelled
    return learner, sample


def recipe_of(recipe_type: type, settings: dict[str, object]) -> object:
    tiny = recipe_type.tiny().model_dump()
    return recipe_type(**{**tiny, **{key: value for key, value in settings.items() if key in tiny}})


def everything() -> dict[str, Callable[..., tuple[Learner, Sample]]]:
    labels = [*names("methods"), *presets_with_other_turns()]
    methods = {f"method:{name}": lambda name=name, **s: made_method(name, **s) for name in labels}
    tasks = [*names("downstream"), "segmentation:deeplabv3plus"]
    return methods | {f"task:{name}": lambda name=name, **s: made_task(name, **s) for name in tasks}


def names(package: str) -> list[str]:
    return discover.names(f"medgan.{package}")


def quiet(learner: Learner) -> Learner:
    for module in learner.modules():
        for name, value in CHANCES.items():
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, value)
    return learner


def draws_chances(learner: Learner, batch: dict[str, Tensor]) -> bool:
    """Whether a step takes random numbers."""
    state = torch.get_rng_state()
    for turn in copy.deepcopy(learner).train().training_step(batch):  # a copy, for batch norms keep what they see
        del turn
    return not torch.equal(state, torch.get_rng_state())


def batches(sample: Sample, size: int) -> Draw:
    """Samples numbered over all ranks, as :mod:`medgan.samples` does."""

    def draw(number: int) -> dict[str, Tensor]:
        drawn = [sample(i) for i in range(number * size, (number + 1) * size)]
        return {name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}

    return draw


def doubled_digits(learner: Learner, draw: Draw) -> tuple[Learner, Draw]:
    own = dict(learner.named_buffers(recurse=False))  # these meet float32 logits
    learner.double()
    for name, buffer in own.items():
        setattr(learner, name, buffer)

    def wide(number: int) -> dict[str, Tensor]:
        return {name: one.double() if one.is_floating_point() else one for name, one in draw(number).items()}

    return learner, wide


def trained(name: str, make: Callable[..., tuple[Learner, Sample]], law: str, folder: Path, *, share: int = 1) -> None:
    """Train one of them by a law, with so many times the samples of one rank of two."""
    torch.manual_seed(zlib.crc32(name.encode()) + 100 * rank())  # other weights on each rank: rank 0's are shared
    learner, sample = make(**(QUIET if law == "parity" else {}))
    draw, chances = batches(sample, 1), nullcontext()
    if law == "parity":
        learner, draw = doubled_digits(quiet(learner), batches(sample, SAMPLES))
        if draws_chances(learner, draw(10**6)):
            size = share * SAMPLES_OF_CHANCE
            chances = DrawnBySample(rank(), ranks(), batch_size=size)
        else:
            size = share * SAMPLES
        learner, draw = doubled_digits(learner, batches(sample, size))
    start = {key: value.clone() for key, value in learner.state_dict().items()}
    settings = LoopSettings(
        total_steps=STEPS[law],
        device="cpu",
        precision="fp32",
        preview_every=None,
        ema_decay=None if law == "parity" else 0.9,
    )
    run = folder / "runs" / name.replace(":", "_")
    with chances:
        train(learner, draw, run=run, settings=settings)
    end = {f"end.{key}": value.double().clone() for key, value in learner.state_dict().items()}
    if rank() == 0:
        end |= {f"start.{key}": value.double() for key, value in start.items()}
        averages = load_checkpoint(run).tensors.get("ema", {})
        end |= {f"ema.{key}": value.float() for key, value in averages.items()}
    end |= {f"trained.{key}": torch.ones(()) for key, _ in learner.named_parameters()}
    (folder / "ends").mkdir(parents=True, exist_ok=True)
    save_file(end, folder / "ends" / f"{name.replace(':', '_')}.{rank()}.safetensors")


def main(folder: Path, number: int, world: int, law: str, *, wanted: list[str]) -> None:
    if world > 1:
        store = f"file://{folder / 'store'}"
        dist.init_process_group(
            "gloo", init_method=store, rank=number, world_size=world, timeout=timedelta(seconds=120)
        )
    torch.set_num_threads(1)
    for name, make in everything().items():
        if name not in wanted:
            continue
        if law != "parity" or world > 1:
            trained(name, make, law, folder)
        else:
            trained(name, make, law, folder / "doubled", share=2)
            trained(name, make, law, folder / "single")
    assert ranks() == world
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], wanted=sys.argv[5:])
