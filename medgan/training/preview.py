"""Pictures of how a learner does at fixed samples."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PilImage
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

_SAMPLES = 4
_GAP_PX = 2


def fixed_samples(draw: Callable[[int], Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The first samples of a run, about four of them, that every preview shows."""
    batches = [dict(draw(0))]
    while batches[0] and sum(_size(batch) for batch in batches) < _SAMPLES and len(batches) < _SAMPLES:
        more = dict(draw(len(batches)))
        if any(more[name].shape[1:] != tensor.shape[1:] for name, tensor in batches[0].items()):
            break
        batches.append(more)
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}


def write_preview(path: Path, pictures: Mapping[str, Tensor]) -> None:
    """Write pictures as a PNG: a row for each name, a column for each of at most four samples.

    Args:
        path: Where to; its text chunk ``rows`` names the rows from the top.
        pictures: Each (N, C, H, W) in [-1, 1]; other than 1 or 3 channels show the middle one.
    """
    grids = [np.concatenate([_tile(image) for image in images[:_SAMPLES]], axis=1) for images in pictures.values()]
    if not grids:
        return
    width = max(grid.shape[1] for grid in grids)
    sheet = np.concatenate([np.pad(grid, ((0, 0), (0, width - grid.shape[1]), (0, 0))) for grid in grids])
    text = PngInfo()
    text.add_text("rows", ", ".join(pictures))
    path.parent.mkdir(parents=True, exist_ok=True)
    PilImage.fromarray(sheet).save(path, pnginfo=text)


def _tile(image: Tensor) -> np.ndarray:
    """An (H, W, 3) picture in [0, 255] with a dark gap below and to the right."""
    channels = image.shape[0]
    shown = image if channels in (1, 3) else image[channels // 2 : channels // 2 + 1]
    levels = ((shown.detach().float().cpu().nan_to_num(-1.0).clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    array = levels.expand(3, -1, -1).permute(1, 2, 0).numpy()
    return np.pad(array, ((0, _GAP_PX), (0, _GAP_PX), (0, 0)))


def _size(batch: Mapping[str, Tensor]) -> int:
    return len(next(iter(batch.values())))
