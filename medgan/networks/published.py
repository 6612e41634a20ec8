"""Generators saved by the published CycleGAN and pix2pix code, as weights of medgan's own generators.

Their names of parameters differ, and so do a few things that do not change the result. Layers are matched in the order
in which an image passes them, each by its kind and shape:

- A bias in front of an instance normalisation is left out: the mean is subtracted, and the bias with it.
- Running means of an instance normalisation, which the published code ignores, are left out.
- Batch normalisation becomes instance normalisation with the same scale and shift: the published test program
  normalises by the statistics of its batch of one image.
- The U-Net's skip connection stands in front of the deeper features there, and behind them here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from medgan.errors import CheckpointError

_RUNNING = ("running_mean", "running_var", "num_batches_tracked")


@dataclass
class _Layer:
    """A convolution and the normalisation behind it, by what their tensors are called."""

    name: str
    tensors: dict[str, Tensor] = field(default_factory=dict)
    norm: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PublishedGenerator:
    """What a published generator's tensors say about it.

    Args:
        kind: ``"resnet"`` or ``"unet"``.
        in_channels: C of its input.
        out_channels: C of its output.
        width: Channels of its first layer.
        blocks: Residual blocks; 0 for a U-Net.
        depth: How often a U-Net halves the image; 0 for a ResNet.
        batch_norm: Whether its normalisation has a scale and a shift, as batch normalisation has.
    """

    kind: Literal["resnet", "unet"]
    in_channels: int
    out_channels: int
    width: int
    blocks: int
    depth: int
    batch_norm: bool


def describe_published(tensors: Mapping[str, Tensor]) -> PublishedGenerator:
    """Tell which published generator a state dict is of.

    Raises:
        CheckpointError: C008, if it is none of them.
    """
    layers = _layers(tensors)
    if len(layers) < 4 or any("weight" not in layer.tensors for layer in layers):
        raise _unknown("no chain of convolutions", f"{len(layers)} layers with weights")
    first, last = layers[0].tensors["weight"], layers[-1].tensors["weight"]
    kernels = {tuple(layer.tensors["weight"].shape[2:]) for layer in layers}
    has_scale = any("weight" in layer.norm for layer in layers)
    if kernels == {(4, 4)} and len(layers) % 2 == 0:
        return PublishedGenerator(
            kind="unet",
            in_channels=first.shape[1],
            out_channels=last.shape[1],
            width=first.shape[0],
            blocks=0,
            depth=len(layers) // 2,
            batch_norm=has_scale,
        )
    if kernels != {(7, 7), (3, 3)} or len(layers) % 2 or len(layers) < 8:
        raise _unknown("neither the ResNet nor the U-Net generator", f"kernels {sorted(kernels)}")
    if any(".conv_block.0.weight" in name for name in tensors):
        raise _unknown("residual blocks that pad with zeros", "conv_block.0.weight")
    return PublishedGenerator(
        kind="resnet",
        in_channels=first.shape[1],
        out_channels=last.shape[0],
        width=first.shape[0],
        blocks=(len(layers) - 6) // 2,
        depth=0,
        batch_norm=has_scale,
    )


def translated_names(tensors: Mapping[str, Tensor], network: nn.Module) -> tuple[dict[str, Tensor], list[str]]:
    """The state dict of one of medgan's generators with a published one's weights.

    Args:
        tensors: The published state dict.
        network: The generator that they belong in, built as :func:`describe_published` says.

    Returns:
        The state dict, and in words what was left out or changed.

    Raises:
        CheckpointError: C008, if a layer has no counterpart of its shape.
    """
    theirs, ours = _layers(tensors), list(_own_layers(network))
    if len(theirs) != len(ours):
        raise _unknown("another number of layers", str(len(theirs)), expected=str(len(ours)))
    skips = isinstance(getattr(network, "ups", None), nn.ModuleList) and bool(getattr(network, "skips", False))
    state: dict[str, Tensor] = {}
    dropped: list[str] = []
    for number, (layer, (name, convolution, norm)) in enumerate(zip(theirs, ours, strict=True)):
        weight = layer.tensors["weight"]
        if skips and number > len(ours) // 2:
            weight = torch.cat(weight.chunk(2)[::-1])
        state[f"{name}.weight"] = _fitting(weight, convolution.weight, layer.name)
        bias = layer.tensors.get("bias")
        if convolution.bias is not None:
            state[f"{name}.bias"] = convolution.bias.new_zeros(len(convolution.bias)) if bias is None else bias
            _fitting(state[f"{name}.bias"], convolution.bias, layer.name)
        elif bias is not None:
            dropped.append(f"{layer.name}.bias")
        state |= _norm_state(layer, norm)
    return {key: value.float().contiguous() for key, value in state.items()}, _told(dropped, theirs)


def _norm_state(layer: _Layer, norm: tuple[str, nn.Module] | None) -> dict[str, Tensor]:
    """Scale and shift of a normalisation, under its own name."""
    affine = {key: value for key, value in layer.norm.items() if key not in _RUNNING}
    own = dict(norm[1].named_parameters()) if norm else {}
    if affine.keys() != own.keys():
        raise _unknown(f"{layer.name}: another normalisation", ", ".join(affine) or "no scale")
    return {f"{norm[0]}.{key}": _fitting(affine[key], own[key], layer.name) for key in own} if norm else {}


def _told(dropped: list[str], layers: list[_Layer]) -> list[str]:
    notes = []
    if dropped:
        notes.append(f"{len(dropped)} biases in front of an instance normalisation left out: they have no effect")
    running = [layer.name for layer in layers if "running_mean" in layer.norm]
    if running and not any("weight" in layer.norm for layer in layers):
        notes.append(f"running statistics of {len(running)} instance normalisations left out: they are not used")
    elif running:
        notes.append(
            f"{len(running)} batch normalisations use the statistics of each image, as the published test program "
            "does; their running statistics are left out"
        )
    return notes


def _layers(tensors: Mapping[str, Tensor]) -> list[_Layer]:
    """Convolutions in the order in which they were saved, which is the forward one, with what follows each."""
    layers: list[_Layer] = []
    for key, tensor in tensors.items():
        name, _, what = key.rpartition(".")
        if tensor.ndim == 4 and what == "weight":
            layers.append(_Layer(name, {what: tensor}))
        elif layers and name == layers[-1].name and what == "bias" and tensor.ndim == 1:
            layers[-1].tensors[what] = tensor
        elif layers and name != layers[-1].name and what in ("weight", "bias", *_RUNNING) and tensor.ndim <= 1:
            layers[-1].norm[what] = tensor
        else:
            raise _unknown("a tensor that no generator has", f"{key} {tuple(tensor.shape)}")
    return layers


def _own_layers(
    network: nn.Module,
) -> Iterator[tuple[str, nn.Conv2d | nn.ConvTranspose2d, tuple[str, nn.Module] | None]]:
    """Convolutions of medgan's generator in forward order, with the normalisation that follows each."""
    modules = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.InstanceNorm2d)
    ]
    for (name, module), following in zip(modules, [*modules[1:], None], strict=True):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            yield name, module, following if following and isinstance(following[1], nn.InstanceNorm2d) else None


def _fitting(tensor: Tensor, own: Tensor, name: str) -> Tensor:
    if tensor.shape != own.shape:
        raise _unknown(f"{name}: another shape", str(tuple(tensor.shape)), expected=str(tuple(own.shape)))
    return tensor


def _unknown(what: str, got: str, *, expected: str = "") -> CheckpointError:
    return CheckpointError(
        "C008",
        f"the tensors are not those of a published generator: {what}",
        got=got,
        expected=expected or "latest_net_G*.pth of CycleGAN (resnet_6blocks, resnet_9blocks) or pix2pix (unet_*)",
        remedy="import the generator, not a discriminator, saved with its state dict alone",
    )
