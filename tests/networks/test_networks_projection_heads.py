"""Projection heads: the published size, unit vectors, the same places in every image, and no harm from autocast."""

import pytest
import torch

from medgan.networks.initialisation import initialise
from medgan.networks.projection_heads import ProjectionHeads, draw_places

CHANNELS = {"pixels": 3, "down-1": 128, "down-2": 256, "block-1": 256, "block-5": 256}


def features(channels: dict[str, int], size: int = 8) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(2, count, size, size, generator=generator) for name, count in channels.items()}


def test_the_five_heads_have_the_published_size() -> None:
    heads = ProjectionHeads(CHANNELS)
    by_hand = sum(count * 256 + 256 + 256 * 256 + 256 for count in CHANNELS.values())
    assert sum(p.numel() for p in heads.parameters()) == by_hand == 560_384


def test_a_patch_is_a_pixel_of_the_features_counted_along_rows() -> None:
    heads, given = initialise(ProjectionHeads({"one": 3}, units=64), std=0.5), features({"one": 3})
    found = heads(given, {"one": torch.tensor([9, 0])})["one"]
    assert found.shape == (2, 2, 64)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(2, 2))
    first = torch.nn.functional.normalize(heads.heads["one"](given["one"][1, :, 1, 1]), dim=-1)
    torch.testing.assert_close(found[1, 0], first)


def test_places_are_drawn_without_repetition_from_torchs_generator() -> None:
    given = features({"large": 1, "small": 1})
    given["small"] = given["small"][..., :2, :3]
    torch.manual_seed(3)
    places = draw_places(given, patches=20)
    assert [len(one) for one in places.values()] == [20, 6]
    assert all(len(set(one.tolist())) == len(one) for one in places.values())
    assert places["large"].max() < 64
    torch.manual_seed(3)
    again = draw_places(given, patches=20)
    assert all(torch.equal(again[name], one) for name, one in places.items())


@pytest.mark.parametrize("given_as", [torch.float32, torch.bfloat16])
def test_autocast_does_not_reach_into_the_heads(given_as) -> None:
    heads = initialise(ProjectionHeads({"one": 3}, units=8), std=0.5)
    given = {"one": features({"one": 3})["one"].to(given_as)}
    places = {"one": torch.arange(64)}
    exact = heads({"one": given["one"].float()}, places)["one"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = heads(given, places)["one"]
    assert found.dtype == torch.float32
    assert torch.equal(found, exact)
