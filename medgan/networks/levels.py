"""One image's levels given to another, by the order of its pixels."""

import torch
from torch import Tensor


def with_levels_of(image: Tensor, reference: Tensor) -> Tensor:
    """Match a histogram exactly: the darkest pixel takes the reference's darkest value, and so on up.

    Args:
        image: (N, C, H, W); each channel of each image is matched by itself.
        reference: The same shape; its values are taken, wherever they stand.

    Returns:
        The same shape, each channel with the reference's values. Pixels of one level may come apart, by their place.

    Source:
        Gonzalez and Woods 2008, Digital image processing, section 3.3.2, for images of as many pixels.

    Example:
        >>> with_levels_of(torch.tensor([[[[0.1, 0.3, 0.2]]]]), torch.tensor([[[[5.0, 7.0, 6.0]]]]))
        tensor([[[[5., 7., 6.]]]])
    """
    order = image.flatten(2).argsort(dim=2, stable=True)
    values = reference.flatten(2).sort(dim=2).values
    matched: Tensor = torch.empty_like(values).scatter_(2, order, values)
    return matched.view_as(reference)
