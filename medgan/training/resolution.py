"""What a network of super-resolution is shown, in training and in use."""

from torch import Tensor

from medgan.networks.reduction import enlarged, reduced, sampled
from medgan.settings.resolution import ResolutionRecipe
from medgan.training.learner import Batch


def coarse(image: Tensor, recipe: ResolutionRecipe) -> Tensor:
    """Take a coarse image on the fine grid back to its own.

    Args:
        image: (N, C, H, W) in [-1, 1]; H and W are multiples of the factor.
        recipe: Says the factor.

    Returns:
        (N, C, H / factor, W / factor) in [-1, 1].
    """
    return sampled(image, factor=recipe.factor)


def on_the_fine_grid(batch: Batch, recipe: ResolutionRecipe) -> Tensor:
    """The coarse images that a step learns from, (N, C, H, W): domain a's, or made of domain b's by the kernel.

    Those that are made are interpolated back to the fine grid, as a true coarse image was.
    """
    if recipe.low_resolution == "given":
        return batch["a"]
    small = reduced(batch["b"], factor=recipe.factor, kernel=recipe.kernel, sigma_px=recipe.sigma_px)
    return enlarged(small, factor=recipe.factor)
