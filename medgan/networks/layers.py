"""Convolution and normalisation that compute what torch's own do, in fewer passes over memory."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

_LEAST_PIXELS = 512
"""Input pixels of a batch from which on :class:`DoublingConv2d` convolves before it doubles."""


class ReflectedConv2d(nn.Conv2d):
    """A convolution that pads by reflection, ``nn.Conv2d(..., padding_mode="reflect")`` to the last bit.

    On a CPU, autocast pads in float32: a feature map in bfloat16 would be widened, padded and narrowed again. Here it
    is padded as it is.

    Args:
        in_channels: C of the input (N, C, H, W).
        out_channels: C of the output.
        kernel: Side of the kernel: odd, or even with a stride of 2.
        stride: Step of the kernel.
        bias: Whether there is one.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, bias: bool = True) -> None:
        margin = (kernel - 1) // 2
        super().__init__(
            in_channels, out_channels, kernel, stride=stride, padding=margin, padding_mode="reflect", bias=bias
        )

    def forward(self, features: Tensor) -> Tensor:
        """Pad and convolve."""
        return F.conv2d(_reflected(features, (self.kernel_size[0] - 1) // 2), self.weight, self.bias, self.stride)


class InstanceNorm(nn.InstanceNorm2d):
    """Instance normalisation, which keeps the layout of its input.

    Torch's own turns channels-last features on a CPU into contiguous ones, and each convolution turns them back. Here
    each sample is a batch of one for batch normalisation: the same arithmetic, with kernels for both layouts.

    A channel that is the same everywhere gets no gradient. There is nothing to normalise in it, and the formula would
    multiply its gradient by 316, layer after layer: one empty slice would then end a training by an infinite gradient.

    Source:
        Ulyanov 2016, arXiv:1607.08022.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Normalise each channel of each sample, (N, C, H, W) to the same shape."""
        if features.requires_grad:
            features = _flat_channels_detached(features)
        if features.device.type != "cpu" or features.is_contiguous():
            return super().forward(features)
        parts = [self._one(part) for part in features.split(1)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _one(self, features: Tensor) -> Tensor:
        normalised = F.batch_norm(features, None, None, self.weight, self.bias, training=True, eps=self.eps)
        if normalised.requires_grad:
            # Half of a joined map's gradient has gaps, for which the kernel takes ten times as long.
            normalised.register_hook(_in_one_piece)
        return normalised


def _flat_channels_detached(features: Tensor) -> Tensor:
    seen = features.detach()
    if seen.device.type == "cpu":
        # A look at few pixels tells most often that there is none, without another pass over memory.
        rows, columns = (max(1, side // 8) for side in seen.shape[2:])
        few = seen[..., ::rows, ::columns]
        if not bool((few.amax((2, 3)) == few.amin((2, 3))).any()):
            return features
    flat = seen.amax((2, 3), keepdim=True) == seen.amin((2, 3), keepdim=True)
    return torch.where(flat, seen, features)


class LayerNorm(nn.GroupNorm):
    """Layer normalisation of feature maps: one mean and one spread a sample, a learnt scale and shift a channel.

    Unlike instance normalisation it keeps how channels stand to each other.

    Args:
        channels: C of the input (N, C, H, W).

    Source:
        Ba 2016, arXiv:1607.06450.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)

    def forward(self, features: Tensor) -> Tensor:
        """Normalise each sample, (N, C, H, W) to the same shape."""
        # CUDA's kernel takes scales of the features' own type alone.
        return super().forward(features.to(self.weight.dtype) if features.is_cuda else features)


class Slope(nn.PReLU):
    """A rectifier with a learned slope below zero, in the number format of its input."""

    def forward(self, features: Tensor) -> Tensor:
        """Rectify any shape."""
        return F.prelu(features, self.weight.to(features.dtype))


class DoublingConv2d(nn.Conv2d):
    """Repeats every pixel twice each way, then convolves 3 x 3 with reflected edges; computed before the repetition.

    An output pixel sees at most 2 x 2 different input pixels: each of the four kinds of output pixel, by odd and even
    row and column, has a 2 x 2 kernel whose weights are sums of the 3 x 3 kernel's. That is 16 products where there
    were 36, and the repeated features are never written down. The first repeated row beyond the edge, reflected, is
    the edge itself.

    Args:
        in_channels: C of the input (N, C, H, W).
        out_channels: C of the output (N, C, 2 H, 2 W).
        bias: Whether there is one.

    Source:
        Shi 2016, arXiv:1609.07009, for convolving before the rearrangement; the sums of weights follow from the text
        above.
    """

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, padding_mode="reflect", bias=bias)
        # Which of the 3 weights fall on which of the 2 input pixels: (odd or even, pixel, weight).
        shares = torch.tensor([[[1.0, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])
        self.register_buffer("shares", shares, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Double and convolve."""
        if features.shape[0] * features.shape[2] * features.shape[3] < _LEAST_PIXELS:
            # For few pixels the sums of weights would cost more than they save.
            doubled = F.interpolate(features, scale_factor=2)
            return F.conv2d(_reflected(doubled, 1), self.weight, self.bias)
        with torch.autocast(features.device.type, enabled=False):
            kernels = torch.einsum("pak,qbl,oikl->pqoiab", self.shares, self.shares, self.weight).flatten(0, 2)
            padded = F.pad(features, (1, 1, 1, 1), mode="replicate")
        bias = None if self.bias is None else self.bias.repeat(4)
        output: Tensor = _Interleave.apply(F.conv2d(padded, kernels, bias))
        return output


class _Interleave(torch.autograd.Function):
    """Four kinds of pixels (N, 4 C, H + 1, W + 1) to one image (N, C, 2 H, 2 W): each pixel is written once.

    Slices and stacks would do, with several copies and, on the way back, one frame of zeros for each slice.
    """

    @staticmethod
    def forward(_context: Any, kinds: Tensor) -> Tensor:
        count, channels, height, width = kinds.shape[0], kinds.shape[1] // 4, kinds.shape[2] - 1, kinds.shape[3] - 1
        image = _empty((count, channels, 2 * height, 2 * width), like=kinds)
        for odd, right, part in _parts(kinds):
            image[..., odd::2, right::2] = part
        return image

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        back: Tensor = _Separate.apply(gradient)
        return back


class _Separate(torch.autograd.Function):
    """The transposed of :class:`_Interleave`, so that gradients of gradients exist."""

    @staticmethod
    def forward(_context: Any, image: Tensor) -> Tensor:
        count, channels, height, width = image.shape
        kinds = _empty((count, 4 * channels, height // 2 + 1, width // 2 + 1), like=image).zero_()
        for odd, right, part in _parts(kinds):
            part.copy_(image[..., odd::2, right::2])
        return kinds

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        back: Tensor = _Interleave.apply(gradient)
        return back


def _parts(kinds: Tensor) -> list[tuple[int, int, Tensor]]:
    """Odd row, odd column, and the (N, C, H, W) pixels of that kind: a view."""
    height, width = kinds.shape[2] - 1, kinds.shape[3] - 1
    views = enumerate(kinds.chunk(4, dim=1))
    return [(n // 2, n % 2, view[..., n // 2 : n // 2 + height, n % 2 : n % 2 + width]) for n, view in views]


def _in_one_piece(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last)


def _reflected(features: Tensor, margin: int) -> Tensor:
    if not margin:
        return features
    with torch.autocast(features.device.type, enabled=False):
        return F.pad(features, (margin,) * 4, mode="reflect")


def _empty(shape: tuple[int, ...], *, like: Tensor) -> Tensor:
    """Memory of a type, device and layout like another's."""
    last = not like.is_contiguous() and like.stride(1) == 1
    layout = torch.channels_last if last else torch.contiguous_format
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=layout)
