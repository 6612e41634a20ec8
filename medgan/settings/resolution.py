"""How a low-resolution image comes about, for every method that makes a high-resolution one of it."""

from typing import Literal

from pydantic import Field

from medgan.settings.recipe import Recipe


class ResolutionRecipe(Recipe):
    """A recipe of super-resolution within this package's rule that an image keeps its grid.

    A coarse image comes on the grid of the fine ones, brought there by ``preparation`` or by whoever resampled it. In
    training and in translation alike it is first taken back to a grid coarser by the factor, where its values are
    interpolated at the coarse pixels' centres, and the network goes up from there. No filter goes before: it would blur
    once more what interpolation has already bounded (by 0.45 dB in MR slices that were reduced four times). So the
    factor should be that of the two resolutions, or below it: what is finer than the factor says is aliased.

    ``low_resolution="given"`` learns from pairs: domain a has the coarse image of each slice of domain b.
    ``"made"`` learns from domain b alone: a coarse image is made of every fine one by the stated kernel and brought
    back to the fine grid by bicubic interpolation, and from there on takes the way of a true one. Pairs are not
    needed then. What else a scanner does is not in the kernel: noise, contrast and thickness of slices stay those of
    the fine images.
    """

    factor: Literal[2, 4, 8] = Field(
        default=4, description="Pixels of a fine image to one of the coarse image, along an axis"
    )
    low_resolution: Literal["given", "made"] = Field(
        default="given",
        description="given: domain a holds true coarse images of the same slices, on the fine grid; made: from the "
        "fine images of domain b, by the kernel",
    )
    kernel: Literal["bicubic", "box", "gaussian", "gaussian-bicubic"] = Field(
        default="bicubic",
        description="Of coarse images that are made. bicubic, its own low-pass filter; box, means over blocks, as "
        "thick voxels have them; gaussian, blurred and decimated; gaussian-bicubic, blurred before",
    )
    sigma_px: float | None = Field(
        default=None,
        gt=0,
        description="Of the kernel's Gaussian, in pixels of the fine image; none takes half the factor",
    )

    @property
    def makes_pairs(self) -> bool:
        """Where the coarse images are made."""
        return self.low_resolution == "made"
