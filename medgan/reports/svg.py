"""matplotlib figures as SVG that stands inside a page: no links, no clashing ids, the page's own ink and type."""

import html
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Stand-ins that become the page's colours, so that a figure follows the light or dark scheme.
INK, FAINT, PAPER = "#010203", "#0a0b0c", "#fdfcfb"
# Okabe & Ito 2008, told apart in the common kinds of colour blindness; black is left to the ink.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8F8A1E")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_STAND_INS = {INK: "currentColor", FAINT: "var(--rule)", PAPER: "var(--paper)", COLOURS[0].lower(): "var(--first)"}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "medgan",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10.0,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}


@contextmanager
def page_style() -> Iterator[None]:
    """Set matplotlib to the page's style while figures are drawn, and nothing outside."""
    from matplotlib import rc_context

    with rc_context(_STYLE):
        yield


def inline(figure: "Figure", *, alt: str, prefix: str) -> str:
    """Turn a figure into an ``<svg>`` element.

    Args:
        figure: Figure drawn under `page_style`.
        alt: What the figure shows, for those who cannot see it.
        prefix: Put before every id, unique on the page.

    Returns:
        Markup without XML header, metadata, namespaces or outside links; text in it is escaped.
    """
    buffer = io.StringIO()
    with page_style(), warnings.catch_warnings():
        # The browser's fonts draw the text; those here only measure it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", text, count=2)
    text = text.replace("xlink:href=", "href=")
    text = _unique_ids(text, prefix)
    for stand_in, colour in _STAND_INS.items():
        text = text.replace(stand_in, colour)
    text = text.replace("font-family: 'DejaVu Sans'", "font-family: var(--sans)")
    return text.replace("<svg ", f'<svg role="img" aria-label="{html.escape(alt)}" ', 1)


def stacked(axes: "Axes", at: tuple[float, float], lines: Sequence[str], **style: Any) -> None:
    """Write lines of text under one another, centred in height on a point.

    matplotlib places the lines of one text by the widths of its own font; the browser's font has others, so each
    line is a text of its own with its own anchor.

    Args:
        axes: Where to write.
        at: Point in the coordinates of `style`'s ``xycoords``.
        lines: Lines from top to bottom.
        style: Keywords of `matplotlib.axes.Axes.annotate`.
    """
    step = 1.22 * style.get("fontsize", _STYLE["font.size"])
    for index, line in enumerate(lines):
        offset = ((len(lines) - 1) / 2 - index) * step
        axes.annotate(line, at, (0, offset), textcoords="offset points", va="center", annotation_clip=False, **style)


def _unique_ids(text: str, prefix: str) -> str:
    names: dict[str, str] = {}
    numbers = count()

    def renamed(name: str) -> str:
        if name not in names:
            names[name] = f"{prefix}-{next(numbers)}"
        return names[name]

    referred = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{renamed(m[1])}"' if m[1] in referred else "", text)
    text = re.sub(r'href="#([^"]+)"', lambda m: f'href="#{renamed(m[1])}"', text)
    return re.sub(r"url\(#([^)]+)\)", lambda m: f"url(#{renamed(m[1])})", text)
