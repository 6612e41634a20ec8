"""A finished run, opened for use: it translates images that it has never seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from medgan import discover
from medgan.errors import CheckpointError, GeometryError
from medgan.imaging.derivation import Derivation
from medgan.imaging.image import Image
from medgan.imaging.intensity import Window
from medgan.imaging.slices import crop_back, neighbour_stack, pad_to_multiple
from medgan.settings.loop import DeviceName
from medgan.settings.preparation import Preparation
from medgan.training.device import pick_device
from medgan.training.identity import Identity
from medgan.training.translator import Domain, SampleShape, Translator
from medgan.training.weights import load_weights, read_weights
from medgan.transforms.prepare import Prepared, prepare, restore

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TrainedTranslator:
    """A translator with what it needs to take an image in and give one back.

    Args:
        learner: The method with its weights, in evaluation mode.
        preparation: How its images were prepared.
        source: Domain it takes.
        target: Domain it gives.
        windows: Intensity contract of the source and the target.
        weights_sha256: SHA-256 of its weights.
        method: Name of the method.
        device: Where it computes.
        directions: Domains that it translates to: b is the target.
        imported: Whether another program trained it; images made by it say so.
    """

    learner: Translator
    preparation: Preparation
    source: str
    target: str
    windows: dict[str, Window]
    weights_sha256: str
    method: str
    device: torch.device
    directions: tuple[Domain, ...]
    imported: bool = False

    @property
    def run(self) -> str:
        """Id of the run: the first 12 digits of its weights' SHA-256."""
        return self.weights_sha256[:12]

    @property
    def derivation(self) -> Derivation:
        """What is written into the images that it makes."""
        return Derivation(
            method=f"{self.method} (imported weights)" if self.imported else self.method,
            run=self.run,
            weights_sha256=self.weights_sha256,
            source=self.source,
            target=self.target,
        )

    def translate(self, image: Image, *, to: str | None = None) -> Image:
        """Translate one image, with its geometry, size and type kept.

        Args:
            image: As :func:`medgan.read_image` gives it.
            to: Domain wanted; the target by default, the source where the method maps back.
        """
        prepared = prepare(image, self.preparation)
        return self.restored(self.translate_array(prepared.pixels, to=to), prepared, image, to=to)

    def restored(self, pixels: Array, prepared: Prepared, source: Image, *, to: str | None = None) -> Image:
        """A translated prepared array as an image on the source's grid, in the wanted domain's units."""
        window = None if prepared.trace.window.unit == "level" else self.windows[to or self.target]
        return restore(pixels, prepared.trace, source=source, prepared_source=prepared.pixels, window=window)

    def translate_array(self, pixels: Array, *, to: str | None = None, batch_size: int = 8) -> Array:
        """Translate a prepared array.

        Args:
            pixels: (C, H, W), or (C, D, H, W) which goes through slice by slice, in [-1, 1].
            to: Domain wanted.
            batch_size: Slices that go through at a time.

        Returns:
            The same shape, in [-1, 1].

        Raises:
            GeometryError: G005, if the number of channels is not the trained one.
        """
        if pixels.shape[0] != self.learner.shape.channels:
            raise GeometryError(
                "G005", "wrong number of channels", got=str(pixels.shape[0]), expected=str(self.learner.shape.channels)
            )
        volume = pixels if pixels.ndim == 4 else pixels[:, None]
        out = np.empty(volume.shape, dtype=np.float32)
        for start in range(0, volume.shape[1], batch_size):
            indices = range(start, min(start + batch_size, volume.shape[1]))
            stacks = [neighbour_stack(volume, i, neighbours=self.learner.shape.neighbours) for i in indices]
            out[:, indices.start : indices.stop] = np.moveaxis(self._batch(stacks, self._letter(to)), 0, 1)
        return out if pixels.ndim == 4 else out[:, 0]

    @torch.inference_mode()
    def _batch(self, stacks: Sequence[Array], to: Domain) -> Array:
        padded, before = pad_to_multiple(np.stack(stacks), self.learner.size_multiple)
        batch = torch.from_numpy(np.ascontiguousarray(padded)).to(self.device)
        result = self.learner.translate(batch, to=to).float().clamp(-1, 1).cpu().numpy()
        return crop_back(result, before)

    def _letter(self, to: str | None) -> Domain:
        letter: Domain = "a" if to == self.source and self.source != self.target else "b"
        if to not in {None, self.source, self.target} or letter not in self.directions:
            raise CheckpointError(
                "C004",
                "the run does not translate in this direction",
                got=f"to {to!r}",
                expected=" or ".join(repr(d) for d in self._directions()),
            )
        return letter

    def _directions(self) -> list[str]:
        return [self.target if letter == "b" else self.source for letter in self.directions]


def open_run(run: Path | str, *, device: DeviceName = "auto") -> TrainedTranslator:
    """Open a finished translator run.

    Args:
        run: Folder of a ``train`` job.
        device: Where to compute.

    Raises:
        CheckpointError: If the weights are absent, damaged or not a translator's.

    Example:
        >>> open_run("absent")  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
        medgan.errors.CheckpointError: CheckpointError[C001]: no weights
    """
    info, tensors = read_weights(Path(run))
    identity = info.identity
    if "direction" not in identity.context:
        raise CheckpointError("C004", "not a translator's run", where=str(run), expected="the folder of a train job")
    where = pick_device(device)
    direction = identity.context["direction"]
    learner, imported = _rebuilt(identity, tensors).to(where), "imported" in identity.context
    return TrainedTranslator(
        learner=learner,
        preparation=Preparation.model_validate(identity.context["preparation"]),
        source=direction["source"],
        target=direction["target"],
        windows={direction[side]: _window(identity.intensity[side]) for side in ("source", "target")},
        weights_sha256=info.sha256,
        method=identity.method,
        device=where,
        directions=_imported_directions(identity) if imported else learner.directions,
        imported=imported,
    )


def _rebuilt(identity: Identity, tensors: dict[str, torch.Tensor]) -> Translator:
    method: type[Translator] = discover.load("medgan.methods", identity.method).method
    learner = method(method.recipe_type.model_validate(identity.recipe), shape=SampleShape(**identity.shape))
    load_weights(learner, tensors, networks=identity.context.get("imported", {}).get("networks"))
    return learner.eval()


def _imported_directions(identity: Identity) -> tuple[Domain, ...]:
    """Those whose generator was imported; the method may know more."""
    return tuple(letter for letter in ("a", "b") if letter in identity.directions)


def _window(contract: Any) -> Window:
    return Window(low=contract["low"], high=contract["high"], unit=contract["unit"])
