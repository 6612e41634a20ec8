"""Feature networks for losses: read from a file or a run, kept apart from what is trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from medgan.errors import CheckpointError
from medgan.networks.deeplab import DeepLabV3Plus
from medgan.networks.efficientnet import EfficientNet, imagenet_lite0
from medgan.networks.feature_network import FeatureNetwork, random_features
from medgan.networks.segmentation_unet import segmentation_unet
from medgan.networks.vessel_wnet import VesselWNet
from medgan.networks.vgg import vgg16_layers, vgg19_layers
from medgan.settings.features import FeatureSettings
from medgan.training.foreign import read_state_dict
from medgan.training.tensor_files import refuse_pickle, sha256
from medgan.training.weights import read_weights

_VGG_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class LossNetwork:
    """A feature network that a learner looks through, but does not own: it is no part of its weights or checkpoints.

    It is made when it is first needed, on the device of the images; a run is translated with without it.

    Args:
        settings: Which network.
        channels: Channels of the images.
    """

    def __init__(self, settings: FeatureSettings, *, channels: int) -> None:
        self.settings, self.channels = settings, channels
        self._network: FeatureNetwork | None = None

    def load(self) -> FeatureNetwork:
        """The network, read at the first call.

        Raises:
            CheckpointError: If its file is absent, damaged or another network's.
            SettingsError: S040, if its package is not installed; S041, if it has no such layer.
        """
        if self._network is None:
            # A resumed run makes it in another step than one that was not interrupted: chance must not know.
            with torch.random.fork_rng(devices=[]):
                self._network = loss_features(self.settings, channels=self.channels)
        return self._network

    def __call__(self, image: Tensor, layers: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Features of images (N, C, H, W) in [-1, 1] by layer; see :class:`FeatureNetwork`."""
        features: dict[str, Tensor] = self._for(image)(image, layers)
        return features

    def output(self, image: Tensor) -> Tensor:
        """The network's own output, such as a segmenter's logits; see :meth:`FeatureNetwork.output`."""
        return self._for(image).output(image)

    def _for(self, image: Tensor) -> FeatureNetwork:
        wide = torch.float64 if image.dtype == torch.float64 else torch.float32
        return self.load().to(image.device, wide)


def loss_features(settings: FeatureSettings, *, channels: int) -> FeatureNetwork:
    """Build and fill a feature network.

    Args:
        settings: Which network and which of its layers.
        channels: Channels of the images that will be compared.

    Raises:
        CheckpointError: C001, no such file; C007 or C008, not this network's weights; those of reading a run.
        SettingsError: S040, if its package is not installed; S041, if it has no such layer.
    """
    made = empty_features(settings, channels=channels)
    fill_features(made, settings)
    return made


def empty_features(settings: FeatureSettings, *, channels: int) -> FeatureNetwork:
    """Build a feature network without the weights that a file or a package has, for those that a run has kept.

    Of a downstream run, its record is read, which says what it is; random features have all they need.

    Raises:
        CheckpointError: C001, if there is no such run; C004, if it is not a downstream one.
        SettingsError: S041, if the network has no such layer.
    """
    made = _made(settings, channels=channels)
    return made.with_layers(settings.layers) if settings.layers else made


def fill_features(made: FeatureNetwork, settings: FeatureSettings) -> None:
    """Put the weights of its file or package into a network from :func:`empty_features`.

    Raises:
        CheckpointError: C001, no such file; C007 or C008, not this network's weights; those of reading a run.
        SettingsError: S040, if its package is not installed.
    """
    if settings.network == "efficientnet-lite0":
        made.network.load_state_dict(imagenet_lite0().state_dict())
    if settings.weights is not None:
        _fill(made.network, _own_tensors(settings.network, settings.weights, made.network), settings.weights)


def features_digest(settings: FeatureSettings) -> str:
    """What tells one feature network from another: the SHA-256 of its file or its run's weights, else its name.

    Raises:
        CheckpointError: C001, if there is no such file.
    """
    if settings.weights is None:
        return settings.network
    path = settings.weights / "weights.safetensors" if settings.network == "run" else settings.weights
    if not path.is_file():
        raise _absent(path)
    return sha256(path)


def _made(settings: FeatureSettings, *, channels: int) -> FeatureNetwork:
    """The network with its usual layers, and without the weights that are in a file."""
    if settings.network == "random":
        return random_features(channels)
    if settings.network == "efficientnet-lite0":
        return _of_efficientnet(EfficientNet(3, 1000, pretrained="efficientnet-lite0", load=False), channels=3)
    if settings.network == "run":
        return _of_run(Path(str(settings.weights)))
    if settings.network == "vessels":
        levels = ("unet1.first", "unet1.down_path.0", "unet1.down_path.1")
        return FeatureNetwork(VesselWNet(), layers=levels, in_channels=3, mean=(-1.0,), std=(2.0,), size_multiple=4)
    # An image in [-1, 1] is twice one in [0, 1], less 1.
    mean, std = [2 * value - 1 for value in _IMAGENET_MEAN], [2 * value for value in _IMAGENET_STD]
    vgg = vgg16_layers() if settings.network == "vgg16" else vgg19_layers()
    return FeatureNetwork(vgg, layers=_VGG_LAYERS, in_channels=3, mean=mean, std=std)


def _own_tensors(name: str, path: Path, network: nn.Module) -> dict[str, Tensor]:
    """The weights in a file or run, by the network's own names."""
    if name == "run":
        tensors = read_weights(path)[1]
        return {key.removeprefix("network."): one for key, one in tensors.items() if key.startswith("network.")}
    if name == "vessels":
        return _tensors(path, inside="model_state_dict")
    return _by_paper(_tensors(path), network)


def _of_run(folder: Path) -> FeatureNetwork:
    """The network of a downstream run, and its encoder's levels."""
    identity = read_weights(folder)[0].identity
    recipe: Mapping[str, Any] = identity.recipe
    channels, classes = (int(identity.shape.get(name, 0)) for name in ("channels", "classes"))
    if identity.method == "classification":
        classifier = EfficientNet(channels, classes, pretrained=recipe.get("pretrained"), load=False)
        return _of_efficientnet(classifier, channels=channels)
    if identity.method == "segmentation":
        network, layers = _segmenter(recipe, channels, classes)
        return FeatureNetwork(network, layers=layers, in_channels=channels, size_multiple=16)
    raise CheckpointError(
        "C004",
        "not a downstream run",
        where=str(folder),
        got=identity.method,
        expected="the run of a segmentation or classification task",
    )


def _segmenter(recipe: Mapping[str, Any], channels: int, classes: int) -> tuple[nn.Module, tuple[str, ...]]:
    if recipe.get("network") == "deeplabv3plus":
        width, multiplier = recipe.get("width") or 256, recipe.get("width_multiplier", 1.0)
        return DeepLabV3Plus(channels, classes, width=width, width_multiplier=multiplier), ("low", "pyramid")
    return segmentation_unet(channels, classes, width=recipe.get("width") or 16), ("conv_0", "down_1", "down_2")


def _of_efficientnet(network: EfficientNet, *, channels: int) -> FeatureNetwork:
    layers = tuple(f"network._blocks.{stage}" for stage in (0, 1, 2, 4))
    return FeatureNetwork(network, layers=layers, in_channels=channels, size_multiple=32)


def _by_paper(tensors: Mapping[str, Tensor], vgg: nn.Module) -> dict[str, Tensor]:
    """Tensors by the paper's names of layers; files number all layers: ``features.0.weight``."""
    names = [name for name, _ in vgg.named_children()]
    found = {}
    for key, tensor in tensors.items():
        parts = key.split(".")
        if parts[0] == "features" and len(parts) == 3 and parts[1].isdigit() and int(parts[1]) < len(names):
            found[f"{names[int(parts[1])]}.{parts[2]}"] = tensor
        elif parts[0] in names:
            found[key] = tensor
    return found


def _tensors(path: Path, *, inside: str | None = None) -> dict[str, Tensor]:
    if not path.is_file():
        raise _absent(path)
    if path.suffix != ".safetensors":
        return read_state_dict(path, inside=inside)
    refuse_pickle(path)
    try:
        return safetensors.torch.load_file(path)
    except SafetensorError as error:
        raise CheckpointError("C002", "not a safetensors file", where=str(path), got=str(error)) from error


def _fill(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    try:
        network.load_state_dict(dict(tensors))
    except RuntimeError as error:
        raise CheckpointError(
            "C008",
            "the weights are not this feature network's",
            where=str(path),
            got=" ".join(str(error).split())[:300],
            expected=type(network).__name__,
        ) from error


def _absent(path: Path) -> CheckpointError:
    return CheckpointError("C001", "no weights of a feature network", where=str(path), remedy="name an existing file")
