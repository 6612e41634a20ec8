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
        self._stepped = {group: [_plain(p) for p in parameters] for group, parameters in self.parameters.items()}
        self.optimizers = {group: _optimizer(learner, group, self._stepped[group]) for group in learner.groups}
        self._kept = {group: _KEPT[learner.optimizer(group).name] for group in learner.groups}
        self.ema = Ema(learner, decay=ema_decay) if ema_decay is not None and learner.ema_networks else None
        names = {parameter: name for name, parameter in learner.named_parameters()}
        self._names = {group: [names[p] for p in parameters] for group, parameters in self.parameters.items()}

    def step(self, group: str, *, learning_rate: float) -> None:
        """Step a group's optimizer by the gradients that are there, and take them away."""
        for parameter, plain in zip(self.parameters[group], self._stepped[group], strict=True):
            if plain is not parameter:
                plain.grad = None if parameter.grad is None else _channels_behind(parameter.grad)
        self.optimizers[group].param_groups[0]["lr"] = learning_rate
        self.optimizers[group].step()
        # At once, so that no gradient is left for the next turn to add to.
        self.forget_gradients(group)

    def forget_gradients(self, group: str) -> None:
        """Take a group's gradients away."""
        self.optimizers[group].zero_grad(set_to_none=True)
        for parameter in self.parameters[group]:
            parameter.grad = None

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
        found = {}
        for group, names in self._names.items():
            for name, parameter, plain in zip(names, self.parameters[group], self._stepped[group], strict=True):
                kept = self.optimizers[group].state.get(plain, {})
                for key in self._kept[group]:
                    # None: gradient descent without momentum.
                    if kept.get(key) is not None:
                        found[f"{group}/{name}/{key}"] = _as_the_parameter(kept[key], parameter, plain)
        return found

    def _load_optimizer_state(self, tensors: Mapping[str, Tensor]) -> None:
        for group, parameters in self.parameters.items():
            state = self.optimizers[group].state
            state.clear()
            for name, parameter, plain in zip(self._names[group], parameters, self._stepped[group], strict=True):
                places = {key: f"{group}/{name}/{key}" for key in self._kept[group]}
                # A parameter that has had no gradient yet has no state.
                if all(place in tensors for place in places.values()):
                    state[plain] = {key: _like(parameter, plain, tensors[place]) for key, place in places.items()}


def _plain(parameter: nn.Parameter) -> nn.Parameter:
    """A parameter as its optimizer sees it: the same memory in one piece.

    The fused step copies whatever is not contiguous, and kernels with channels last are not: that took as long as the
    step itself.
    """
    behind = parameter.ndim == 4 and not parameter.is_contiguous() and _channels_behind(parameter).is_contiguous()
    return nn.Parameter(_channels_behind(parameter.detach())) if behind else parameter


def _channels_behind(tensor: Tensor) -> Tensor:
    """(O, I, H, W) as (O, H, W, I), in the same memory."""
    return tensor.permute(0, 2, 3, 1)


def _as_the_parameter(tensor: Tensor, parameter: nn.Parameter, plain: nn.Parameter) -> Tensor:
    """What an optimizer keeps, by the parameter's own axes."""
    return tensor if plain is parameter or tensor.shape != plain.shape else tensor.permute(0, 3, 1, 2)


def _like(parameter: nn.Parameter, plain: nn.Parameter, tensor: Tensor) -> Tensor:
    """A copy of what an optimizer keeps, where the parameter is and laid out as its optimizer sees it."""
    if tensor.shape != parameter.shape:
        return tensor.to(parameter.device, copy=True)
    axes = tensor if plain is parameter else _channels_behind(tensor)
    return torch.empty_like(plain, requires_grad=False).copy_(axes)


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
