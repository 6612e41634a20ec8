"""Generators of the published programs become runs that translate as those programs do; pickles execute nothing.

The published architectures are built here from the papers' appendices, with the order of modules that gives the
published names of parameters.
"""

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch import nn
from typer.testing import CliRunner

from medgan import open_run, read_image
from medgan.cli import app
from medgan.errors import CheckpointError, RunError
from medgan.stages.import_weights import import_weights
from medgan.training.foreign import read_state_dict

ROUNDING = 2e-4
"""Of [-1, 1]: inference sums in another order than the network in training, through nine blocks of random weights."""


class Block(nn.Module):
    def __init__(self, width, norm, bias):
        super().__init__()
        half = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=bias), norm(width)]
        other = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=bias), norm(width)]
        self.conv_block = nn.Sequential(*half, nn.ReLU(), *other)

    def forward(self, image):
        return image + self.conv_block(image)


class ResNet(nn.Module):
    """Zhu 2017, appendix 7.2: c7s1-64, d128, d256, R256 x blocks, u128, u64, c7s1-3."""

    def __init__(self, *, width=8, blocks=2, channels=3, norm=nn.InstanceNorm2d):
        super().__init__()
        bias = norm is nn.InstanceNorm2d
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7, bias=bias), norm(width), nn.ReLU()]
        for wide in (width, 2 * width):
            layers += [nn.Conv2d(wide, 2 * wide, 3, stride=2, padding=1, bias=bias), norm(2 * wide), nn.ReLU()]
        layers += [Block(4 * width, norm, bias) for _ in range(blocks)]
        for wide in (4 * width, 2 * width):
            up = nn.ConvTranspose2d(wide, wide // 2, 3, stride=2, padding=1, output_padding=1, bias=bias)
            layers += [up, norm(wide // 2), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, channels, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, image):
        return self.model(image)


class Level(nn.Module):
    """Isola 2017, appendix 6.1.1: a convolution, what lies deeper, a transposed convolution, and the way round."""

    def __init__(self, outer, inner, deeper=None, *, norm, last=False, dropout=False):
        super().__init__()
        bias = norm is nn.InstanceNorm2d
        down = nn.Conv2d(outer, inner, 4, stride=2, padding=1, bias=bias)
        up = nn.ConvTranspose2d(2 * inner if deeper else inner, outer, 4, stride=2, padding=1, bias=bias or last)
        self.last = last
        if last:
            layers = [down, deeper, nn.ReLU(), up, nn.Tanh()]
        elif deeper is None:
            layers = [nn.LeakyReLU(0.2), down, nn.ReLU(), up, norm(outer)]
        else:
            layers = [nn.LeakyReLU(0.2), down, norm(inner), deeper, nn.ReLU(), up, norm(outer)]
            layers += [nn.Dropout(0.5)] if dropout else []
        self.model = nn.Sequential(*layers)

    def forward(self, image):
        return self.model(image) if self.last else torch.cat([image, self.model(image)], dim=1)


class UNet(nn.Module):
    def __init__(self, *, depth=8, width=4, channels=3, norm=nn.BatchNorm2d):
        super().__init__()
        level = Level(8 * width, 8 * width, norm=norm)
        for _ in range(depth - 5):
            level = Level(8 * width, 8 * width, level, norm=norm, dropout=True)
        for wide in (4, 2, 1):
            level = Level(wide * width, 2 * wide * width, level, norm=norm)
        self.model = Level(channels, width, level, norm=norm, last=True)

    def forward(self, image):
        return self.model(image)


def untrained(kind, seed=0, **options):
    """As the published test program runs it: in training mode, so that batch norm sees its one image; no dropout."""
    torch.manual_seed(seed)
    network = kind(**options)
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0.0, 0.15)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.2)
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return network.train()


@pytest.fixture
def photograph(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, size=(40, 52, 3)).astype(np.uint8)
    small = Pillow.fromarray(pixels).resize((256, 256), Pillow.Resampling.BICUBIC)
    small.save(tmp_path / "photograph.png")
    return tmp_path / "photograph.png"


KINDS = {
    "ResNet with instance norm": (ResNet, {"blocks": 9}, "cyclegan"),
    "ResNet of 6 blocks": (ResNet, {"blocks": 6}, "cyclegan"),
    "ResNet with batch norm": (ResNet, {"norm": nn.BatchNorm2d}, "cyclegan"),
    "grey ResNet": (ResNet, {"channels": 1}, "cyclegan"),
    "U-Net-256": (UNet, {}, "pix2pix"),
    "U-Net-128": (UNet, {"depth": 7}, "pix2pix"),
    "U-Net with instance norm": (UNet, {"norm": nn.InstanceNorm2d}, "pix2pix"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_it_translates_as_the_published_network_does(tmp_path, kind, zipped):
    network, options, method = KINDS[kind]
    published = untrained(network, **options)
    torch.save(published.state_dict(), tmp_path / "net_G.pth", _use_new_zipfile_serialization=zipped)
    import_weights(tmp_path / "net_G.pth", tmp_path / "run", source="horse", target="zebra")
    run = open_run(tmp_path / "run", device="cpu")
    assert (run.method, run.directions, run.imported) == (method, ("b",), True)
    channels = options.get("channels", 3)
    image = torch.rand(1, channels, 256, 256, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        expected = published(image)[0].numpy()
    assert expected.std() > 0.1
    np.testing.assert_allclose(run.translate_array(image[0].numpy()), expected, atol=ROUNDING)


def test_both_directions_of_cyclegan(tmp_path, photograph):
    published = [untrained(ResNet, seed=seed) for seed in (0, 1)]
    for name, network in zip("AB", published, strict=True):
        torch.save(network.state_dict(), tmp_path / f"latest_net_G_{name}.pth")
    words = [str(tmp_path / "latest_net_G_A.pth"), "--back", str(tmp_path / "latest_net_G_B.pth")]
    words += ["--out", str(tmp_path / "run"), "--source", "horse", "--target", "zebra"]
    done = CliRunner().invoke(app, ["import-weights", *words])
    assert done.exit_code == 0, done.output
    assert "cyclegan: ResNet of 2 blocks, 3 channels, g_ab and g_ba" in done.output
    assert "biases in front of an instance normalisation left out: they have no effect" in done.output
    run = open_run(tmp_path / "run", device="cpu")
    image = np.asarray(Pillow.open(photograph), dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1
    for to, network in zip(("zebra", "horse"), published, strict=True):
        with torch.no_grad():
            expected = network(torch.from_numpy(image)[None])[0].numpy()
        np.testing.assert_allclose(run.translate_array(image, to=to), expected, atol=ROUNDING)
        levels = np.rint((expected.clip(-1, 1) + 1) * 127.5)
        translated = run.translate(read_image(photograph), to=to).pixels
        assert np.abs(translated - levels).max() <= 1


def test_one_direction_refuses_the_other(tmp_path):
    torch.save(untrained(ResNet).state_dict(), tmp_path / "net.pth")
    import_weights(tmp_path / "net.pth", tmp_path / "run", source="horse", target="zebra")
    with pytest.raises(CheckpointError, match=r"C004.*got to 'horse'; expected 'zebra'"):
        open_run(tmp_path / "run", device="cpu").translate_array(np.zeros((3, 32, 32), np.float32), to="horse")


def test_it_is_marked_as_imported(tmp_path):
    torch.save(untrained(UNet).state_dict(), tmp_path / "net.pth")
    told = import_weights(tmp_path / "net.pth", tmp_path / "run", source="edges", target="shoes")
    assert any("batch normalisations use the statistics of each image" in line for line in told)
    record = json.loads((tmp_path / "run" / "weights.json").read_text())
    assert record["identity"]["context"]["imported"] == {"networks": ["g_ab"], "notes": told[1:]}
    assert len(record["identity"]["data"]["g_ab"]) == 64
    assert record["identity"]["intensity"]["source"] == {
        "low": 0.0,
        "high": 255.0,
        "unit": "level",
        "per_volume": False,
    }
    derivation = open_run(tmp_path / "run", device="cpu").derivation
    assert str(derivation).startswith("edges -> shoes by pix2pix (imported weights), run ")


def test_names_of_data_parallel_and_old_running_statistics(tmp_path):
    published = untrained(ResNet)
    state = {}
    for name, value in published.state_dict().items():
        state[f"module.{name}"] = value
        if name.endswith(".bias") and value.shape != (3,):
            # As saved by a torch in which an instance norm had them.
            place = name.rsplit(".", 2)
            norm = f"module.{place[0]}.{int(place[1]) + 1}"
            state[f"{norm}.running_mean"], state[f"{norm}.running_var"] = value * 0, value * 0 + 1
    torch.save(state, tmp_path / "net.pth")
    told = import_weights(tmp_path / "net.pth", tmp_path / "run", source="a", target="b")
    assert any("instance normalisations left out: they are not used" in line for line in told)
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        expected = published(image)[0].numpy()
    run = open_run(tmp_path / "run", device="cpu")
    np.testing.assert_allclose(run.translate_array(image[0].numpy()), expected, atol=ROUNDING)


def test_a_run_that_is_there_is_left_alone(tmp_path):
    torch.save(untrained(ResNet).state_dict(), tmp_path / "net.pth")
    import_weights(tmp_path / "net.pth", tmp_path / "run", source="a", target="b")
    before = (tmp_path / "run" / "weights.json").read_bytes()
    with pytest.raises(RunError, match="J002"):
        import_weights(tmp_path / "net.pth", tmp_path / "run", source="a", target="c")
    assert (tmp_path / "run" / "weights.json").read_bytes() == before


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrapped", [True, False], ids=["among tensors", "alone"])
def test_a_pickle_that_would_act_is_refused_and_does_nothing(tmp_path, zipped, wrapped):
    fired = tmp_path / "fired"
    content = {**untrained(ResNet).state_dict(), "hook": Bomb(fired)} if wrapped else Bomb(fired)
    torch.save(content, tmp_path / "net.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"C007.*nothing in it was executed.*a call of getattr"):
        import_weights(tmp_path / "net.pth", tmp_path / "run", source="a", target="b")
    assert not fired.exists()
    assert not (tmp_path / "run").exists()
    with (tmp_path / "net.pth").open("rb") as file, pytest.raises(Exception, match=r".*"):
        torch.load(file, weights_only=False)["x"]
    assert fired.exists(), "the bomb was real"


def test_what_another_library_declared_safe_is_not(tmp_path):
    with torch.serialization.safe_globals([Bomb, Path.touch]):
        torch.save({"a": torch.ones(1), "b": Bomb(tmp_path / "fired")}, tmp_path / "net.pth")
        with pytest.raises(CheckpointError, match="C007"):
            read_state_dict(tmp_path / "net.pth")
        assert Bomb in torch.serialization.get_safe_globals(), "it is given back"
    assert not (tmp_path / "fired").exists()


@pytest.mark.parametrize(
    "content",
    [
        {"optimizer": {"state": {}}, "net": torch.ones(2)},
        {"a": torch.ones(2).to_sparse()},
        {"a": torch.tensor([1.0, float("nan")])},
        {"a": 3},
        [torch.ones(2)],
        {},
        {"a": torch.ones(1), "module.a": torch.ones(1)},
    ],
    ids=["nested", "sparse", "NaN", "number", "list", "nothing", "twice"],
)
def test_anything_but_named_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match="C007"):
        read_state_dict(tmp_path / "net.pth")


def test_files_that_are_none_are_refused(tmp_path):
    torch.save({"a": torch.ones(3)}, tmp_path / "good.pth")
    raw = (tmp_path / "good.pth").read_bytes()
    cases = {"empty": b"", "text": b"<html>", "cut": raw[: len(raw) // 2], "pickle": pickle.dumps([1])}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match="C007"):
            read_state_dict(tmp_path / name)
    with pytest.raises(CheckpointError, match="C001"):
        read_state_dict(tmp_path / "absent")
    with zipfile.ZipFile(tmp_path / "good.pth") as good, zipfile.ZipFile(tmp_path / "packed", "w", 8) as packed:
        for entry in good.infolist():
            packed.writestr(entry.filename, good.read(entry))
    with pytest.raises(CheckpointError, match=r"C007.*a packed entry"):
        read_state_dict(tmp_path / "packed")


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        ({"a": torch.ones(3)}, "a tensor that no generator has"),
        ({f"model.{n}.weight": torch.ones(4, 4, 5, 5) for n in range(8)}, "neither the ResNet nor the U-Net"),
        ({f"model.{n}.weight": torch.ones(4, 4, 4, 4) for n in range(5)}, "neither the ResNet nor the U-Net"),
        ({f"model.{n}.weight": torch.ones(3, 3, 4, 4) for n in range(8)}, "another shape"),
    ],
)
def test_tensors_of_something_else_are_refused(tmp_path, tensors, told):
    torch.save(tensors, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match=rf"C008.*{told}"):
        import_weights(tmp_path / "net.pth", tmp_path / "run", source="a", target="b")
    assert not (tmp_path / "run" / "weights.json").exists()


def test_blocks_that_pad_with_zeros_are_refused(tmp_path):
    state = untrained(ResNet).state_dict()
    renamed = {name.replace("conv_block.1.", "conv_block.0."): value for name, value in state.items()}
    torch.save(renamed, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match=r"C008.*residual blocks that pad with zeros"):
        import_weights(tmp_path / "net.pth", tmp_path / "run", source="a", target="b")


def test_two_files_that_are_no_pair_are_refused(tmp_path):
    torch.save(untrained(ResNet).state_dict(), tmp_path / "a.pth")
    torch.save(untrained(ResNet, blocks=3).state_dict(), tmp_path / "b.pth")
    with pytest.raises(CheckpointError, match=r"C008.*not CycleGAN's two generators"):
        import_weights(tmp_path / "a.pth", tmp_path / "run", source="a", target="b", back=tmp_path / "b.pth")
