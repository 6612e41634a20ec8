"""A trained translator as a MONAI transform: the one door from transforms up to finished runs."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data.meta_tensor import MetaTensor
from monai.transforms import MapTransform, RandomizableTransform

from medgan.errors import CheckpointError, GeometryError
from medgan.settings.loop import TranslationPrecision
from medgan.stages.trained import TrainedTranslator, open_run


class RandDomainTranslated(RandomizableTransform, MapTransform):
    """Translate images to another domain with some probability; labels under other keys stay as they are.

    Images come prepared as in the run's training: float, channel first, (C, H, W) or (C, D, H, W), in [-1, 1]. The
    result has the same shape, range, type and metadata. Seed it with ``set_random_state``, like any MONAI transform.

    Args:
        keys: Keys of the images.
        run: Folder of a finished ``train`` job.
        prob: Probability of translating a sample, in [0, 1]; one draw for all keys.
        to: Domain wanted; the run's target by default.
        precision: See :func:`medgan.open_run`.
        allow_missing_keys: Do nothing about a key that is not there.

    Raises:
        CheckpointError: If the run has no weights, or does not translate to that domain.

    Example:
        A segmentation's training chain, half of its source images in the target's look::

            Compose([
                RandDomainTranslated(keys="image", run="results/fold0/seed0/train/cyclegan", prob=0.5),
                RandFlipd(keys=["image", "label"], prob=0.5, spatial_axis=1),
            ])
    """

    def __init__(
        self,
        keys: KeysCollection,
        run: Path | str,
        *,
        prob: float = 0.5,
        to: str | None = None,
        precision: TranslationPrecision = "fp32",
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.run, self.to, self.precision = Path(run), to, precision
        if not (self.run / "weights.json").is_file():
            raise CheckpointError(
                "C001", "no weights", where=str(run), remedy="train first, or name the run's directory"
            )
        self._trained: TrainedTranslator | None = None

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Translate the images of a sample, or leave it as it is."""
        sample = dict(data)
        self.randomize(None)
        if self._do_transform:
            for key in self.key_iterator(sample):
                sample[key] = self._translated(sample[key], key)
        return sample

    def _translated(self, image: Any, key: Hashable) -> Any:
        array = np.asarray(image.cpu() if isinstance(image, torch.Tensor) else image, dtype=np.float32)
        low, high = float(array.min()), float(array.max())
        if not (low >= -1.001 and high <= 1.001):  # so that NaN is refused too
            raise GeometryError(
                "G006",
                "the image is not prepared",
                where=str(key),
                got=f"values from {low:g} to {high:g}",
                expected="values in [-1, 1]",
                remedy="scale it as the run's preparation does before translating",
            )
        if self._trained is None:
            self._trained = open_run(self.run, precision=self.precision)
        result = self._trained.translate_array(array, to=self.to)
        if not isinstance(image, torch.Tensor):
            return result.astype(np.asarray(image).dtype, copy=False)
        tensor = torch.from_numpy(result).to(image.device, image.dtype)
        if isinstance(image, MetaTensor):
            return MetaTensor(tensor, meta=image.meta, applied_operations=image.applied_operations)
        return tensor

    def __getstate__(self) -> dict[str, Any]:
        # Loader processes open the run themselves.
        return self.__dict__ | {"_trained": None}
