"""A frozen network that gives the features of chosen layers."""

import threading
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from medgan.errors import GeometryError, SettingsError

Frozen = TypeVar("Frozen", bound=nn.Module)


class FeatureNetwork(nn.Module):
    """Runs a network in evaluation mode and keeps what some of its layers give.

    Gradients pass through it to the image; its own weights take none.

    Args:
        network: Takes (N, in_channels, H, W).
        layers: Names of its submodules, as in ``named_modules``.
        in_channels: Channels that the network takes. Grey images are repeated where it takes three.
        mean: Taken from each channel of an image in [-1, 1] first.
        std: Each channel is divided by it then.
        size_multiple: Sides are padded to multiples of this by their edge pixels.

    Raises:
        SettingsError: S041, if there is no such layer.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        layers: Sequence[str],
        in_channels: int,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        size_multiple: int = 1,
    ) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(requires_grad=False)
        self.layers, self.in_channels, self.size_multiple = tuple(layers), in_channels, size_multiple
        self.register_buffer("mean", torch.tensor(list(mean)).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(list(std)).view(1, -1, 1, 1))
        self._check(self.layers)

    def train(self, mode: bool = True) -> "FeatureNetwork":  # noqa: FBT001, FBT002
        """Stay in evaluation mode: running statistics are used, and left alone."""
        return super().train(mode=False)

    def forward(self, image: Tensor, layers: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Features by layer.

        Args:
            image: (N, C, H, W) in [-1, 1]; C is the network's, or 1.
            layers: Other layers than the network's own.

        Returns:
            (N, channels, h, w) for each layer, in the order in which they are named.

        Raises:
            GeometryError: G212, if the channels do not fit.
            SettingsError: S041, if there is no such layer.
        """
        if layers is not None:
            self._check(layers)
        wanted = self.layers if layers is None else tuple(dict.fromkeys(layers))
        found: dict[str, Tensor] = {}
        handles = [self._tap(name, found) for name in wanted]
        try:
            self.network(self._fitted(image))
        finally:
            for handle in handles:
                handle.remove()
        return {name: found[name] for name in wanted}

    def with_layers(self, layers: Sequence[str]) -> "FeatureNetwork":
        """The same network, looked at in other layers."""
        return FeatureNetwork(
            self.network,
            layers=layers,
            in_channels=self.in_channels,
            mean=self.mean.flatten().tolist(),
            std=self.std.flatten().tolist(),
            size_multiple=self.size_multiple,
        )

    def output(self, image: Tensor) -> Tensor:
        """The network's own output for images (N, C, H, W) in [-1, 1], such as a segmenter's logits (N, K, H, W)."""
        height, width = image.shape[-2:]
        given: Tensor = self.network(self._fitted(image))
        return given[..., :height, :width] if given.ndim == 4 else given

    def _check(self, layers: Sequence[str]) -> None:
        known = [name for name, _ in self.network.named_modules() if name]
        unknown = [name for name in layers if name not in known]
        if unknown or not layers:
            raise SettingsError(
                "S041",
                "the feature network has no such layer",
                got=", ".join(unknown) or "no layer",
                expected="some of " + ", ".join(known),
            )

    def _tap(self, name: str, found: dict[str, Tensor]) -> torch.utils.hooks.RemovableHandle:
        owner = threading.get_ident()

        def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            # Slices are translated side by side: another thread's features are not this one's.
            if threading.get_ident() == owner:
                found[name] = output

        return self.network.get_submodule(name).register_forward_hook(keep)

    def _fitted(self, image: Tensor) -> Tensor:
        if image.shape[1] not in {1, self.in_channels}:
            raise GeometryError(
                "G212",
                "the images do not fit the feature network",
                got=f"{image.shape[1]} channels",
                expected=f"{self.in_channels}, or 1",
                remedy="name a network for such images",
            )
        rows, columns = -image.shape[-2] % self.size_multiple, -image.shape[-1] % self.size_multiple
        padded = F.pad(image, (0, columns, 0, rows), mode="replicate") if rows or columns else image
        return (padded.expand(-1, self.in_channels, -1, -1) - self.mean) / self.std


def without_parameters(network: Frozen) -> Frozen:
    """Make buffers of a network's parameters, in place: they are kept and moved with it, and nothing trains them."""
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach().clone())
    return network


def with_average_pooling(network: Frozen) -> Frozen:
    """Put average pooling in the place of every maximum pooling, in place.

    Source:
        Gatys 2016, doi:10.1109/CVPR.2016.265, section 2: gradients flow better, pictures are slightly more appealing.
    """
    for parent in network.modules():
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.MaxPool2d):
                setattr(parent, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
    return network


def random_features(channels: int, *, width: int = 32, seed: int = 0) -> FeatureNetwork:
    """Three scales of random 3 x 3 convolutions, always the same ones.

    Random convolutions with a rectifier keep local contrast and orientation; textures can be made after them (He 2016,
    arXiv:1606.04801).

    Args:
        channels: Channels of the images.
        width: Channels of the first scale; they double with each.
        seed: Seed of the weights.
    """
    generator = torch.Generator().manual_seed(seed)
    layers: list[tuple[str, nn.Module]] = []
    came = channels
    for scale in range(3):
        if scale:
            layers.append((f"pool{scale}", nn.AvgPool2d(2)))
        for turn in ("a", "b"):
            convolution = nn.Conv2d(came, width * 2**scale, 3, padding=1, padding_mode="reflect", bias=False)
            nn.init.kaiming_normal_(convolution.weight, generator=generator)
            layers += [(f"conv{scale + 1}{turn}", convolution), (f"relu{scale + 1}{turn}", nn.ReLU())]
            came = width * 2**scale
    network = nn.Sequential()
    for name, layer in layers:
        network.add_module(name, layer)
    return FeatureNetwork(network, layers=("relu1b", "relu2b", "relu3b"), in_channels=channels, size_multiple=4)
