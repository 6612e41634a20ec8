"""The losses that a recipe asks for beside its method's own, computed for a generator's turn."""

from typing import Literal

import torch
from torch import Tensor

from medgan.errors import SettingsError
from medgan.losses.consistency import edge_inconsistency, mask_inconsistency
from medgan.losses.perceptual import feature_distance, grams, style_distance
from medgan.losses.reconstruction import l2
from medgan.losses.structure import gradient_difference, ssim_loss, total_variation
from medgan.settings.extra_losses import ExtraLosses, PairedExtraLosses
from medgan.settings.features import FeatureSettings
from medgan.training.features import LossNetwork


class ExtraTerms:
    """Computes a recipe's extra losses; its frozen networks are read when they are first needed, in training.

    Args:
        settings: Weights and networks.
        channels: Channels of one picture.
    """

    def __init__(self, settings: ExtraLosses, *, channels: int) -> None:
        self.settings, self.channels = settings, channels
        self.features = LossNetwork(settings.features, channels=channels)
        self.segmenters = {
            "a": _network(settings.source_segmenter or settings.segmenter, channels),
            "b": _network(settings.segmenter, channels),
        }

    def __call__(
        self, *, source: Tensor, made: Tensor, target: Tensor, to: Literal["a", "b"] = "b", suffix: str = ""
    ) -> dict[str, Tensor]:
        """Weighted losses of one translation.

        Args:
            source: What was translated, (N, slices * channels, H, W) in [-1, 1].
            made: The translation, the same slices.
            target: The true translation where the method is paired, else any images of that domain.
            to: Domain of the translation.
            suffix: Of the losses' names, where there are several translations.

        Returns:
            Scalars by name; none where the recipe asks for nothing.
        """
        source, made, target = (
            stack.unflatten(1, (-1, self.channels)).flatten(0, 1) for stack in (source, made, target)
        )
        losses = {**self._of_structure(source, made, to=to), **self._of_features(source, made, target)}
        if isinstance(self.settings, PairedExtraLosses):
            losses |= _of_pairs(self.settings, made, target)
        if self.settings.weight_total_variation:
            losses["total_variation"] = self.settings.weight_total_variation * total_variation(made)
        return {name + suffix: loss for name, loss in losses.items()}

    def _of_structure(self, source: Tensor, made: Tensor, *, to: str) -> dict[str, Tensor]:
        settings, losses = self.settings, {}
        if settings.weight_edges:
            losses["edges"] = settings.weight_edges * edge_inconsistency(made, source, noise=settings.edge_noise)
        if settings.weight_mask:
            with torch.no_grad():
                wanted = self.structures(source, domain="a" if to == "b" else "b")
            losses["mask"] = settings.weight_mask * mask_inconsistency(self.structures(made, domain=to), wanted)
        return losses

    def structures(self, image: Tensor, *, domain: str) -> Tensor:
        """Probabilities of structures, (N, K, H, W), that the frozen segmenter finds in images of a domain.

        Raises:
            SettingsError: S042, if the network gives no masks of such images.
        """
        network = self.segmenters[domain]
        assert network is not None  # noqa: S101
        takes = network.load().in_channels
        logits = network.output(image)
        if logits.ndim != 4 or (network.settings.network == "run" and takes != self.channels):
            raise SettingsError(
                "S042",
                "the network of weight_mask gives no masks of such images",
                where=str(network.settings.weights),
                got=f"images of {takes} channels, an output of shape {tuple(logits.shape)}",
                expected=f"the run of a segmentation task on single pictures of {self.channels} channels",
            )
        # One logit is that of a structure; among several, the first is the background's.
        return logits.float().sigmoid() if logits.shape[1] == 1 else logits.float().softmax(dim=1)[:, 1:]

    def _of_features(self, source: Tensor, made: Tensor, target: Tensor) -> dict[str, Tensor]:
        settings = self.settings
        to_target = settings.weight_perceptual if isinstance(settings, PairedExtraLosses) else 0.0
        if not (settings.weight_content or settings.weight_style or to_target):
            return {}
        found, losses = self.features(made), {}
        if settings.weight_content:
            with torch.no_grad():
                kept = self.features(source)
            losses["content"] = settings.weight_content * feature_distance(found, kept)
        if settings.weight_style or to_target:
            with torch.no_grad():
                wanted = self.features(target)
            if to_target:
                losses["perceptual"] = to_target * feature_distance(found, wanted)
            if settings.weight_style:
                losses["style"] = settings.weight_style * style_distance(grams(found), grams(wanted))
        return losses


def _of_pairs(settings: PairedExtraLosses, made: Tensor, target: Tensor) -> dict[str, Tensor]:
    losses = {}
    if settings.weight_l2:
        losses["l2"] = settings.weight_l2 * l2(made, target)
    if settings.weight_ssim:
        losses["ssim"] = settings.weight_ssim * ssim_loss(made, target)
    if settings.weight_gradient_difference:
        losses["gradient_difference"] = settings.weight_gradient_difference * gradient_difference(made, target)
    return losses


def _network(settings: FeatureSettings | None, channels: int) -> LossNetwork | None:
    return None if settings is None else LossNetwork(settings, channels=channels)
