"""A learner with its optimizers and averages, flattened to tensors and back."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer, RMSprop

from medgan.errors import CheckpointError, TrainingError
from medgan.training.ema import Ema
from medgan.training.learner import Learner

_KEPT = {"adam": ("exp_avg", "exp_avg_sq", "step"), "sgd": ("momentum_buffer",), "rmsprop": ("square_avg", "step")}
"""What each optimizer keeps of a parameter."""


class TrainingState:
    """What training changes.

    Args:
        learner: On its final device.
        ema_decay: Decay of the moving averages; None or a learner without ``ema_networks`` has none.

    Raises:
        TrainingError: T004, if a parameter belongs to two groups.
    """

    def __init__(self, learner: Learner, *, ema_decay: float | None) -> None:
        self.learner = learner
        self.parameters = {group: _unique(learner.parameters_of(group)) for group in learner.groups}
        _refuse_sharing(self.parameters)
        self.optimizers = {group: _optimizer(learner, group, self.parameters[group]) for group in learner.groups}
        self._kept = {group: _KEPT[learner.optimizer(group).name] for group in learner.groups}
        self.ema = Ema(learner, decay=ema_decay) if ema_decay is not None and learner.ema_networks else None
        names = {parameter: name for name, parameter in learner.named_parameters()}
        self._names = {group: [names[p] for p in parameters] for group, parameters in self.parameters.items()}

    def capture(self) -> dict[str, Mapping[str, Tensor]]:
        """All tensors by part: ``learner``, ``optimizers`` and, where there are averages, ``ema``."""
        parts: dict[str, Mapping[str, Tensor]] = {
            "learner": self.learner.state_dict(),
            "optimizers": self._optimizer_state(),
        }
        return {**parts, "ema": self.ema.tensors} if self.ema else parts

    def restore(self, parts: Mapping[str, Mapping[str, Tensor]], *, extra: Mapping[str, Tensor]) -> None:
        """Take back what :meth:`capture` gave.

        Args:
            parts: Tensors by part.
            extra: This rank's extra tensors of the learner.

        Raises:
            CheckpointError: C004, if names or shapes differ.
        """
        try:
            self.learner.load_state_dict(dict(parts["learner"]))
            if self.ema:
                self.ema.load(parts["ema"])
        except (RuntimeError, KeyError) as error:
            raise CheckpointError(
                "C004", "the checkpoint is of another learner", got=" ".join(str(error).split())[:500]
            ) from error
        self._load_optimizer_state(parts["optimizers"])
        device = next(self.learner.parameters(), torch.empty(0)).device
        self.learner.load_extra_tensors({name: tensor.to(device) for name, tensor in extra.items()})

    def bytes_of_checkpoint(self) -> int:
        """Predicted size of a checkpoint, from the tensors it will hold."""
        learner = sum(tensor.nbytes for tensor in self.learner.state_dict().values())
        averages = sum(tensor.nbytes for tensor in self.ema.tensors.values()) if self.ema else 0
        moments = sum(2 * parameter.nbytes for group in self.parameters.values() for parameter in group)
        return learner + averages + moments + sum(t.nbytes for t in self.learner.extra_tensors().values())

    def _optimizer_state(self) -> dict[str, Tensor]:
        return {
            f"{group}/{name}/{key}": self.optimizers[group].state[parameter][key]
            for group in self.parameters
            for name, parameter in zip(self._names[group], self.parameters[group], strict=True)
            for key in self._kept[group]
            # None: gradient descent without momentum.
            if self.optimizers[group].state.get(parameter, {}).get(key) is not None
        }

    def _load_optimizer_state(self, tensors: Mapping[str, Tensor]) -> None:
        for group, parameters in self.parameters.items():
            state = self.optimizers[group].state
            state.clear()
            for name, parameter in zip(self._names[group], parameters, strict=True):
                places = {key: f"{group}/{name}/{key}" for key in self._kept[group]}
                # A parameter that has had no gradient yet has no state.
                if all(place in tensors for place in places.values()):
                    state[parameter] = {key: _like(parameter, tensors[place]) for key, place in places.items()}


def _like(parameter: nn.Parameter, tensor: Tensor) -> Tensor:
    """A copy where the parameter is, and laid out as it is: the fused step goes through memory, not by index."""
    if tensor.shape != parameter.shape:
        return tensor.to(parameter.device, copy=True)
    return torch.empty_like(parameter, requires_grad=False).copy_(tensor)


def _optimizer(learner: Learner, group: str, parameters: list[nn.Parameter]) -> Optimizer:
    settings = learner.optimizer(group)
    if settings.name == "sgd":
        momentum, _ = settings.betas
        return SGD(
            parameters,
            lr=settings.learning_rate,
            momentum=momentum,
            weight_decay=settings.weight_decay,
            fused=True,
        )
    if settings.name == "rmsprop":
        rate, (_, alpha) = settings.learning_rate, settings.betas
        return RMSprop(parameters, lr=rate, alpha=alpha, weight_decay=settings.weight_decay)
    return Adam(
        parameters, lr=settings.learning_rate, betas=settings.betas, weight_decay=settings.weight_decay, fused=True
    )


def _unique(parameters: list[nn.Parameter]) -> list[nn.Parameter]:
    return list(dict.fromkeys(parameters))


def _refuse_sharing(groups: Mapping[str, list[nn.Parameter]]) -> None:
    owner: dict[nn.Parameter, str] = {}
    for group, parameters in groups.items():
        for parameter in parameters:
            if owner.setdefault(parameter, group) != group:
                raise TrainingError(
                    "T004",
                    f"groups {owner[parameter]!r} and {group!r} share a parameter",
                    remedy="give every network one group, so that one optimizer steps it",
                )
