"""One picture sheet a task of benchmarks/methods.py: test images in rows, and source, methods, target in columns."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from methods_data import Task
from methods_runs import Pixels
from PIL import Image as PilImage

from medgan.reports.panels import SYNTHETIC, contact_sheet

Picture = npt.NDArray[np.uint8]
ROWS = 4
COLUMNS = 10
CELL_PX = 128


def sheet(task: Task, columns: Sequence[tuple[str, Pixels]], path: Path) -> None:
    """Write the sheet: bands of at most :data:`COLUMNS` columns, each with the source, and the target where paired.

    The first test images are shown, whose order was drawn before anything was trained.

    Args:
        task: The task.
        columns: Label and outputs (N, C, H, W) of every method.
        path: PNG file.
    """
    bands = []
    width = COLUMNS - (2 if task.paired else 1)
    for start in range(0, len(columns), width):
        part = columns[start : start + width]
        heads = [
            "source",
            *(label.replace("encoder-decoder", "enc-dec") for label, _ in part),
            *(["target"] if task.paired else []),
        ]
        rows = []
        for row, sample in enumerate(task.test[:ROWS]):
            target = [] if sample.target is None else [sample.target]
            rows.append([picture(image) for image in (sample.image, *(made[row] for _, made in part), *target)])
        bands.append(contact_sheet(rows, heads, cell_px=CELL_PX, footer=SYNTHETIC))
    widest = max(band.shape[1] for band in bands)
    padded = [np.pad(b, ((0, 0), (0, widest - b.shape[1]), (0, 0)), constant_values=255) for b in bands]
    PilImage.fromarray(np.concatenate(padded)).save(path, optimize=True)


def picture(image: Pixels) -> Picture:
    """An image (C, H, W) in [-1, 1] as RGB levels (H, W, 3)."""
    levels = np.clip(np.rint((image + 1) * 127.5), 0, 255).astype(np.uint8)
    return np.moveaxis(np.repeat(levels, 3 // len(levels), axis=0), 0, -1)
