"""How far one image is from another, pixel by pixel."""

from torch import Tensor

from medgan.errors import GeometryError


def l1(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference.

    Args:
        predicted: (N, C, H, W) in [-1, 1].
        target: The same shape.

    Returns:
        A scalar in float32, in [0, 2]; unitless.

    Raises:
        GeometryError: G210, if the shapes differ; nothing is broadcast.

    Example:
        >>> import torch
        >>> l1(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)).item()
        1.0
    """
    _check_shapes(predicted, target)
    return (predicted.float() - target.float()).abs().mean()


def l2(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference; arguments and errors as for :func:`l1`, result in [0, 4]."""
    _check_shapes(predicted, target)
    return (predicted.float() - target.float()).square().mean()


def masked_l1(predicted: Tensor, target: Tensor, *, mask: Tensor) -> Tensor:
    """Mean absolute difference where a mask is set.

    Args:
        predicted: (N, C, H, W) in [-1, 1].
        target: The same shape.
        mask: (N, 1, H, W) or (N, C, H, W), weights in [0, 1] or booleans.

    Returns:
        A scalar in float32, in [0, 2]. With an empty mask it is 0, and so is its gradient: a batch of background asks
        for nothing.

    Raises:
        GeometryError: G210, if the shapes differ.
    """
    _check_shapes(predicted, target)
    if mask.shape not in (target.shape, (target.shape[0], 1, *target.shape[2:])):
        raise _differing(mask, target, what="the mask has another shape than the image")
    weights = mask.float().expand(target.shape)
    total = weights.sum()
    difference = ((predicted.float() - target.float()).abs() * weights).sum()
    return difference / total.clamp(min=1e-8)


def _check_shapes(predicted: Tensor, target: Tensor) -> None:
    if predicted.shape != target.shape:
        raise _differing(predicted, target, what="the images to compare differ in shape")


def _differing(got: Tensor, expected: Tensor, *, what: str) -> GeometryError:
    return GeometryError("G210", what, got=str(tuple(got.shape)), expected=str(tuple(expected.shape)))
