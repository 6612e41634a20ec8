"""One picture sheet a task of benchmarks/methods.py: test images in rows, and source, methods, target in columns."""

from collections.abc import Iterator, Sequence
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
SHORT = {"encoder-decoder": "enc-dec", "johnson_resolution": "johnson_res.", "srresnet-features": "srresnet-feat."}
"""What is too long to stand over a cell."""


def sheet(task: Task, columns: Sequence[tuple[str, Sequence[Picture]]], path: Path) -> None:
    """Write the sheet: bands of at most :data:`COLUMNS` columns, each with the source, and targets where there are any.

    The first test images are shown, whose order was drawn before anything was trained.

    Args:
        task: The task.
        columns: Label and the pictures of the first :data:`ROWS` test images, of every method.
        path: PNG file.
    """
    shown = task.test[:ROWS]
    bands = []
    for part in _bands([label for label, _ in columns], closed=has_targets(task)):
        made = [pictures for label, pictures in columns if label in part]
        sides = [[picture(sample.image) for sample in shown], *made]
        if has_targets(task):
            sides.append([picture(sample.target) for sample in shown if sample.target is not None])
        rows = [list(row) for row in zip(*sides, strict=True)]
        bands.append(_band(part, rows, closed=has_targets(task), row_labels=row_labels_of(task)))
    widest = max(band.shape[1] for band in bands)
    padded = [np.pad(b, ((0, 0), (0, widest - b.shape[1]), (0, 0)), constant_values=255) for b in bands]
    PilImage.fromarray(np.concatenate(padded)).save(path, optimize=True)


def has_targets(task: Task) -> bool:
    """Whether every test image has a target to show at the end of its row."""
    return all(sample.target is not None for sample in task.test)


def row_labels_of(task: Task) -> list[str]:
    """Which domain each of the first test images is sent to; none where there is one."""
    names = dict(zip(task.letters, task.targets, strict=False))
    return [names[sample.to] for sample in task.test[:ROWS]] if names else []


def columns_of(
    path: Path, labels: Sequence[str], *, closed: bool, rows: int = ROWS, row_labels: Sequence[str] = ()
) -> dict[str, list[Picture]]:
    """The methods' columns of a sheet that :func:`sheet` wrote, for sheets that gain a method and keep the others.

    Args:
        path: The sheet.
        labels: Of all its columns, in order.
        closed: Whether the target closes each band.
        rows: Test images that it shows.
        row_labels: What stands before the rows, if anything.

    Returns:
        Pictures (:data:`CELL_PX`, CELL_PX, 3) of every label.

    Raises:
        ValueError: If the sheet has another size than these columns take.
    """
    with PilImage.open(path) as opened:
        levels = np.asarray(opened.convert("RGB"))
    found: dict[str, list[Picture]] = {}
    top = 0
    for part in _bands(labels, closed=closed):
        # A band of cells that tell their place by their colour: no need to know how a contact sheet is laid out.
        count = len(part) + 1 + closed
        cells = [[_marker(row, column) for column in range(count)] for row in range(rows)]
        pattern = _band(part, cells, closed=closed, row_labels=row_labels)
        band = levels[top : top + len(pattern), : pattern.shape[1]]
        if band.shape != pattern.shape:
            raise ValueError(f"{path}: {levels.shape[0]} x {levels.shape[1]} px is no sheet of {len(labels)} methods")
        for column, label in enumerate(part, 1):
            places = [
                np.argwhere((pattern == cells[row][column][0, 0]).all(axis=-1)).min(axis=0) for row in range(rows)
            ]
            found[label] = [band[y : y + CELL_PX, x : x + CELL_PX] for y, x in places]
        top += len(pattern)
    if top != len(levels):
        raise ValueError(f"{path}: {len(levels)} px high, but {len(labels)} methods take {top}")
    return found


def _bands(labels: Sequence[str], *, closed: bool) -> Iterator[Sequence[str]]:
    width = COLUMNS - (2 if closed else 1)
    for start in range(0, len(labels), width):
        yield labels[start : start + width]


def _band(
    labels: Sequence[str], rows: Sequence[Sequence[Picture]], *, closed: bool, row_labels: Sequence[str]
) -> Picture:
    heads = ["source", *map(_short, labels), *(["target"] if closed else [])]
    return contact_sheet(rows, heads, row_labels=row_labels, cell_px=CELL_PX, footer=SYNTHETIC)


def _short(label: str) -> str:
    for long, short in SHORT.items():
        label = label.replace(long, short)
    return label


def _marker(row: int, column: int) -> Picture:
    return np.full((CELL_PX, CELL_PX, 3), (200, row + 1, column + 1), np.uint8)


def picture(image: Pixels) -> Picture:
    """An image (C, H, W) in [-1, 1] as RGB levels (H, W, 3)."""
    levels = np.clip(np.rint((image + 1) * 127.5), 0, 255).astype(np.uint8)
    return np.moveaxis(np.repeat(levels, 3 // len(levels), axis=0), 0, -1)
