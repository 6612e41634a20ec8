"""The one loop that trains every learner.

Randomness: before each step torch's generator is seeded from (seed, step, rank), so whatever a step draws (dropout,
image pools, noise) depends on nothing before it. Samples come from ``draw``, a pure function of its number. A
checkpoint therefore holds no random state, and a resumed run equals an uninterrupted one bit for bit on the CPU.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medgan.errors import RunError
from medgan.samples.seeds import seed_for
from medgan.settings.loop import LoopSettings
from medgan.training.batch_norm import share_batch_statistics
from medgan.training.checkpoint import Snapshot, find_checkpoint, load_checkpoint, put_back, save_checkpoint
from medgan.training.device import agreed_arithmetic, autocast, lay_out, pick_device, placed, seeded, set_threads
from medgan.training.disk import bytes_below
from medgan.training.environment import describe_start
from medgan.training.identity import Identity, identity_of, require_same
from medgan.training.learner import Learner, Turn, expected_end, expected_turn, freeze_all_but
from medgan.training.lock import hold_lock, make_writable, require_room
from medgan.training.log import RunLog
from medgan.training.memory import PartsNeededError, in_parts, mean_losses, memory_told, why_whole
from medgan.training.monitor import Monitor
from medgan.training.parallel import anyone, average_over_ranks, barrier, joined, led, rank, ranks, share_state
from medgan.training.preview import fixed_samples, write_preview
from medgan.training.schedule import rate_factor
from medgan.training.state import TrainingState
from medgan.training.translator import Translator
from medgan.training.watch import Alarm

__all__ = ["LoopSettings", "TrainSummary", "train"]

Draw = Callable[[int], Mapping[str, Tensor]]
Validate = Callable[[Learner], float]


@dataclass(frozen=True, kw_only=True)
class TrainSummary:
    """What came of training.

    Args:
        step: Steps done in all.
        resumed_from: Step of the checkpoint that this call went on from; 0 where it began anew.
        seconds: Wall-clock time of this call.
        checkpoint: The last checkpoint's folder.
        alarms: Raised in this call.
        best_score: The highest validation score so far; None without validation.
    """

    step: int
    resumed_from: int
    seconds: float
    checkpoint: Path
    alarms: tuple[Alarm, ...]
    best_score: float | None


def train(
    learner: Learner,
    draw: Draw,
    *,
    run: Path,
    settings: LoopSettings,
    identity: Identity | None = None,
    resume: bool = True,
    validate: Validate | None = None,
    on_step: Callable[[int], None] | None = None,
    on_alarm: Callable[[Alarm], None] | None = None,
) -> TrainSummary:
    """Train a learner in a run directory, going on from its last checkpoint.

    Afterwards the learner is in evaluation mode and holds the raw weights; the averages are in the checkpoint and in
    exported weights.

    Args:
        learner: What is trained; moved to the device.
        draw: Gives the batch of a number, a pure function of it that leaves torch's generator alone. A step of
            several ranks draws the numbers ``step * ranks + rank``.
        run: The run's directory, made where there is none.
        settings: How long and where.
        identity: What is trained; derived from the learner by default, without intensity contract and data.
        resume: Whether to go on from a checkpoint; otherwise there must be none.
        validate: Score of the learner, higher is better, in evaluation mode and with averages in place.
        on_step: Called after each step with the steps done; what it raises stops the run.
        on_alarm: Called with each alarm when it is raised.

    Raises:
        CheckpointError: C002, damaged; C004, of something else; C005, with other settings.
        RunError: J001, another process works here; J002, there are checkpoints and ``resume`` is off; J030, another
            rank does not answer.
        TrainingError: T001, a loss or gradient is not finite; T002, turns out of order; T003, no such device; T004,
            groups share a parameter; T006, a loss grows without bound; T007, the pictures stay all alike; T008, out of
            memory.
        WriteError: W010, cannot write; W011, too little room.
    """
    device = pick_device(settings.device)
    set_threads(settings.threads)
    make_writable(run)
    with ExitStack() as stack:
        stack.enter_context(joined(device, timeout_s=settings.ranks_timeout_s))
        stack.enter_context(seeded(settings.seed))
        stale = stack.enter_context(hold_lock(run) if rank() == 0 else nullcontext())
        loop = _Loop(
            learner, draw, run=run, settings=settings, identity=identity or identity_of(learner), device=device
        )
        loop.begin(resume=resume, stale=stale, on_alarm=on_alarm)
        stack.callback(lambda: loop.monitor.close())
        loop.to_the_end(validate, on_step)
        return loop.summary()


class _Loop:
    """One call of :func:`train`."""

    def __init__(
        self,
        learner: Learner,
        draw: Draw,
        *,
        run: Path,
        settings: LoopSettings,
        identity: Identity,
        device: torch.device,
    ) -> None:
        self.draw, self.run, self.settings, self.device = draw, run, settings, device
        self.precision, self.layout = agreed_arithmetic(learner, settings.precision, device)
        self.learner = learner.to(device).train()
        lay_out(self.learner, self.layout)
        share_batch_statistics(self.learner)
        self.state = TrainingState(self.learner, ema_decay=settings.ema_decay)
        self.identity = identity.to_json()
        self.decisive = {**settings.decisive(), "precision": self.precision, "ranks": ranks()}
        self.step = self.start = 0
        self.parts, self.parts_since = 1, 0
        self.best: float | None = None
        self.best_is_gone = False
        self.saved: Path | None = None
        self.preview: Mapping[str, Tensor] = {}
        self.began = self.last_saved = time.monotonic()

    def begin(
        self, *, resume: bool, stale: Mapping[str, object] | None, on_alarm: Callable[[Alarm], None] | None
    ) -> None:
        """Take up the last checkpoint, or start anew."""
        self.on_alarm = on_alarm
        if rank() == 0:
            put_back(self.run)
        barrier()
        found = find_checkpoint(self.run)
        if found is not None and not resume:
            raise RunError("J002", "this run has begun", where=str(self.run), remedy="resume it or use another folder")
        progress = self._take_up(found) if found is not None else None
        share_state(self.learner)
        log = None
        if rank() == 0:
            # Those kept, the best and the one being written.
            copies = self.settings.keep_checkpoints + 2
            taken = bytes_below(self.run / "checkpoints")
            require_room(self.run, needed_bytes=copies * self.state.bytes_of_checkpoint() - taken)
            if self.settings.preview_every:
                self.preview = fixed_samples(self.draw)
            told = {"identity": self.identity, "settings": self.settings.model_dump(mode="json"), **self._resolved()}
            describe_start(self.run, told, step=self.step, device=self.device, stale=stale)
            log = RunLog(self.run, step=self.step, tensorboard=self.settings.tensorboard)
        self.monitor = Monitor(self.run, log=log, on_alarm=on_alarm)
        if progress is not None:
            self.monitor.load(progress)
        elif self.settings.halve_batch:
            self._save(best=False)  # what is gone back to where the first steps do not fit
        barrier()

    def to_the_end(self, validate: Validate | None, on_step: Callable[[int], None] | None) -> None:
        """Train to the last step."""
        self._stand_in_for_best(validate)
        while self.step < self.settings.total_steps:
            if not self._fits(self._one_step):
                self._go_back_in_more_parts()
                continue
            self._tell()
            best = validate is not None and self._due(self.settings.validate_every) and self._is_best(validate)
            if best or self._save_is_due():
                self._save(best=best)
            if on_step is not None:
                on_step(self.step)
        if self.saved is None:
            self._save(best=False)
        for parameters in self.state.parameters.values():
            for parameter in parameters:
                parameter.requires_grad_()
        self.learner.eval()

    def summary(self) -> TrainSummary:
        """What came of it."""
        assert self.saved is not None  # noqa: S101
        return TrainSummary(
            step=self.step,
            resumed_from=self.start,
            seconds=time.monotonic() - self.began,
            checkpoint=self.saved,
            alarms=tuple(self.monitor.alarms),
            best_score=self.best,
        )

    def _stand_in_for_best(self, validate: Validate | None) -> None:
        """Where the best checkpoint was set aside, let the one that is gone on from be it, if it beats what is left."""
        if validate is not None and self.best_is_gone and self._is_best(validate):
            self.monitor.best_was_gone(self.step)
            self._save(best=True)

    def _one_step(self) -> None:
        drawn = self.draw(self.step * ranks() + rank())
        batch = {name: placed(tensor, self.device, self.layout) for name, tensor in drawn.items()}
        self.monitor.images(len(next(iter(batch.values()))) * ranks() if batch else 0)
        torch.manual_seed(seed_for(self.settings.seed, "step", self.step, rank()))
        self.learner.step = self.step
        if self.parts > 1 and self.step == self.parts_since:
            self.monitor.parts(self.step + 1, self.parts)
        steps = [(share, self.learner.training_step(part)) for share, part in in_parts(batch, self.parts)]
        for group in self.learner.turns:
            freeze_all_but(self.learner, group)
            self._take(group, [(share, self._back(turns, group, share)) for share, turns in steps])
        with autocast(self.device, self.precision):
            for _, turns in steps:
                expected_end(next(turns, None))
        if self.state.ema:
            self.state.ema.update(self.step)
        self.step += 1

    def _back(self, turns: Iterator[Turn], group: str, share: float) -> dict[str, Tensor]:
        """Ask for a turn, and back its losses by their share of the batch."""
        # The learner computes a turn's losses within next(): frozen, and under autocast.
        with autocast(self.device, self.precision):
            turn = expected_turn(next(turns, None), group)
        losses = torch.stack([loss.float().reshape(()) for loss in turn.losses.values()])
        (losses.sum() * share if share < 1 else losses.sum()).backward()
        return dict(zip(turn.losses, losses.detach(), strict=True))

    def _take(self, group: str, backed: list[tuple[float, dict[str, Tensor]]]) -> None:
        """Average what was backed over ranks, and step its optimizer."""
        parameters = self.state.parameters[group]
        names, losses = mean_losses(backed)
        losses = average_over_ranks(parameters, losses)
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        told = dict(zip(names, losses, strict=True))
        self.monitor.turn(self.step + 1, group, losses=told, gradient_norm=norm)
        self.state.step(group, learning_rate=self._rate(group, self.step))

    def _rate(self, group: str, step: int) -> float:
        settings = self.learner.optimizer(group)
        factor = rate_factor(
            step,
            total_steps=self.settings.total_steps,
            decay_from=settings.decay_from,
            halve_every=settings.halve_every,
            tenth_from=settings.tenth_from,
        )
        return settings.learning_rate * factor

    def _tell(self) -> None:
        """Log and draw what is due."""
        # On a GPU, looking at every turn at once would make it wait.
        if self.device.type == "cpu" or self._due(self.settings.log_every):
            self.monitor.inspect()
        if self._due(self.settings.log_every):
            # The rates that the last step used.
            rates = {group: self._rate(group, self.step - 1) for group in self.learner.groups}
            self.monitor.write_means(self.step, learning_rate=rates)
        if self._due(self.settings.preview_every):
            # Only rank 0 draws. All of them stop where it has to, and for its reason.
            fatal = led(self._show)
            if fatal is not None:
                self.monitor.stop(fatal)

    def _show(self) -> Alarm | None:
        if not self.preview:
            return None
        samples = {name: placed(tensor, self.device, self.layout) for name, tensor in self.preview.items()}
        with self._as_translated():
            pictures = self.learner.preview(samples)
        write_preview(self.run / "previews" / f"step_{self.step:08d}.png", pictures)
        paired = isinstance(self.learner, Translator) and self.learner.learns_by_pairs(self.learner.recipe)
        return self.monitor.pictures(self.step, pictures, real=samples, paired=paired)

    def _is_best(self, validate: Validate) -> bool:
        with self._as_translated():
            score = float(validate(self.learner))
        self.monitor.score(self.step, score)
        better = math.isfinite(score) and (self.best is None or score > self.best)
        # Rank 0 decides, for the best is saved together.
        better = anyone(better and rank() == 0, self.device)
        self.best = score if better else self.best
        return better

    @contextmanager
    def _as_translated(self) -> Iterator[None]:
        """Evaluation mode, without gradients, with averages in place; undone at the end."""
        averages = self.state.ema.in_place() if self.state.ema else nullcontext()
        with torch.no_grad(), averages, seeded(self.settings.seed, "preview"):
            self.learner.eval()
            yield
        self.learner.train()

    def _due(self, every: int | None) -> bool:
        return every is not None and (self.step % every == 0 or self.step == self.settings.total_steps)

    def _save_is_due(self) -> bool:
        seconds = self.settings.checkpoint_every_seconds
        if self._due(self.settings.checkpoint_every_steps):
            return True
        if seconds is None or not self._due(self.settings.log_every):
            return False
        return anyone(time.monotonic() - self.last_saved > seconds, self.device)

    def _save(self, *, best: bool) -> None:
        # Nothing is saved that has not been looked at.
        self.monitor.inspect()
        snapshot = Snapshot(
            step=self.step,
            identity=self.identity,
            settings=self.decisive,
            tensors=self.state.capture(),
            extra=self.learner.extra_tensors(),
            progress={**self.monitor.state(), "best": self.best, **self._parts_told()},
        )
        self.saved = save_checkpoint(self.run, snapshot, keep=self.settings.keep_checkpoints, best=best)
        self.last_saved = time.monotonic()

    def _take_up(self, folder: Path) -> Mapping[str, Any]:
        snapshot = load_checkpoint(self.run)
        found = {"identity": snapshot.identity, "settings": snapshot.settings}
        require_same(found, {"identity": self.identity, "settings": self.decisive}, where=str(folder))
        self.state.restore(snapshot.tensors, extra=snapshot.extra)
        # That of the best one that is there: the score of one that was set aside since is none to be beaten.
        self.best = self._score_of_best(folder, snapshot)
        self.best_is_gone = self.best != snapshot.progress["best"]
        self.saved = folder
        self.step = self.start = snapshot.step
        self.parts = snapshot.progress.get("parts", 1)
        self.parts_since = snapshot.progress.get("parts_since", 0)
        return snapshot.progress

    def _score_of_best(self, last: Path, snapshot: Snapshot) -> float | None:
        best = find_checkpoint(self.run, name="best")
        if best is None:
            return None
        # Read in full: damage is told before the rest is trained, not when its weights are wanted.
        found = snapshot if best == last else load_checkpoint(self.run, name="best")
        score: float | None = found.progress["best"]
        return score

    def _fits(self, step: Callable[[], None]) -> bool:
        """Do a step; whether the memory sufficed, where it may be tried again in more parts.

        Raises:
            TrainingError: T008, if it did not, and more parts are not wanted or not the same.
        """

        def why() -> str:
            return why_whole(self.learner, self.draw(self.step), parts=2 * self.parts)

        try:
            with memory_told(f"step {self.step + 1}", run=self.run, halves=self.settings.halve_batch, why=why):
                step()
        except PartsNeededError:
            return False
        return True

    def _go_back_in_more_parts(self) -> None:
        """From the last checkpoint on, pass each batch through in twice as many parts."""
        started, parts, alarms = self.start, 2 * self.parts, self.monitor.alarms
        for group in self.learner.groups:
            self.state.forget_gradients(group)
        self.monitor.close()
        assert self.saved is not None  # noqa: S101
        progress = self._take_up(self.saved)
        self.start, self.parts, self.parts_since = started, parts, self.step
        log = RunLog(self.run, step=self.step, tensorboard=self.settings.tensorboard)
        self.monitor = Monitor(self.run, log=log, on_alarm=self.on_alarm)
        self.monitor.load(progress)
        self.monitor.alarms += [alarm for alarm in alarms if alarm.step <= self.step]
        # With the new number, so that a run that is interrupted here goes on in as many parts.
        self._save(best=find_checkpoint(self.run, name="best") == self.saved)

    def _parts_told(self) -> dict[str, int]:
        return {"parts": self.parts, "parts_since": self.parts_since} if self.parts > 1 else {}

    def _resolved(self) -> dict[str, object]:
        return {"resolved": {"device": str(self.device), "precision": self.precision, "ranks": ranks()}}
