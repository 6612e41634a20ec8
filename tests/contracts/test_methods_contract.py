"""Laws that every translation method keeps; a new file in ``medgan/methods`` is tested on arrival.

A method is made small by its recipe's ``tiny()``; ``method:preset`` is a method with named settings on top of that.
"""

from itertools import product

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from medgan import discover
from medgan.errors import MedganError
from medgan.settings.recipe import Recipe
from medgan.training.inference import ready_for_inference
from medgan.training.learner import Turn, freeze_all_but
from medgan.training.translator import SampleShape, Translator

PACKAGE = "medgan.methods"
METHODS = discover.names(PACKAGE)
NAMES = METHODS + [
    f"{name}:{preset}" for name in METHODS for preset in discover.load(PACKAGE, name).method.recipe_type.presets
]
SHAPES = {"grey": SampleShape(1, 1, 32), "colour": SampleShape(3, 1, 32), "2.5D": SampleShape(1, 3, 32)}
FITTED = ("cycle", "identity", "reconstruction", "contrastive", "perceptual", "content", "classification")

every_method = pytest.mark.parametrize("name", NAMES)
every_method_presets_slowly = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if ":" in name else name for name in NAMES]
)
every_shape = pytest.mark.parametrize("kind", SHAPES)


def method_of(name: str) -> type[Translator]:
    return discover.load(PACKAGE, name.split(":")[0]).method


def recipe_of(name: str, **settings: object) -> Recipe:
    """The tiny recipe, with the preset's settings and some others."""
    kind = method_of(name).recipe_type
    preset = {"preset": name.split(":")[1], **kind.presets[name.split(":")[1]].settings} if ":" in name else {}
    return kind(**{**kind.tiny().model_dump(), **preset, **settings})


def batch_of(shape: SampleShape, *, size: int = 2, seed: int = 0) -> dict[str, Tensor]:
    """Smooth blobs on a background of -1; domain b is domain a with other grey values."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(size, shape.channels * shape.neighbours, 5, 5, generator=generator) * 1.8 - 0.9
    a = F.interpolate(coarse, size=(shape.size_px, shape.size_px), mode="bilinear")
    a[..., :3, :] = -1
    b = torch.where(a == -1, a, -0.7 * a + 0.1)
    return {"a": a, "b": b}


def made(name: str, kind: str = "grey", **settings: object) -> Translator:
    """A small, fitted method."""
    torch.manual_seed(0)
    method, shape = method_of(name), SHAPES[kind]
    learner = method(recipe_of(name, neighbours=shape.neighbours, **settings), shape=shape)
    batch = batch_of(shape, size=4, seed=1)
    learner.fit(list(batch["a"]), list(batch["b"]))
    return learner


def train(learner: Translator, batch: dict[str, Tensor], *, steps: int) -> list[dict[str, float]]:
    """The plain loop from step 0, reduced to what matters here; gives each step's losses as ``group/name``."""
    optimizers = {}
    for group in learner.groups:
        settings = learner.optimizer(group)
        optimizers[group] = torch.optim.Adam(
            learner.parameters_of(group),
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
        )
    log = []
    for learner.step in range(steps):
        losses = {}
        for turn in turns_of(learner, batch):
            optimizers[turn.group].zero_grad(set_to_none=True)
            torch.stack(list(turn.losses.values())).sum().backward()
            optimizers[turn.group].step()
            losses |= {f"{turn.group}/{key}": value.item() for key, value in turn.losses.items()}
        log.append(losses)
    return log


def turns_of(learner: Translator, batch: dict[str, Tensor]):
    """A step's turns, each asked for once everybody else is frozen, and no more of them than were declared."""
    step = learner.training_step(batch)
    for group in learner.turns:
        freeze_all_but(learner, group)
        turn = next(step)
        assert isinstance(turn, Turn)
        assert turn.group == group
        yield turn
    with pytest.raises(StopIteration):
        next(step)


def first_steps_that_differ(learner: Translator) -> list[int]:
    """The first steps of each kind of turns: where a critic steps alone, and where others step beside it."""
    found: dict[tuple[str, ...], int] = {}
    for learner.step in range(8):
        found.setdefault(learner.turns, learner.step)
    return list(found.values())


def padded(image: Tensor, *, multiple: int) -> Tensor:
    rows, columns = -image.shape[-2] % multiple, -image.shape[-1] % multiple
    return F.pad(image, (0, columns, 0, rows), mode="replicate")


@every_method
def test_says_what_it_is(name: str) -> None:
    method = method_of(name)
    assert issubclass(method, Translator)
    assert method.summary
    assert method.paper
    assert issubclass(method.recipe_type, Recipe)
    assert method.__doc__ != Translator.__doc__
    assert set(method.directions) <= {"a", "b"}
    assert method.directions
    assert method.size_multiple >= 1


@every_method
def test_recipe_refuses_what_it_does_not_know(name: str) -> None:
    recipe_type = method_of(name).recipe_type
    with pytest.raises(ValidationError, match="no preset 'of-nothing'"):
        recipe_type(preset="of-nothing")
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        recipe_type(weight_of_nothing=1.0)
    assert recipe_type.model_validate_json(recipe_type.tiny().model_dump_json()) == recipe_type.tiny()
    assert recipe_type().total_steps >= 0


@every_method
def test_each_parameter_has_one_owner(name: str) -> None:
    learner = made(name)
    owned = [id(p) for group in learner.groups for p in learner.parameters_of(group)]
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(p) for p in learner.parameters()}
    assert set(learner.turns) <= set(learner.groups)
    for network in learner.ema_networks:
        assert list(learner.get_submodule(network).parameters())


@every_method
@every_shape
def test_a_step_takes_its_turns_and_each_reaches_its_own_group_only(name: str, kind: str) -> None:
    learner, batch = made(name, kind), batch_of(SHAPES[kind])
    for step in first_steps_that_differ(learner):
        learner.step = step
        for turn in turns_of(learner, batch):
            learner.zero_grad(set_to_none=True)
            assert turn.losses
            assert all(loss.shape == () and torch.isfinite(loss) for loss in turn.losses.values()), turn.losses
            torch.stack(list(turn.losses.values())).sum().backward()
            for group in learner.groups:
                gradients = [parameter.grad for parameter in learner.parameters_of(group)]
                if group == turn.group:
                    assert all(grad is not None and torch.isfinite(grad).all() for grad in gradients)
                else:
                    assert all(grad is None for grad in gradients), f"the turn of {turn.group} reaches {group}"


@every_method
@every_shape
def test_translation_gives_the_middle_slice_in_range_and_always_the_same(name: str, kind: str) -> None:
    learner, shape = made(name, kind).eval(), SHAPES[kind]
    odd = batch_of(shape, seed=2)["a"][..., :31, :29]
    image = padded(odd, multiple=learner.size_multiple)
    before = image.clone()
    for to in learner.directions:
        with torch.inference_mode():
            out = learner.translate(image, to=to)
            again = learner.translate(image, to=to)
        assert out.shape == (2, shape.channels, *image.shape[-2:])
        assert torch.isfinite(out).all()
        assert out.abs().max() <= 1
        assert torch.equal(out, again)
        alone = torch.cat([learner.translate(one[None], to=to) for one in image])
        torch.testing.assert_close(out, alone, atol=1e-5, rtol=1e-4)
    assert torch.equal(image, before)


@pytest.mark.parametrize("name", METHODS)
def test_networks_ready_for_bf16_translate_about_the_same(name: str) -> None:
    learner = made(name).eval()
    image = padded(batch_of(SHAPES["grey"], seed=2)["a"], multiple=learner.size_multiple)
    before = {to: learner.translate(image, to=to) for to in learner.directions}
    ready = ready_for_inference(learner, precision="bf16", device=torch.device("cpu"))
    for to, expected in before.items():
        with torch.inference_mode():
            out = ready.translate(image, to=to).float()
        assert (out - expected).abs().mean() < 0.05


@every_method
@pytest.mark.parametrize("training", [True, False])
def test_translation_leaves_the_mode_and_the_random_state_as_they_were(name: str, training: bool) -> None:
    learner = made(name).train(training)
    modes = [module.training for module in learner.modules()]
    image = batch_of(SHAPES["grey"])["a"]
    for to in learner.directions:
        learner.translate(image, to=to)
    assert [module.training for module in learner.modules()] == modes
    learner.eval()
    state = torch.get_rng_state()
    for to in learner.directions:
        learner.translate(image, to=to)
    assert torch.equal(torch.get_rng_state(), state)


@every_method
def test_a_direction_not_offered_is_refused(name: str) -> None:
    learner = made(name).eval()
    for to in {"a", "b"} - set(learner.directions):
        with pytest.raises(MedganError, match=r"\[[A-Z]\d{3}\]"):
            learner.translate(batch_of(SHAPES["grey"])["a"], to=to)


@every_method
def test_previews_are_pictures(name: str) -> None:
    learner, shape = made(name, "2.5D"), SHAPES["2.5D"]
    for picture in learner.preview(batch_of(shape)).values():
        assert picture.shape == (2, shape.channels, shape.size_px, shape.size_px)
        assert not picture.requires_grad
        assert picture.abs().max() <= 1


@every_method_presets_slowly
def test_one_batch_can_be_overfitted(name: str) -> None:
    # What starts from its input undoes itself from the start: its losses can fall no further.
    drawn = {"predicts": "image"} if getattr(recipe_of(name), "predicts", None) == "change" else {}
    learner, batch = made(name, learning_rate=2e-3, **drawn), batch_of(SHAPES["grey"])
    if not learner.groups:
        pytest.skip(f"{name} trains nothing")
    log = train(learner, batch, steps=40)
    fitted = [[loss for key, loss in step.items() if key.split("/")[1].startswith(FITTED)] for step in log]
    totals = [sum(losses) for losses in fitted if losses]
    if not totals:
        pytest.skip(f"{name} has no loss that a fixed batch must lower; it names none of {', '.join(FITTED)}")
    first, last = sum(totals[:4]), sum(totals[-4:])
    assert last < 0.8 * first


@every_method
def test_saved_and_loaded_translates_the_same(name: str) -> None:
    learner, batch = made(name), batch_of(SHAPES["grey"])
    train(learner, batch, steps=2)
    method = method_of(name)
    torch.manual_seed(99)
    other = method(learner.recipe, shape=learner.shape)
    other.load_state_dict({key: value.clone() for key, value in learner.state_dict().items()})
    for to in learner.directions:
        image = batch_of(SHAPES["grey"], seed=3)["a"]
        assert torch.equal(learner.eval().translate(image, to=to), other.eval().translate(image, to=to))


@every_method
def test_resumed_equals_uninterrupted(name: str) -> None:
    """With the parameters, the extra tensors and torch's random state handed over, the next steps are the same."""
    learner, shape = made(name), SHAPES["grey"]
    train(learner, batch_of(shape), steps=3)
    state = {key: value.clone() for key, value in learner.state_dict().items()}
    extra = {key: value.clone() for key, value in learner.extra_tensors().items()}
    random = torch.get_rng_state()
    torch.manual_seed(99)
    other = method_of(name)(learner.recipe, shape=shape)
    other.load_state_dict(state)
    other.load_extra_tensors(extra)
    assert other.extra_tensors().keys() == extra.keys()
    assert all(torch.equal(value, extra[key]) for key, value in other.extra_tensors().items())
    logs = []
    for one in (learner, other):
        torch.set_rng_state(random)
        logs.append([train(one, batch_of(shape, seed=seed), steps=1) for seed in range(4)])
    assert logs[0] == logs[1]


def test_the_contract_covers_every_method_and_shape() -> None:
    assert {"cyclegan", "pix2pix", "identity", "histogram_matching"} <= set(NAMES)
    assert len(list(product(NAMES, SHAPES))) == 3 * len(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if ":" in name])
def test_a_preset_says_what_it_is_and_leaves_sizes_alone(name: str) -> None:
    kind, preset = method_of(name).recipe_type, name.split(":")[1]
    settings = kind.presets[preset].settings
    assert kind.presets[preset].summary
    assert not {key for key in settings if "width" in key or key in {"crop_px", "neighbours"}}
    chosen = kind(preset=preset)
    assert {key: getattr(chosen, key) for key in settings} == {**settings}
    assert kind(preset=preset, total_steps=7).total_steps == 7
