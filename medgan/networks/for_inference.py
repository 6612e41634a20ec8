"""A frozen copy of a network that gives the same images sooner."""

import copy
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from medgan.networks.layers import DoublingConv2d
from medgan.networks.spectral import without_parametrizations
from medgan.networks.winograd import WinogradConvolution, suits

InferencePrecision = Literal["fp32", "bf16"]

_FEWEST_CHANNELS = 16
_FEW_OUT = 4
_SMALL_MAP = 1024  # below so many pixels torch's group normalisation of channels-last bf16 takes 6 times as long


def for_inference(network: nn.Module, *, precision: InferencePrecision, device: torch.device) -> nn.Module:
    """Copy a network for use alone: frozen, in evaluation mode, channels last in memory.

    Instance normalisation becomes group normalisation with a group a channel, which is the same arithmetic in a faster
    kernel. Input and output are float32 in either precision.

    Args:
        network: One of this package's image networks; it stays as it is.
        precision: ``"fp32"`` differs from the network by rounding alone; 3 x 3 convolutions take Winograd's way on a
            CPU. ``"bf16"`` computes convolutions with 8 bits of mantissa, summed in fp32, but for those next to the
            image itself: an output in bf16 would have steps of 1/256.
        device: Where to compute.

    Returns:
        The copy, on that device.
    """
    made = without_parametrizations(copy.deepcopy(network).eval()).requires_grad_(requires_grad=False)
    _replace(made, precision=precision, cpu=device.type == "cpu")
    return made.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


class ComputedIn(nn.Module):
    """A convolution in a number format of its own, whatever its input's is.

    Args:
        convolution: The layer, whose weights are cast.
        dtype: In what to compute, and what comes out.
    """

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d, dtype: torch.dtype) -> None:
        super().__init__()
        self.convolution, self.dtype = convolution.to(dtype), dtype

    def forward(self, features: Tensor) -> Tensor:
        """Convolve (N, C, H, W)."""
        made: Tensor = self.convolution(features.to(self.dtype))
        return made


class ChannelNorm(nn.GroupNorm):
    """Instance normalisation as group normalisation with a group a channel: the same arithmetic, a faster kernel.

    Args:
        instance: The layer whose place it takes.
    """

    def __init__(self, instance: nn.InstanceNorm2d) -> None:
        super().__init__(instance.num_features, instance.num_features, eps=instance.eps, affine=instance.affine)
        if instance.affine:
            self.load_state_dict(instance.state_dict())

    def forward(self, features: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        small = features.shape[-2] * features.shape[-1] < _SMALL_MAP
        # Only the CPU's kernel takes scales of another type than the features'.
        widen = small or (self.affine and features.device.type != "cpu")
        return super().forward(features.float() if widen else features)


class FewChannelsOut(nn.Module):
    """A convolution to few channels in fp32: each tap's plane of products by one matrix product, then their sum.

    An ordinary kernel, which puts many channels of one pixel side by side, is mostly idle there.

    Args:
        convolution: Stride 1 and an odd kernel, padded so that the size stays.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, features: Tensor) -> Tensor:
        """Convolve (N, C, H, W)."""
        convolution, (height, width) = self.convolution, features.shape[-2:]
        mode = convolution.padding_mode.replace("zeros", "constant")
        padded = F.pad(features.float(), (convolution.padding[0],) * 4, mode=mode)  # type: ignore[arg-type]
        taps = convolution.weight.permute(0, 2, 3, 1)  # (out, kernel, kernel, in)
        planes = torch.matmul(taps.reshape(-1, taps.shape[-1]), padded.flatten(2))
        planes = planes.view(len(features), *taps.shape[:3], *padded.shape[-2:])
        made = planes.new_zeros(len(features), taps.shape[0], height, width)
        for row in range(taps.shape[1]):
            for column in range(taps.shape[2]):
                made += planes[:, :, row, column, row : row + height, column : column + width]
        return made if convolution.bias is None else made + convolution.bias[:, None, None]


def _replace(parent: nn.Module, *, precision: InferencePrecision, cpu: bool) -> None:
    for name, child in list(parent.named_children()):
        setattr(parent, name, _replacement(child, precision=precision, cpu=cpu))


def _replacement(module: nn.Module, *, precision: InferencePrecision, cpu: bool) -> nn.Module:
    if isinstance(module, nn.InstanceNorm2d):
        return ChannelNorm(module)
    if cpu and precision == "fp32" and isinstance(module, nn.Conv2d) and suits(module):
        return WinogradConvolution(module)
    if cpu and isinstance(module, nn.Conv2d) and _gives_few(module):
        return FewChannelsOut(module)
    if precision == "bf16" and isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        inner = min(module.in_channels, module.out_channels) >= _FEWEST_CHANNELS
        return ComputedIn(module, torch.bfloat16 if inner else torch.float32)
    if not isinstance(module, WinogradConvolution):
        _replace(module, precision=precision, cpu=cpu)
    return module


def _gives_few(convolution: nn.Conv2d) -> bool:
    if isinstance(convolution, DoublingConv2d):
        return False
    same = convolution.padding == ((convolution.kernel_size[0] - 1) // 2,) * 2
    plain = (convolution.stride, convolution.dilation, convolution.groups) == ((1, 1), (1, 1), 1)
    square = convolution.kernel_size[0] == convolution.kernel_size[1]
    known = convolution.padding_mode in {"reflect", "zeros"}
    return same and plain and square and known and convolution.out_channels <= _FEW_OUT < convolution.in_channels
