"""Metrics by name: what each is called, what it needs, and which way is better."""

import difflib
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

from medgan.errors import DiscoverError, StatisticsError
from medgan.metrics import agreement, overlap, semantic, similarity, surface

Kind = Literal["segmentation", "semantic", "paired-image", "classification"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric and what a caller must know to use it.

    Args:
        name: Name in study files and reports.
        function: Called as ``function(reference, predicted, **keywords)``; gives a float, NaN where undefined.
        higher_is_better: Which way is better; the other end of ``range`` is the worst value.
        range: Smallest and largest value possible.
        unit: ``"1"`` (unitless), ``"mm"``, ``"px"``, ``"dB"`` or ``"image"`` (that of the images).
        kind: ``"segmentation"`` (label arrays of one case), ``"semantic"`` (label arrays of a set of cases),
            ``"paired-image"`` (images of one case) or ``"classification"`` (one label per case, all cases at once).
        symmetric: Whether reference and prediction may change places.
        takes_scores: Whether the prediction is a score per class, not a label (AUROC).

    Example:
        >>> metric("hd95").needs
        ('label', 'spacing_mm')
    """

    name: str
    function: Callable[..., float]
    higher_is_better: bool
    range: tuple[float, float]
    unit: str
    kind: Kind
    symmetric: bool = False
    takes_scores: bool = False

    @property
    def best(self) -> float:
        """Value of a perfect prediction."""
        return self.range[1] if self.higher_is_better else self.range[0]

    @property
    def needs(self) -> tuple[str, ...]:
        """Keywords that the function cannot do without, such as ``("label", "spacing_mm")``."""
        return tuple(name for name, parameter in self._keywords().items() if parameter.default is parameter.empty)

    @property
    def accepts(self) -> tuple[str, ...]:
        """All keywords that the function takes, the needed ones among them."""
        return tuple(self._keywords())

    def score(self, reference: object, predicted: object, *, known: Mapping[str, object]) -> float:
        """Call the function with those of the known facts that it takes.

        Args:
            reference: Truth, as the function takes it.
            predicted: Prediction, likewise.
            known: Facts by keyword, such as ``{"label": 1, "spacing_mm": (1.0, 1.0, 1.0)}``; more may be known.

        Raises:
            StatisticsError: N017, if something that the metric needs is not known.
        """
        missing = [name for name in self.needs if name not in known]
        if missing:
            raise StatisticsError("N017", f"{self.name} needs to know {', '.join(missing)}", got=", ".join(known))
        return float(self.function(reference, predicted, **{n: known[n] for n in self.accepts if n in known}))

    def _keywords(self) -> dict[str, inspect.Parameter]:
        bound = self.function.keywords if isinstance(self.function, partial) else {}
        parameters = inspect.signature(self.function).parameters.items()
        return {n: p for n, p in parameters if p.kind is p.KEYWORD_ONLY and n not in bound}


def metric(name: str) -> Metric:
    """A metric by its name.

    Raises:
        DiscoverError: D002, if there is none of that name; the message names near ones.

    Example:
        >>> metric("dice").higher_is_better
        True
        >>> metric("dise")
        Traceback (most recent call last):
        medgan.errors.DiscoverError: DiscoverError[D002]: no metric named 'dise'; ...; did you mean 'dice'?
    """
    if name not in CATALOGUE:
        near = difflib.get_close_matches(name, CATALOGUE, n=3)
        raise DiscoverError(
            "D002",
            f"no metric named {name!r}",
            expected="one of " + ", ".join(CATALOGUE),
            remedy=f"did you mean {' or '.join(repr(n) for n in near)}?" if near else "choose one of these",
        )
    return CATALOGUE[name]


def metrics_of(kind: Kind) -> list[Metric]:
    """All metrics of one kind, in the order of the catalogue.

    Example:
        >>> [found.name for found in metrics_of("paired-image")]
        ['mae', 'rmse', 'psnr', 'ssim']
    """
    return [found for found in CATALOGUE.values() if found.kind == kind]


_SHARE, _LENGTH = (0.0, 1.0), (0.0, math.inf)
_share = partial(Metric, higher_is_better=True, range=_SHARE, unit="1")
_mask_share = partial(_share, kind="segmentation")
_distance = partial(Metric, higher_is_better=False, range=_LENGTH, kind="segmentation", symmetric=True)
_error = partial(Metric, higher_is_better=False, range=_LENGTH, unit="image", kind="paired-image", symmetric=True)
_of_pixels = partial(_share, kind="semantic")
_graded = partial(_share, kind="classification")
_kappa = partial(_graded, range=(-1.0, 1.0), symmetric=True)

_METRICS = (
    _mask_share(name="dice", function=overlap.dice, symmetric=True),
    _mask_share(name="jaccard", function=overlap.jaccard, symmetric=True),
    _mask_share(name="thresholded_jaccard", function=overlap.thresholded_jaccard, symmetric=True),
    _mask_share(name="pixel_accuracy", function=overlap.pixel_accuracy, symmetric=True),
    _mask_share(name="sensitivity", function=overlap.sensitivity),
    _mask_share(name="specificity", function=overlap.specificity),
    _mask_share(name="precision", function=overlap.precision),
    _distance(name="hd95", function=surface.hd95, unit="mm"),
    _distance(name="hd95_px", function=surface.hd95_px, unit="px"),
    _distance(name="average_surface_distance", function=surface.average_surface_distance, unit="mm"),
    _distance(name="average_surface_distance_px", function=surface.average_surface_distance_px, unit="px"),
    _mask_share(name="surface_dice", function=surface.surface_dice, symmetric=True),
    _of_pixels(name="fcn_pixel_accuracy", function=semantic.fcn_pixel_accuracy, symmetric=True),
    _of_pixels(name="fcn_class_accuracy", function=semantic.fcn_class_accuracy),
    _of_pixels(name="fcn_class_iou", function=semantic.fcn_class_iou, symmetric=True),
    _error(name="mae", function=similarity.mae),
    _error(name="rmse", function=similarity.rmse),
    _error(name="psnr", function=similarity.psnr, higher_is_better=True, range=(-math.inf, math.inf), unit="dB"),
    _error(name="ssim", function=similarity.ssim, higher_is_better=True, range=(-1.0, 1.0), unit="1"),
    _graded(name="accuracy", function=agreement.accuracy, symmetric=True),
    _graded(name="balanced_accuracy", function=agreement.balanced_accuracy),
    _graded(name="f1_macro", function=agreement.f1_macro, symmetric=True),
    _graded(name="f1_binary", function=agreement.f1_binary, symmetric=True),
    _kappa(name="kappa", function=partial(agreement.kappa, weights="none")),
    _kappa(name="kappa_linear", function=partial(agreement.kappa, weights="linear")),
    _kappa(name="kappa_quadratic", function=partial(agreement.kappa, weights="quadratic")),
    _graded(name="auroc_binary", function=agreement.auroc_binary, takes_scores=True),
    _graded(name="auroc_macro", function=agreement.auroc_macro, takes_scores=True),
)

CATALOGUE: Mapping[str, Metric] = MappingProxyType({found.name: found for found in _METRICS})
