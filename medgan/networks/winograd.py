"""3 x 3 convolutions in fp32 with a quarter of the multiplications, for inference on a CPU."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from medgan.networks.layers import DoublingConv2d

OUTPUT = 4
"""Side of the square of results that are made together."""
FEWEST_CHANNELS = 32
"""Below this many channels, in or out, the turning to and fro costs more than it saves."""

_INPUT = OUTPUT + 2
_TILES = 256
_FEWEST_TILES = 16

# Where the polynomials are evaluated, with infinity. These small fractions, and not the usual 0, 1, -1, 2, -2, keep
# the rounding error as small as that of an ordinary convolution of 256 channels (5.5e-7 of the spread against 4.9e-7).
_POINTS = (0.0, 0.625, -0.625, 1.5, -1.5)

Matrix = npt.NDArray[np.float64]


class WinogradConvolution(nn.Module):
    """What a 3 x 3 convolution of stride 1 gives, or one that doubles the image first.

    Tiles of 6 x 6 are turned into 36 numbers a channel, each of which is multiplied on its own, and turned back into
    4 x 4 results: 36 multiplications a channel where 144 stand in the sum. All is fp32; results differ from the
    convolution's by rounding, as one order of summation differs from another. Doubling is part of the turn: the
    doubled image, whose neighbours are equal in pairs, is never made.

    Small maps, whose turned weights would be read for too few pixels, go through the convolution itself.

    Args:
        convolution: One that :func:`suits`; a :class:`~medgan.networks.layers.DoublingConv2d` doubles.

    Source:
        Lavin and Gray 2015, arXiv:1509.09308; points after Barabasz 2018, arXiv:1803.10986.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution, self.doubled = convolution, isinstance(convolution, DoublingConv2d)
        before, weights, after = _turns()
        if self.doubled:
            before = before @ np.repeat(np.eye(4), 2, axis=0)[1:-1]
        self._before, self._after = _both_axes(before), _both_axes(after)
        self._weights = torch.from_numpy(weights)
        self._turned: Tensor | None = None

    def forward(self, features: Tensor) -> Tensor:
        """Convolve (N, C, H, W); channels last in memory is fastest, and is what comes back."""
        height, width = (size * (2 if self.doubled else 1) for size in features.shape[-2:])
        if -(-height // OUTPUT) * -(-width // OUTPUT) < _FEWEST_TILES:
            made: Tensor = self.convolution(features)
            return made
        if self._turned is None:
            self._turned = self._turn_weights()
        rows, columns = -(-height // OUTPUT), -(-width // OUTPUT)
        made = self._bands(self._padded(features, rows, columns), rows, columns, self._turned)
        made = made.permute(0, 3, 1, 2)
        if made.shape[-2:] != (height, width):
            made = made[..., :height, :width].contiguous(memory_format=torch.channels_last)
        return made if self.convolution.bias is None else made.add_(self.convolution.bias[:, None, None])

    def _bands(self, padded: Tensor, rows: int, columns: int, turned: Tensor) -> Tensor:
        """All tiles, a few rows of them at a time, so that what is made on the way stays in the cache."""
        images, _, _, channels = padded.shape
        out = padded.new_empty(images, rows, OUTPUT, columns, OUTPUT, self.convolution.out_channels)
        side, step = (4, 2) if self.doubled else (_INPUT, OUTPUT)
        down, right = padded.stride(1), padded.stride(2)
        high = max(1, _TILES // columns)
        for image in range(images):
            for top in range(0, rows, high):
                count = min(high, rows - top)
                tiles = padded[image].as_strided(
                    (side, side, count, columns, channels),
                    (down, right, step * down, step * right, 1),
                    padded[image].storage_offset() + top * step * down,
                )
                turned_tiles = torch.mm(self._before, tiles.reshape(side * side, -1))
                product = torch.bmm(turned_tiles.view(_INPUT * _INPUT, count * columns, channels), turned)
                result = torch.mm(self._after, product.view(_INPUT * _INPUT, -1))
                out[image, top : top + count] = result.view(OUTPUT, OUTPUT, count, columns, -1).permute(2, 0, 3, 1, 4)
        return out.view(images, rows * OUTPUT, columns * OUTPUT, -1)

    def _padded(self, features: Tensor, rows: int, columns: int) -> Tensor:
        """(N, H, W, C) with a frame of one pixel, and zeros below and to the right where the last tiles reach out."""
        reflect = self.convolution.padding_mode == "reflect"
        # A doubled image reflected at its edge shows the edge pixel once more.
        mode = ("replicate" if self.doubled else "reflect") if reflect else "constant"
        framed = F.pad(features, (1, 1, 1, 1), mode=mode).permute(0, 2, 3, 1)
        step = 2 if self.doubled else OUTPUT
        below, beyond = rows * step + 2 - framed.shape[1], columns * step + 2 - framed.shape[2]
        return F.pad(framed, (0, 0, 0, beyond, 0, below)).contiguous()

    def _turn_weights(self) -> Tensor:
        """(36, in_channels, out_channels), by way of float64."""
        weight = self.convolution.weight.detach().double()
        turned = torch.einsum("ia,kcab,jb->ijck", self._weights, weight, self._weights)
        return turned.flatten(0, 1).float().contiguous()


def suits(module: nn.Module) -> bool:
    """Whether a module is a convolution that this makes faster."""
    return (
        isinstance(module, nn.Conv2d)
        and (module.kernel_size, module.stride, module.padding, module.dilation) == ((3, 3), (1, 1), (1, 1), (1, 1))
        and module.groups == 1
        and module.padding_mode in {"reflect", "zeros"}
        and min(module.in_channels, module.out_channels) >= FEWEST_CHANNELS
    )


def _turns() -> tuple[Matrix, Matrix, Matrix]:
    """The matrices of one axis: (6, 6) for the input, (6, 3) for the weights, (4, 6) for the result.

    Toom and Cook: polynomials multiplied by their values at a few points, and the input's part transposed.
    """
    points = np.array(_POINTS)
    scale = np.array([np.prod(point - np.delete(points, i)) for i, point in enumerate(points)])
    weights = np.vstack([points[:, None] ** np.arange(3) / scale[:, None], np.eye(3)[2]])
    after = np.hstack([(points[:, None] ** np.arange(OUTPUT)).T, np.eye(OUTPUT)[:, -1:]])
    before = np.zeros((_INPUT, _INPUT))
    for i in range(len(points)):
        before[i, :-1] = np.poly(np.delete(points, i))[::-1]
    before[-1] = np.poly(points)[::-1]
    return before, weights, after


def _both_axes(matrix: Matrix) -> Tensor:
    both: npt.NDArray[Any] = np.kron(matrix, matrix)
    return torch.from_numpy(both).float()
