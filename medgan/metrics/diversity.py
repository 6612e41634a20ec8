"""How different several translations of one image are, in a network's features.

The features are the caller's, and their name belongs beside every number: a distance of one network's features says
nothing about another's.
"""

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np
import numpy.typing as npt

from medgan.errors import StatisticsError

Layers = Mapping[str, npt.NDArray[np.floating]]


def feature_diversity(layers: Layers) -> float:
    """Mean distance over all pairs of translations of one image.

    A pixel's features are brought to length 1 across channels; the distance of two images is the squared difference,
    summed over channels, averaged over pixels and summed over layers. LPIPS weighs the channels besides, by weights
    learnt from people's judgements of photographs; here each counts alike.

    Args:
        layers: Features of S translations of one image by layer, each (S, C, H, W).

    Returns:
        Distance in [0, 4 * layers], unitless; 0 where all are equal, NaN for fewer than two translations.

    Raises:
        StatisticsError: N007, if there is no layer, or one is not finite or of another number of translations.

    Source:
        Zhang 2018, arXiv:1801.03924, equation 1 with weights of 1; averaged over pairs as in Zhu 2017,
        arXiv:1711.11586, section 5, and in MUNIT, Huang 2018, arXiv:1804.04732, section 6.2.

    Example:
        >>> one, other = np.array([[[3.0]], [[0.0]]]), np.array([[[0.0]], [[2.0]]])
        >>> feature_diversity({"layer": np.stack([one, other])})
        2.0
    """
    counts = {len(layer) for layer in layers.values()}
    fit = all(layer.ndim == 4 and np.isfinite(layer).all() for layer in layers.values())
    if len(counts) != 1 or not fit:
        raise StatisticsError(
            "N007",
            "the features do not fit",
            got=str({name: layer.shape for name, layer in layers.items()}),
            expected="finite layers (S, C, H, W) of the same S translations",
        )
    (count,) = counts
    if count < 2:
        return math.nan
    units = [_of_length_1(layer) for layer in layers.values()]
    pairs = list(combinations(range(count), 2))
    return float(np.mean([sum(_distance(unit[one], unit[other]) for unit in units) for one, other in pairs]))


def _of_length_1(layer: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    wide = layer.astype(np.float64)
    length = np.sqrt(np.square(wide).sum(axis=1, keepdims=True))
    # Where a network sees nothing in both images, they do not differ.
    return np.divide(wide, length, out=np.zeros_like(wide), where=length > 0)


def _distance(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    return float(np.square(one - other).sum(axis=0).mean())
