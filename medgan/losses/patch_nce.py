"""Patchwise contrast: each patch of a translation is nearer to its own place in the source than to other places."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from medgan.errors import GeometryError

Negatives = Literal["image", "batch"]


def patch_nce(queries: Tensor, keys: Tensor, *, temperature: float, negatives: Negatives = "image") -> Tensor:
    """Cross-entropy of telling a patch's own source patch from the others, a softmax over cosines / temperature.

    Computed in float32 outside autocast: a cosine in bfloat16 is off by up to 0.004, which 1 / 0.07 makes 0.06.

    Args:
        queries: Unit vectors of the translation's patches, (N, S, K).
        keys: Unit vectors of the source's patches at the same S places, (N, S, K); no gradient goes there.
        temperature: Divides the cosines, above 0; published: 0.07.
        negatives: ``"image"`` contrasts with the other places of the same image, ``"batch"`` with those of all images
            of the batch.

    Returns:
        A scalar in float32, at least 0, the mean over patches: log(1 + the sum over negatives of
        exp((cosine to the negative - cosine to the positive) / temperature)).

    Raises:
        GeometryError: G210, if the shapes differ.

    Source:
        Park 2020, arXiv:2007.15651, equations 3 and 4, where the patches are summed; the published weights go with the
        mean. Keys without gradient as in He 2020, arXiv:1911.05722.

    Example:
        >>> patches = torch.eye(2)[None]
        >>> round(patch_nce(patches, patches, temperature=1.0).item(), 4)  # log(1 + exp(0 - 1))
        0.3133
    """
    if queries.shape != keys.shape:
        raise GeometryError(
            "G210",
            "what is compared differs in shape",
            got=str(tuple(queries.shape)),
            expected=str(tuple(keys.shape)),
        )
    with torch.autocast(queries.device.type, enabled=False):
        found, wanted = queries.float(), keys.detach().float()
        if negatives == "batch":
            found, wanted = found.flatten(0, 1)[None], wanted.flatten(0, 1)[None]
        logits = found @ wanted.mT / temperature
        own = torch.arange(logits.shape[-1], device=logits.device).expand(len(logits), -1)
        return F.cross_entropy(logits.flatten(0, 1), own.flatten())
