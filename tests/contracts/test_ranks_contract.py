"""Laws of several ranks, kept by every method and downstream task; a new file is tested on arrival.

Two ranks equal one process with the doubled batch, given the same random numbers for the same samples
(drawn_by_sample.py), and ranks stay equal to the bit and finite. One spawn of real
processes on gloo serves all, since importing torch takes longer than most of this.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import ranks_worker
import torch
from drawn_by_sample import DrawnBySample
from safetensors.torch import load_file
from tiny_studies import clean_environment
from torch import Tensor

pytestmark = pytest.mark.multiprocess

NAMES = list(ranks_worker.everything())
every_name = pytest.mark.parametrize("name", NAMES)


def selected(request: pytest.FixtureRequest) -> list[str]:
    """Those that the tests to be run are about, so that one method is tried without training all."""
    params = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    return [name for name in NAMES if name in {one.get("name") for one in params}]


def run_ranks(folder: Path, *, world: int, law: str, wanted: list[str]) -> Path:
    folder.mkdir(parents=True)
    worker = str(Path(ranks_worker.__file__))
    processes = [
        subprocess.Popen(
            [sys.executable, worker, str(folder), str(number), str(world), law, *wanted],
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(world)
    ]
    try:
        said = [process.communicate(timeout=400)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * world, "\n".join(said)
    return folder


@pytest.fixture(scope="module")
def parity(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[Path, Path]:
    folder, wanted = tmp_path_factory.mktemp("parity"), selected(request)
    two = run_ranks(folder / "two", world=2, law="parity", wanted=wanted)
    return two, run_ranks(folder / "one", world=1, law="parity", wanted=wanted)


@pytest.fixture(scope="module", params=["equal", pytest.param("long", marks=pytest.mark.slow)])
def equal(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path_factory.mktemp(request.param) / "two"
    return run_ranks(folder, world=2, law=request.param, wanted=selected(request))


def ends(folder: Path, name: str, rank: int = 0) -> dict[str, Tensor]:
    return load_file(folder / "ends" / f"{name.replace(':', '_')}.{rank}.safetensors")


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


@every_name
def test_two_ranks_equal_one_process_with_the_doubled_batch(name: str, parity: tuple[Path, Path]) -> None:
    two, one = parity
    together, doubled = ends(two, name), ends(one / "doubled", name)
    end, expected, start = part(together, "end."), part(doubled, "end."), part(doubled, "start.")
    weights = torch.cat([expected[key].flatten() for key in expected] or [torch.zeros(0)])
    largest = max((one.abs().max().item() for one in expected.values() if one.numel()), default=0.0)
    for key, value in expected.items():
        torch.testing.assert_close(
            end[key], value, rtol=1e-6, atol=1e-6 * max(1.0, largest), msg=lambda m, key=key: f"{key}: {m}"
        )
    if not part(together, "trained."):
        return  # a baseline without weights
    # The same tolerance tells half a batch from the whole one, and the weights have moved: the law is not hollow.
    single = part(ends(one / "single", name), "end.")
    moved = torch.cat([start[key].flatten() for key in expected])
    other = torch.cat([single[key].flatten() for key in expected])
    assert (weights - moved).abs().max() > 1e-4
    assert (weights - other).abs().max() > 1e-4


@every_name
def test_ranks_stay_equal_and_finite(name: str, equal: Path) -> None:
    first, second = ends(equal, name, 0), ends(equal, name, 1)
    end = part(first, "end.")
    for key, value in end.items():
        assert torch.equal(value, second[f"end.{key}"]), key
        assert torch.isfinite(value).all(), key
    for key, value in part(first, "ema.").items():
        assert torch.isfinite(value).all(), key
    if part(first, "trained."):
        start = part(first, "start.")
        assert any(not torch.equal(value, start[key]) for key, value in end.items())


def test_everything_there_is_is_held_to_it() -> None:
    assert {"method:cyclegan", "method:pix2pix", "task:segmentation", "task:classification"} <= set(NAMES)


def test_ranks_draw_the_shares_of_what_one_process_draws() -> None:
    """Of real images and fakes side by side, each rank's own; what is of no sample, such as places, all alike."""
    drawn = []
    for number, ranks in ((0, 1), (0, 2), (1, 2)):
        size = 10 // ranks
        with DrawnBySample(number, ranks, batch_size=size):
            like = torch.zeros(size, 4, dtype=torch.float64)
            found = [torch.randn_like(like), torch.rand(2 * size, 1), torch.randint(7, (size,)), torch.rand(3, size)]
            drawn.append([*found, torch.randperm(64), torch.rand(())])
    whole, first, second = drawn
    for number, parts, side in ((0, 1, 0), (1, 2, 0), (2, 1, 0), (3, 1, 1)):
        shares = [one[number].unflatten(side, (parts, 5)) for one in (first, second)]
        assert torch.equal(torch.cat(shares, dim=side + 1).flatten(side, side + 1), whole[number])
    assert all(torch.equal(one[number], whole[number]) for one in (first, second) for number in (4, 5))
    assert whole[0].dtype == torch.float64
    assert not torch.equal(first[0], second[0])
