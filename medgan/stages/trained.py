"""A finished run, opened for use: it translates images that it has never seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from medgan.samples.channels import merged, repeated
from medgan.settings.loop import DeviceName, TranslationPrecision
from medgan.settings.preparation import Preparation
from medgan.training.device import pick_device
from medgan.training.identity import Identity
from medgan.training.inference import exact_arithmetic, ready_for_inference, side_by_side
from medgan.training.styles import Style, with_styles
from medgan.training.translator import LETTERS, Domain, SampleShape, Translator
from medgan.training.weights import load_weights, read_weights
from medgan.transforms.prepare import Prepared, check_preset, prepare, restore
from medgan.transforms.slabs import slabs
from medgan.transforms.volume import restoring, trace_volume

Array = npt.NDArray[np.float32]

_GPU_BATCH = 8


@dataclass(frozen=True)
class TrainedTranslator:
    """A translator with what it needs to take an image in and give one back.

    Args:
        learner: The method with its weights, its networks made ready for inference.
        preparation: How its images were prepared.
        source: Domain it takes.
        target: Domain it gives.
        windows: Intensity contract of each domain.
        weights_sha256: SHA-256 of its weights.
        method: Name of the method.
        device: Where it computes.
        directions: Domains that it translates to: b is the target.
        precision: Number format in which its networks compute.
        imported: Whether another program trained it; images made by it say so.
        style: Style that every translation is given; None takes what the method translates to by itself.
        channels: Of images of each domain, where these are not what its networks take: some are grey, others RGB.
        also: Further domains that it gives; which of its domains an image is from then does not matter.
        wanted: Domain that is given where none is named; None is the target.
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
    precision: TranslationPrecision = "fp32"
    imported: bool = False
    style: Style | None = None
    channels: Mapping[str, int] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    wanted: str | None = None

    @property
    def domains(self) -> tuple[str, ...]:
        """All that it has learnt, in the order of their letters."""
        return (self.source, self.target, *self.also)

    @property
    def gives(self) -> str:
        """Domain that is given where none is named."""
        return self.target if self.wanted is None else self.wanted

    @property
    def takes(self) -> tuple[str, ...]:
        """Domains whose images are translated where none is named: the source, or all but the one wanted."""
        others = tuple(name for name in self.domains if name != self.gives)
        return (self.source,) if self.wanted is None else others

    def towards(self, domain: str) -> "TrainedTranslator":
        """The same translator, which gives this domain where none is named.

        Raises:
            CheckpointError: C004, if it does not translate to it.
        """
        self._letter(domain)
        return replace(self, wanted=domain)

    @property
    def run(self) -> str:
        """Id of the run: the first 12 digits of its weights' SHA-256."""
        return self.weights_sha256[:12]

    @property
    def derivation(self) -> Derivation:
        """What is written into the images that it makes."""
        return self.derivation_from(self.takes[0] if self.takes else self.source)

    def derivation_from(self, domain: str) -> Derivation:
        """What is written into images that it makes of those of a domain."""
        notes = [*(["imported weights"] if self.imported else []), *([self.style.told] if self.style else [])]
        return Derivation(
            method=f"{self.method} ({', '.join(notes)})" if notes else self.method,
            run=self.run,
            weights_sha256=self.weights_sha256,
            source=domain,
            target=self.gives,
            precision=self.computed_in or "",
        )

    @property
    def computed_in(self) -> str | None:
        """Number format of its networks; None for a method that has none."""
        return self.precision if self.learner.groups else None

    def in_random_styles(self, count: int, *, seed: int) -> tuple["TrainedTranslator", ...]:
        """The same translator so many times, each in a style drawn from the prior.

        Args:
            count: How many styles.
            seed: Seed of the draw; the first styles are the same however many are drawn.

        Raises:
            SettingsError: S220, if the method has no styles.
        """
        drawn = with_styles(self.learner, name=self.method).random_styles(count, seed=seed)
        codes: list[list[float]] = drawn.tolist()
        styles = [Style(tuple(code), f"style {number} of seed {seed}") for number, code in enumerate(codes)]
        return tuple(replace(self, style=style) for style in styles)

    def in_style_of(self, reference: Image, *, domain: str | None = None) -> "TrainedTranslator":
        """The same translator, whose translations look like an image; of a volume, like the middle half of its slices.

        Args:
            reference: An image of the domain that is translated to; prepared like those that are translated.
            domain: Domain of the reference; the target by default.

        Raises:
            SettingsError: S220, if the method has no styles.
        """
        learner, letter = with_styles(self.learner, name=self.method), self._letter(domain)
        check_preset(reference, self.preparation)
        pixels = prepare(reference, self.preparation).pixels
        volume = pixels if pixels.ndim == 4 else pixels[:, None]
        self._check_channels(volume, domains=(domain or self.target,))
        volume = repeated(volume, channels=learner.shape.channels)
        depth, neighbours = volume.shape[1], learner.shape.neighbours
        codes = []
        with torch.inference_mode(), exact_arithmetic(self.device):
            for index in range(depth // 4, depth - depth // 4):
                stack = neighbour_stack(volume, index, neighbours=neighbours)
                padded, _ = pad_to_multiple(stack[None], learner.size_multiple)
                batch = torch.from_numpy(np.ascontiguousarray(padded)).to(self.device)
                codes.append(learner.style_of(batch, domain=letter)[0].float().cpu())
        code: list[float] = torch.stack(codes).mean(dim=0).tolist()
        return replace(self, style=Style(tuple(code), "style of a reference image", letter))

    def translate(self, image: Image, *, to: str | None = None) -> Image:
        """Translate one image, with its geometry, size and type kept.

        A volume goes through in slabs of slices: beside it and the result, a few slices are held as floats. Only
        where the preparation resamples are there float copies of the whole.

        Args:
            image: As :func:`medgan.read_image` gives it.
            to: Domain wanted; the target by default, the source where the method maps back, or any other domain that
                the run has learnt.
        """
        check_preset(image, self.preparation)
        if image.is_volume:
            return self._translate_volume(image, to)
        prepared = prepare(image, self.preparation)
        return self.restored(self.translate_array(prepared.pixels, to=to), prepared, image, to=to)

    def _translate_volume(self, image: Image, to: str | None) -> Image:
        values, _, trace = trace_volume(image, self.preparation)
        back = restoring(trace, source=image, window=self.windows[to or self.gives])
        _, depth, height, width = values.shape
        around = self.learner.shape.neighbours // 2
        for part in slabs((depth, height, width)):
            start, stop = max(0, part.start - around), min(depth, part.stop + around)
            prepared = trace.window.to_unit(values[:, start:stop])
            own = slice(part.start - start, part.stop - start)
            changed = self._slices(prepared, range(own.start, own.stop), to=to, batch_size=None)
            back.put(part.start, changed, before=prepared[:, own])
        return back.image()

    def restored(self, pixels: Array, prepared: Prepared, source: Image, *, to: str | None = None) -> Image:
        """A translated prepared array as an image on the source's grid, in the wanted domain's units."""
        window = None if prepared.trace.window.unit == "level" else self.windows[to or self.gives]
        return restore(pixels, prepared.trace, source=source, prepared_source=prepared.pixels, window=window)

    def translate_array(self, pixels: Array, *, to: str | None = None, batch_size: int | None = None) -> Array:
        """Translate a prepared array.

        The last batch of a volume is filled up, so that a slice gives the same whatever stands beside it.

        Args:
            pixels: (C, H, W), or (C, D, H, W) which goes through slice by slice, in [-1, 1]; it may be a memory map.
            to: Domain wanted.
            batch_size: Slices that go through at a time; by default 1 on the CPU, where more gain nothing, and 8 on a
                GPU.

        Returns:
            The same shape, in [-1, 1]; but where one domain is grey and the other RGB, as many channels as the domain
            wanted has.

        Raises:
            GeometryError: G005, if the number of channels is not the trained one.
        """
        if pixels.ndim == 3:
            return self._slices(pixels[:, None], range(1), to=to, batch_size=1)[:, 0]
        return self._slices(pixels, range(pixels.shape[1]), to=to, batch_size=batch_size)

    def _slices(self, volume: Array, indices: range, *, to: str | None, batch_size: int | None) -> Array:
        """Translate some slices of a prepared volume (C, D, H, W), whose others are neighbours: (C, n, H, W)."""
        shape, letter = self.learner.shape, self._letter(to)
        gives = self.domains[LETTERS.index(letter)]
        self._check_channels(volume, domains=self.domains if self.also else self._others(letter))
        volume = repeated(volume, channels=shape.channels)
        size = batch_size or (_GPU_BATCH if self.device.type == "cuda" else 1)
        out = np.empty((volume.shape[0], len(indices), *volume.shape[2:]), dtype=np.float32)

        def put(start: int) -> None:
            chosen = indices[start : start + size]
            stacks = [neighbour_stack(volume, i, neighbours=shape.neighbours) for i in chosen]
            stacks += [stacks[-1]] * (size - len(stacks))
            changed = self._batch(stacks, letter)[: len(chosen)]
            out[:, start : start + len(chosen)] = np.moveaxis(changed, 0, 1)

        side_by_side(put, range(0, len(indices), size), device=self.device)
        return merged(out, channels=self.channels.get(gives, shape.channels))

    def _others(self, letter: Domain) -> tuple[str, ...]:
        return tuple(name for name, other in zip(self.domains, LETTERS, strict=False) if other != letter)

    def _check_channels(self, volume: Array, *, domains: Sequence[str]) -> None:
        got = volume.shape[0]
        expected = sorted({self.channels.get(name, self.learner.shape.channels) for name in domains})
        if got not in expected:
            told = " or ".join(map(str, expected))
            raise GeometryError("G005", "wrong number of channels", got=str(got), expected=told)

    @torch.inference_mode()
    def _batch(self, stacks: Sequence[Array], to: Domain) -> Array:
        padded, before = pad_to_multiple(np.stack(stacks), self.learner.size_multiple)
        batch = torch.from_numpy(np.ascontiguousarray(padded))
        if self.device.type == "cuda":
            batch = batch.pin_memory()
        batch = batch.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)
        with exact_arithmetic(self.device):
            if self.style is None:
                made = self.learner.translate(batch, to=to)
            else:
                made = with_styles(self.learner, name=self.method).in_style(batch, self.style, to=to)
            result = made.float().clamp(-1, 1).cpu().numpy()
        return crop_back(result, before)

    def _letter(self, to: str | None) -> Domain:
        letters: dict[str, Domain] = dict(zip(self.domains, LETTERS, strict=False))
        letter = letters.get(self.gives if to is None else to)
        if letter is None or letter not in self.directions:
            raise CheckpointError(
                "C004",
                "the run does not translate in this direction",
                got=f"to {to!r}",
                expected=" or ".join(repr(d) for d in self._directions()),
            )
        return letter

    def _directions(self) -> list[str]:
        return [self.domains[LETTERS.index(letter)] for letter in self.directions]


def open_run(
    run: Path | str, *, device: DeviceName = "auto", precision: TranslationPrecision = "fp32"
) -> TrainedTranslator:
    """Open a finished translator run.

    Args:
        run: Folder of a ``train`` job.
        device: Where to compute.
        precision: ``"fp32"`` gives the same images, but for rounding, on every machine; ``"bf16"`` is faster where
            the hardware computes in it, and coarser.

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
        learner=ready_for_inference(learner, precision=precision, device=where),
        preparation=Preparation.model_validate(identity.context["preparation"]),
        source=direction["source"],
        target=direction["target"],
        windows={name: _window(told) for name, told in _by_name(direction, identity.intensity).items()},
        weights_sha256=info.sha256,
        method=identity.method,
        device=where,
        precision=precision,
        directions=_imported_directions(identity) if imported else learner.directions,
        imported=imported,
        channels=_by_name(direction, identity.context.get("channels", {})),
        also=tuple(identity.context.get("also", ())),
    )


def _rebuilt(identity: Identity, tensors: dict[str, torch.Tensor]) -> Translator:
    method: type[Translator] = discover.load("medgan.methods", identity.method).method
    # The settings as they were: what a preset holds today is not what it held then.
    recipe = method.recipe_type.model_validate({**identity.recipe, "preset": None})
    learner = method(recipe, shape=SampleShape(**identity.shape))
    load_weights(learner, tensors, networks=identity.context.get("imported", {}).get("networks"))
    return learner.eval()


def _imported_directions(identity: Identity) -> tuple[Domain, ...]:
    """Those whose generator was imported; the method may know more."""
    return tuple(letter for letter in LETTERS if letter in identity.directions)


def _by_name(direction: Mapping[str, str], told: Mapping[str, Any]) -> dict[str, Any]:
    """What a run tells of source and target, and of further domains, by the domains' names."""
    sides = {direction[side]: told[side] for side in ("source", "target") if side in told}
    return {**sides, **told.get("also", {})}


def _window(contract: Any) -> Window:
    return Window(low=contract["low"], high=contract["high"], unit=contract["unit"])
