"""Losses that any method may take beside its own: all are off unless asked for, so that published settings stay."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from medgan.settings.base import Settings
from medgan.settings.features import FeatureSettings
from medgan.settings.recipe import Recipe

PAIRED = ("weight_l2", "weight_ssim", "weight_gradient_difference", "weight_perceptual")
"""Weights of losses that compare with the true target image."""

_SEGMENTERS = ("run", "vessels")


class ExtraLosses(Settings):
    """Losses that need no pairs.

    ``content``, ``edges`` and ``mask`` hold a translation to its source, and keep structures where they are;
    ``style`` draws it to images of the target domain, whichever they show; ``total_variation`` smooths it. A weight
    multiplies a mean over pixels, so that it stands beside ``weight_cycle`` or ``weight_l1`` on the same scale.

    Edges are compared without their sign, for a border that is bright on one side in T1 may be dark there in FLAIR.
    """

    paired: ClassVar[bool] = False

    weight_total_variation: float = Field(default=0.0, ge=0, description="Of the mean step from pixel to pixel")
    weight_style: float = Field(
        default=0.0, ge=0, description="Of the distance of Gram matrices to those of an image of the target domain"
    )
    weight_content: float = Field(default=0.0, ge=0, description="Of the distance of features to the source image's")
    weight_edges: float = Field(
        default=0.0, ge=0, description="Of edges that the source has and the translation lacks, or the other way round"
    )
    edge_noise: float = Field(
        default=0.05, gt=0, description="Steps from pixel to pixel, of [-1, 1], much below this are no edges"
    )
    weight_mask: float = Field(
        default=0.0, ge=0, description="Of what a frozen segmenter finds in one of source and translation alone"
    )
    features: FeatureSettings = Field(
        default=FeatureSettings(), description="Network of the style, content and perceptual losses, see below"
    )
    segmenter: FeatureSettings | None = Field(
        default=None, description="Network of weight_mask: `run` (a segmentation run) or `vessels`, see below"
    )
    source_segmenter: FeatureSettings | None = Field(
        default=None,
        description="Another one for images of the source domain, where the first knows the target domain alone",
    )

    @property
    def asks(self) -> bool:
        """Whether any of the losses is wanted."""
        return any(getattr(self, name) for name in type(self).model_fields if name.startswith("weight_"))

    @model_validator(mode="before")
    @classmethod
    def _has_targets(cls, given: Any) -> Any:
        wanted = [name for name in PAIRED if not cls.paired and isinstance(given, Mapping) and name in given]
        if wanted:
            raise ValueError(
                f"{' and '.join(wanted)} would need the true target image, and this method is trained without pairs; "
                "take weight_content, weight_edges or weight_mask, which look at the source, or a paired method"
            )
        return given

    @model_validator(mode="after")
    def _has_its_segmenter(self) -> Self:
        if bool(self.weight_mask) != (self.segmenter is not None):
            raise ValueError("weight_mask and segmenter go together: one of them is missing")
        if self.source_segmenter is not None and self.segmenter is None:
            raise ValueError("source_segmenter stands beside a segmenter")
        for one in (self.segmenter, self.source_segmenter):
            if one is not None and one.network not in _SEGMENTERS:
                raise ValueError(f"{one.network!r} finds no masks; a segmenter is {' or '.join(_SEGMENTERS)}")
        return self


class PairedExtraLosses(ExtraLosses):
    """Losses that need no pairs, and some that compare with the true target image.

    Mathieu 2016 adds the gradient difference to sharpen what L1 and L2 blur; SSIM weighs local structure.
    """

    paired: ClassVar[bool] = True

    weight_l2: float = Field(default=0.0, ge=0, description="Of the mean squared difference")
    weight_ssim: float = Field(default=0.0, ge=0, description="Of 1 - SSIM")
    weight_gradient_difference: float = Field(
        default=0.0, ge=0, description="Of the difference of steps from pixel to pixel (alpha 1); Mathieu 2016 takes 1"
    )
    weight_perceptual: float = Field(default=0.0, ge=0, description="Of the distance of features to the target's")


class WithExtraLosses(Recipe):
    """A recipe of a method without pairs that takes extra losses."""

    extra: ExtraLosses = Field(default=ExtraLosses(), description="Losses beside the method's own, see below")


class WithPairedExtraLosses(Recipe):
    """A recipe of a paired method that takes extra losses."""

    extra: PairedExtraLosses = Field(default=PairedExtraLosses(), description="Losses beside the method's own")
