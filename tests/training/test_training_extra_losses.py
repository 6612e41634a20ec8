"""Extra losses: each against its function, for every method that takes them, and frozen networks told apart."""

from pathlib import Path

import pytest
import torch
from training_downstream import segmentation_run

from medgan import discover
from medgan.errors import CheckpointError, SettingsError
from medgan.losses.consistency import edge_inconsistency, mask_inconsistency
from medgan.losses.perceptual import feature_distance, grams, style_distance
from medgan.losses.reconstruction import l2
from medgan.losses.structure import gradient_difference, ssim_loss, total_variation
from medgan.settings.extra_losses import ExtraLosses, PairedExtraLosses, WithExtraLosses, WithPairedExtraLosses
from medgan.settings.loop import LoopSettings
from medgan.stages.scoring import open_model
from medgan.training.extra_losses import ExtraTerms
from medgan.training.identity import identity_of
from medgan.training.loop import train
from medgan.training.translator import SampleShape

SOURCE, MADE, TARGET = (
    torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1 for seed in range(3)
)
METHODS = {name: discover.load("medgan.methods", name).method for name in discover.names("medgan.methods")}
TAKING = [
    name for name, method in METHODS.items() if issubclass(method.recipe_type, WithExtraLosses | WithPairedExtraLosses)
]


def terms(**settings: object) -> ExtraTerms:
    return ExtraTerms(PairedExtraLosses(**settings), channels=1)


def test_nothing_is_asked_by_default_and_no_network_is_made() -> None:
    extra = ExtraTerms(ExtraLosses(), channels=1)
    assert extra(source=SOURCE, made=MADE, target=TARGET) == {}
    assert extra.features._network is None


def test_each_loss_is_its_function_times_its_weight() -> None:
    names = ("l2", "ssim", "gradient_difference", "perceptual", "style", "content", "edges", "total_variation")
    extra = terms(**{f"weight_{name}": 3.0 for name in names}, edge_noise=0.1)
    found = extra(source=SOURCE, made=MADE, target=TARGET, suffix="_b")
    features = extra.features
    expected = {
        "l2": l2(MADE, TARGET),
        "ssim": ssim_loss(MADE, TARGET),
        "gradient_difference": gradient_difference(MADE, TARGET),
        "perceptual": feature_distance(features(MADE), features(TARGET)),
        "style": style_distance(grams(features(MADE)), grams(features(TARGET))),
        "content": feature_distance(features(MADE), features(SOURCE)),
        "edges": edge_inconsistency(MADE, SOURCE, noise=0.1),
        "total_variation": total_variation(MADE),
    }
    assert set(found) == {f"{name}_b" for name in names}
    for name, value in expected.items():
        torch.testing.assert_close(found[f"{name}_b"], 3 * value, msg=name)


def test_slices_side_by_side_count_as_pictures() -> None:
    stacks = [image.expand(-1, 3, -1, -1) for image in (SOURCE, MADE, TARGET)]
    extra = terms(weight_ssim=1, weight_perceptual=1, weight_edges=1)
    one = extra(source=SOURCE, made=MADE, target=TARGET)
    torch.testing.assert_close(extra(source=stacks[0], made=stacks[1], target=stacks[2]), one)


def test_a_mask_keeper_compares_what_each_domains_segmenter_finds(tmp_path: Path) -> None:
    of_a, of_b = (segmentation_run(tmp_path / name, channels=1, seed=seed) for seed, name in enumerate("ab"))
    extra = terms(
        weight_mask=2,
        segmenter={"network": "run", "weights": of_b},
        source_segmenter={"network": "run", "weights": of_a},
    )
    in_a, in_b = (
        {
            name: open_model(run).learner.probabilities(image)[:, 1:]
            for name, image in (("source", SOURCE), ("made", MADE))
        }
        for run in (of_a, of_b)
    )
    found = extra(source=SOURCE, made=MADE, target=TARGET, to="b")["mask"]
    torch.testing.assert_close(found, 2 * mask_inconsistency(in_b["made"], in_a["source"]))
    back = extra(source=SOURCE, made=MADE, target=TARGET, to="a")["mask"]
    torch.testing.assert_close(back, 2 * mask_inconsistency(in_a["made"], in_b["source"]))


def test_gradients_reach_the_translation_through_the_frozen_network(tmp_path: Path) -> None:
    run = segmentation_run(tmp_path / "run", channels=1)
    extra, moved = terms(weight_mask=1, segmenter={"network": "run", "weights": run}), MADE.clone().requires_grad_()
    extra(source=SOURCE, made=moved, target=TARGET)["mask"].backward()
    assert moved.grad.abs().sum() > 0
    network = extra.segmenters["b"].load()
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_segmenter_of_other_images_is_refused(tmp_path: Path) -> None:
    run = segmentation_run(tmp_path / "run", channels=3)
    with pytest.raises(SettingsError, match=r"S042.*images of 3 channels.*single pictures of 1"):
        terms(weight_mask=1, segmenter={"network": "run", "weights": run})(source=SOURCE, made=MADE, target=TARGET)


@pytest.mark.parametrize("name", TAKING)
@pytest.mark.parametrize("neighbours", [1, 3])
def test_every_method_takes_them_up(name: str, neighbours: int, tmp_path: Path) -> None:
    """A loss that the recipe promises is in a turn, and no frozen weight is among the learner's."""
    method = METHODS[name]
    run = segmentation_run(tmp_path / "run", channels=1)
    wanted = ["weight_edges", "weight_content", "weight_style", "weight_total_variation", "weight_mask"]
    if issubclass(method.recipe_type, WithPairedExtraLosses):
        wanted += ["weight_ssim", "weight_l2", "weight_perceptual", "weight_gradient_difference"]
    extra = dict.fromkeys(wanted, 1.0) | {"segmenter": {"network": "run", "weights": str(run)}}
    settings = {**method.recipe_type.tiny().model_dump(), "extra": extra, "neighbours": neighbours}
    learner = method(method.recipe_type(**settings), shape=SampleShape(1, neighbours, 32))
    before = set(learner.state_dict())
    a = torch.rand(2, neighbours, 32, 32) * 2 - 1
    learner.fit(list(a), list(-a))
    while "generator" not in learner.turns:  # critics may step more often
        learner.step += 1
    losses = {loss for turn in learner.training_step({"a": a, "b": -a}) for loss in turn.losses}
    for key in wanted:
        assert any(loss.startswith(key.removeprefix("weight_")) for loss in losses), key
    assert set(learner.state_dict()) == before


def test_a_run_goes_on_only_with_the_same_frozen_network(tmp_path: Path) -> None:
    """The file's content counts, under whatever name; it is not needed to translate."""
    run = segmentation_run(tmp_path / "segmenter", channels=1)
    method = METHODS["cyclegan"]
    extra = {"weight_mask": 1.0, "segmenter": {"network": "run", "weights": str(run)}}
    recipe = method.recipe_type(**{**method.recipe_type.tiny().model_dump(), "extra": extra})

    def go_on(steps: int) -> None:
        learner = method(recipe, shape=SampleShape(1, 1, 32))
        loop = LoopSettings(total_steps=steps, device="cpu", precision="fp32", preview_every=None)
        train(learner, lambda _: {"a": SOURCE, "b": TARGET}, run=tmp_path / "run", settings=loop)

    go_on(2)
    digest = identity_of(method(recipe, shape=SampleShape(1, 1, 32))).data["extra.segmenter"]
    assert len(digest) == 64
    go_on(2)
    other = segmentation_run(tmp_path / "other", channels=1, seed=5)
    for file in other.glob("weights.*"):
        file.replace(run / file.name)
    with pytest.raises(CheckpointError, match=r"C005.*data\.extra\.segmenter"):
        go_on(2)
    for file in run.glob("weights.*"):
        file.unlink()
    with pytest.raises(CheckpointError, match="C001"):
        go_on(2)
    assert method(recipe, shape=SampleShape(1, 1, 32)).translate(SOURCE, to="b").shape == SOURCE.shape
