"""Panels of pictures: before and after with an outline for the page, and labelled sheets for documents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medgan.errors import WriteError
from medgan.reports.exhibits import BeforeAfter, Picture, check_picture
from medgan.reports.pictures import Fidelity, data_uri, outline

if TYPE_CHECKING:
    import PIL.Image

SYNTHETIC = "SYNTHETIC - NOT FOR DIAGNOSIS"

_GAP_PX = 6
_LINE_PX = 22
_PAPER, _INK, _MUTED = (255, 255, 255), (25, 25, 28), (120, 120, 126)


@dataclass(frozen=True, kw_only=True)
class ComparedCase:
    """A before/after case made ready for the page.

    Args:
        case: The case.
        source: Data URI of the picture before.
        output: Data URI of the picture after.
        reference: Data URI of the reference; empty where there is none.
        outline: Path of the mask's edges in source pixels; empty where there is none.
        width: Width of the source in pixels.
        height: Height of the source in pixels.
    """

    case: BeforeAfter
    source: str
    output: str
    reference: str
    outline: str
    width: int
    height: int


def compared(case: BeforeAfter, *, fidelity: Fidelity) -> ComparedCase:
    """Encode a case's pictures and trace its mask."""
    height, width = case.source.shape[:2]
    return ComparedCase(
        case=case,
        source=data_uri(case.source, fidelity=fidelity),
        output=data_uri(case.output, fidelity=fidelity),
        reference="" if case.reference is None else data_uri(case.reference, fidelity=fidelity),
        outline="" if case.source_mask is None else outline(case.source_mask),
        width=width,
        height=height,
    )


def worst_first(cases: Sequence[BeforeAfter]) -> tuple[list[BeforeAfter], list[BeforeAfter]]:
    """Part the cases into the worst and the random ones, each in the order given."""
    return [case for case in cases if case.worst], [case for case in cases if not case.worst]


def columns(count: int) -> int:
    """How many cases stand in a row, so that the last row is full or nearly so.

    Example:
        >>> [columns(count) for count in (1, 2, 3, 4, 5, 7)]
        [2, 2, 3, 2, 3, 2]
    """
    return 3 if count % 2 and count % 3 != 1 else 2


def stand_abreast(worst: int, random: int) -> bool:
    """Whether the worst and the random cases fill two columns side by side: as many of one as of the other."""
    return worst == random > 0


def contact_sheet(
    rows: Sequence[Sequence[Picture | None]],
    labels: Sequence[str],
    *,
    row_labels: Sequence[str] = (),
    cell_px: int = 192,
    footer: str = SYNTHETIC,
) -> Picture:
    """Lay pictures out as a labelled sheet, for documents.

    Args:
        rows: One row per case, such as source, output, reference; uint8, shape (H, W, 3) or (H, W); None leaves the
            cell empty and says so.
        labels: Label of each column.
        row_labels: Label of each row, drawn above it; empty for none.
        cell_px: Side of a cell; pictures are fitted inside with their aspect ratio kept.
        footer: Line at the foot; empty for none.

    Returns:
        uint8, shape (H, W, 3), on white.

    Raises:
        WriteError: If a picture is not 8-bit (W081), or rows and labels do not fit (W085).

    Example:
        >>> contact_sheet([[np.zeros((8, 8), np.uint8)]], ["source"], cell_px=64, footer="").shape
        (98, 76, 3)
    """
    from PIL import Image, ImageDraw, ImageFont

    _check_labels(rows, labels, row_labels=row_labels)
    titled = _LINE_PX if row_labels else 0
    row_px = titled + cell_px + _GAP_PX
    width = _GAP_PX + len(labels) * (cell_px + _GAP_PX)
    height = _GAP_PX + _LINE_PX + len(rows) * row_px + (_LINE_PX if footer else 0)
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(13)
    lefts = [_GAP_PX + column * (cell_px + _GAP_PX) for column in range(len(labels))]
    for left, label in zip(lefts, labels, strict=True):
        draw.text((left, _GAP_PX), label, fill=_INK, font=font)
    for line, row in enumerate(rows):
        top = _GAP_PX + _LINE_PX + line * row_px
        if row_labels:
            draw.text((_GAP_PX, top + 3), row_labels[line], fill=_MUTED, font=font)
        for left, picture in zip(lefts, row, strict=True):
            if picture is None:
                draw.text((left, top + titled + cell_px // 2 - 8), "none", fill=_MUTED, font=font)
            else:
                _paste(sheet, picture, left=left, top=top + titled, cell_px=cell_px)
    if footer:
        draw.text((_GAP_PX, height - _LINE_PX), footer, fill=_INK, font=font)
    return np.asarray(sheet, dtype=np.uint8)


def _check_labels(
    rows: Sequence[Sequence[Picture | None]], labels: Sequence[str], *, row_labels: Sequence[str]
) -> None:
    if not rows or any(len(row) != len(labels) for row in rows) or (row_labels and len(row_labels) != len(rows)):
        raise WriteError(
            "W085",
            "pictures and labels do not fit",
            where="contact sheet",
            got=f"rows of {[len(row) for row in rows]} pictures, {len(labels)} and {len(row_labels)} labels",
            expected="a label per column, and a label per row or none",
        )


def _paste(sheet: "PIL.Image.Image", picture: Picture, *, left: int, top: int, cell_px: int) -> None:
    from PIL import Image

    check_picture(picture, where="contact sheet")
    image = Image.fromarray(np.ascontiguousarray(picture)).convert("RGB")
    scale = cell_px / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    method = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS
    fitted = image.resize(size, method)
    sheet.paste(fitted, (left + (cell_px - size[0]) // 2, top + (cell_px - size[1]) // 2))
