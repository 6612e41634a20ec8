"""Feature networks of every kind: from nothing, a file, a package and a run."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from safetensors.torch import save_file

from medgan import discover
from medgan.errors import CheckpointError, GeometryError, SettingsError
from medgan.networks.vessel_wnet import VesselWNet
from medgan.networks.vgg import vgg16_layers, vgg19_layers
from medgan.settings.features import FeatureSettings
from medgan.settings.loop import LoopSettings
from medgan.training.features import LossNetwork, features_digest, loss_features
from medgan.training.identity import Identity
from medgan.training.loop import train
from medgan.training.weights import export_weights

GREY = torch.rand(2, 1, 40, 33, generator=torch.Generator().manual_seed(0)) * 2 - 1
COLOUR = torch.rand(2, 3, 40, 33, generator=torch.Generator().manual_seed(1)) * 2 - 1


def downstream_run(folder: Path, name: str, channels: int, **recipe: object) -> Path:
    """A run of two steps on noise."""
    kind = discover.load("medgan.downstream", name).task
    settings = kind.recipe_type(**{**kind.recipe_type.tiny().model_dump(), **recipe})
    learner = kind(settings, channels=channels, classes=2)
    label = torch.tensor([0, 1]) if name == "classification" else torch.zeros(2, 32, 32, dtype=torch.long)
    batch = {"image": torch.randn(2, channels, 32, 32), "label": label, "valid": torch.ones(2, 32, 32).bool()}
    identity = Identity(
        method=name,
        recipe=settings.model_dump(mode="json"),
        shape={"channels": channels, "classes": 2, "size_px": 32},
    )
    loop = LoopSettings(total_steps=2, device="cpu", precision="fp32", preview_every=None)
    train(learner, lambda _: batch, run=folder, settings=loop, identity=identity)
    export_weights(folder)
    return folder


def test_random_features_are_always_the_same_and_have_three_scales() -> None:
    one, other = (loss_features(FeatureSettings(), channels=1)(GREY) for _ in range(2))
    assert {name: layer.shape[1:] for name, layer in one.items()} == {
        "relu1b": (32, 40, 36),
        "relu2b": (64, 20, 18),
        "relu3b": (128, 10, 9),
    }
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("image", [GREY, COLOUR])
def test_gradients_reach_the_image_and_no_weight(image: torch.Tensor) -> None:
    network = LossNetwork(FeatureSettings(), channels=image.shape[1])
    moved = image.clone().requires_grad_()
    torch.stack([layer.square().mean() for layer in network(moved).values()]).sum().backward()
    assert moved.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in network.load().parameters())


@pytest.mark.parametrize("numbered", [True, False])
def test_vgg_takes_a_file_with_either_kind_of_names(tmp_path: Path, numbered: bool) -> None:
    torch.manual_seed(0)
    vgg = vgg19_layers()
    assert sum(p.numel() for p in vgg.parameters()) == 20_024_384
    assert sum(p.numel() for p in vgg16_layers().parameters()) == 14_714_688
    names = {name: number for number, (name, _) in enumerate(vgg.named_children())}
    state = {
        (f"features.{names[key.split('.')[0]]}.{key.split('.')[1]}" if numbered else key): value
        for key, value in vgg.state_dict().items()
    }
    torch.save(state, tmp_path / "vgg19.pth") if numbered else save_file(state, tmp_path / "vgg19.safetensors")
    path = tmp_path / ("vgg19.pth" if numbered else "vgg19.safetensors")
    features = loss_features(FeatureSettings(network="vgg19", weights=path, layers=("relu1_1",)), channels=1)
    unit = (GREY.expand(-1, 3, -1, -1) + 1) / 2
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    expected = torch.relu(vgg.conv1_1((unit - mean) / std))
    torch.testing.assert_close(features(GREY)["relu1_1"], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "channels", "recipe", "layers"),
    [
        ("segmentation", 1, {}, {"conv_0", "down_1", "down_2"}),
        ("segmentation", 3, {"network": "deeplabv3plus"}, {"low", "pyramid"}),
        ("classification", 3, {}, {f"network._blocks.{stage}" for stage in (0, 1, 2, 4)}),
    ],
)
def test_a_downstream_run_gives_its_encoder(name, channels, recipe, layers, tmp_path: Path) -> None:
    run = downstream_run(tmp_path / "run", name, channels, **recipe)
    settings = FeatureSettings(network="run", weights=run)
    image = GREY if channels == 1 else COLOUR
    features = LossNetwork(settings, channels=channels)(image)
    assert set(features) == layers
    assert all(layer.isfinite().all() for layer in features.values())
    before = features_digest(settings)
    downstream_run(tmp_path / "other", name, channels, **recipe, learning_rate=0.1)
    assert features_digest(FeatureSettings(network="run", weights=tmp_path / "other")) != before


def test_a_segmenter_gives_its_logits_for_any_size(tmp_path: Path) -> None:
    run = downstream_run(tmp_path / "run", "segmentation", 1)
    network = LossNetwork(FeatureSettings(network="run", weights=run), channels=1)
    assert network.output(GREY).shape == (2, 2, 40, 33)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="needs the file or folder"):
        FeatureSettings(network="vgg19")
    with pytest.raises(ValidationError, match="takes no file"):
        FeatureSettings(weights=tmp_path)
    with pytest.raises(SettingsError, match=r"\[S041\].*no such layer.*relu9.*relu1a"):
        loss_features(FeatureSettings(layers=("relu9",)), channels=1)
    with pytest.raises(CheckpointError, match=r"\[C001\]"):
        loss_features(FeatureSettings(network="vessels", weights=tmp_path / "absent.pth"), channels=3)
    with pytest.raises(CheckpointError, match=r"\[C001\]"):
        features_digest(FeatureSettings(network="run", weights=tmp_path))
    save_file({"one": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"\[C008\].*VesselWNet"):
        loss_features(FeatureSettings(network="vessels", weights=tmp_path / "other.safetensors"), channels=3)
    (tmp_path / "noise.safetensors").write_bytes(b"noise" * 20)
    with pytest.raises(CheckpointError, match=r"\[C002\]"):
        loss_features(FeatureSettings(network="vessels", weights=tmp_path / "noise.safetensors"), channels=3)
    with pytest.raises(GeometryError, match=r"\[G212\].*3 channels"):
        loss_features(FeatureSettings(), channels=1)(COLOUR)


def test_it_stays_in_evaluation_mode() -> None:
    network = loss_features(FeatureSettings(), channels=1)
    network.train()
    assert not any(module.training for module in network.modules())


@pytest.mark.real_data
def test_the_published_vessel_network_finds_the_vessels(data_root: Path) -> None:
    """Dice against the first observer: 0.74 is known for it at this size."""
    path = data_root / "weights" / "lwnet_wnet_drive" / "model_checkpoint.pth"
    network = LossNetwork(FeatureSettings(network="vessels", weights=path), channels=3)
    assert sum(p.numel() for p in VesselWNet().parameters()) == 68_482
    found = []
    for _, row in pd.read_csv(data_root / "fundus_chase" / "manifest.csv").head(6).iterrows():
        image = (
            Image.open(data_root / "fundus_chase" / row.path)
            .convert("RGB")
            .resize((384, 384), Image.Resampling.BILINEAR)
        )
        vessels = (
            Image.open(data_root / "fundus_chase" / row.vessels1)
            .convert("L")
            .resize((384, 384), Image.Resampling.NEAREST)
        )
        pixels = torch.from_numpy(np.asarray(image) / 127.5 - 1).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            predicted = network.output(pixels)[0, 0].numpy() > 0
        true = np.asarray(vessels) > 127
        found.append(2 * (predicted & true).sum() / (predicted.sum() + true.sum()))
    assert np.mean(found) > 0.7


def test_making_a_network_leaves_chance_alone() -> None:
    """A resumed run makes it in another step than one that was not interrupted."""
    before = torch.get_rng_state()
    LossNetwork(FeatureSettings(), channels=1).load()
    assert torch.equal(torch.get_rng_state(), before)
