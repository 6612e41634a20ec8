"""Laws that every downstream task keeps."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from medgan.discover import load, names
from medgan.downstream.classification import Classifier, ClassifierRecipe
from medgan.downstream.segmentation import Segmenter, SegmenterRecipe
from medgan.errors import GeometryError, SettingsError, TrainingError
from medgan.training.learner import OptimizerSettings

SIZE = 64
VARIANTS = {
    "unet": lambda: Segmenter(SegmenterRecipe(width=8, learning_rate=1e-2), channels=1, classes=3),
    "deeplab": lambda: Segmenter(
        SegmenterRecipe(network="deeplabv3plus", width=32, width_multiplier=0.25, learning_rate=5e-3),
        channels=1,
        classes=3,
    ),
    "efficientnet": lambda: Classifier(ClassifierRecipe(learning_rate=1e-3, dropout=0), channels=1, classes=3),
}


def batch_for(learner, count=3):
    """A bright disc (class 2) and a grey bar (class 1) on black, in places of their own; one image without the disc."""
    yy, xx = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    image, label = -torch.ones(count, 1, SIZE, SIZE), torch.zeros(count, SIZE, SIZE, dtype=torch.long)
    for n in range(count):
        bar = (yy > 40) & (yy < 54) & (xx > 4 + 6 * n) & (xx < 40)
        disc = (yy - 20) ** 2 + (xx - 20 - 8 * n) ** 2 < (0 if n == 1 else 81)
        for number, structure in ((1, bar), (2, disc)):
            image[n, 0][structure] = number - 1.2
            label[n][structure] = number
    valid = torch.ones_like(label, dtype=torch.bool)
    valid[:, :4] = False
    return {
        "image": image,
        "label": label if isinstance(learner, Segmenter) else torch.arange(count) % 3,
        "valid": valid,
    }


def train(learner, batch, steps):
    settings = learner.optimizer("network")
    adam = torch.optim.Adam(learner.parameters_of("network"), lr=settings.learning_rate, betas=settings.betas)
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: min(1.0, 2 - 2 * step / steps))
    history = []
    learner.train()
    for _ in range(steps):
        (turn,) = learner.training_step(batch)
        total = sum(turn.losses.values())
        adam.zero_grad()
        total.backward()
        adam.step()
        schedule.step()
        history.append(float(total.detach()))
    return history


@pytest.fixture(params=VARIANTS)
def learner(request):
    torch.manual_seed(0)
    return VARIANTS[request.param]()


def test_one_batch_can_be_learnt(learner):
    batch = batch_for(learner)
    # With half as many steps, one processor passes what another fails.
    history = train(learner, batch, 80)
    assert history[-1] < 0.3 * history[0]
    if isinstance(learner, Segmenter):
        learner.eval()
        right = learner.predict(batch["image"]) == batch["label"]
        assert right[batch["valid"]].float().mean() > 0.95
    else:
        learner.train()
        assert (learner.network(batch["image"]).argmax(dim=1) == batch["label"]).all()


def test_training_is_deterministic():
    for build in VARIANTS.values():
        runs = []
        for _ in range(2):
            torch.manual_seed(3)
            one = build()
            runs.append((train(one, batch_for(one), 2), one.state_dict()))
        assert runs[0][0] == runs[1][0]
        assert all(torch.equal(runs[0][1][name], runs[1][1][name]) for name in runs[0][1])


def test_weights_make_the_round_trip(learner):
    batch = batch_for(learner)
    train(learner, batch, 1)
    torch.manual_seed(99)
    other = type(learner)(learner.recipe, channels=1, classes=3)
    assert not torch.equal(other.probabilities(batch["image"]), learner.probabilities(batch["image"]))
    other.load_state_dict(learner.state_dict())
    assert torch.equal(other.probabilities(batch["image"]), learner.probabilities(batch["image"]))


def test_probabilities_add_up_and_leave_the_mode_as_it_was(learner):
    batch = batch_for(learner)
    learner.train()
    before = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    probabilities = learner.probabilities(batch["image"])
    assert learner.training
    assert not probabilities.requires_grad
    assert all(torch.equal(before[name], tensor) for name, tensor in learner.state_dict().items())
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones_like(probabilities[:, 0]))
    alone = torch.cat([learner.probabilities(image[None]) for image in batch["image"]])
    torch.testing.assert_close(alone, probabilities, rtol=1e-3, atol=1e-4)


def test_predictions_have_the_promised_shapes(learner):
    image = batch_for(learner)["image"]
    predicted = learner.predict(image)
    if isinstance(learner, Segmenter):
        assert predicted.shape == (3, SIZE, SIZE)
        assert predicted.dtype == torch.int64
    else:
        assert predicted.shape == (3, 3)
        assert predicted.dtype == torch.float32


def test_a_size_that_does_not_fit_says_what_to_pad_to(learner):
    with pytest.raises(GeometryError, match=r"G042.*got 50 x 64.*pad to 64 x 64"):
        learner.predict(torch.zeros(1, 1, 50, 64))


@pytest.mark.parametrize("name", names("medgan.downstream"))
def test_every_task_is_found_and_built_from_its_recipe(name):
    task = load("medgan.downstream", name).task
    recipe = task.recipe_type()
    assert task.recipe_type.model_validate(recipe.model_dump(mode="json")) == recipe
    learner = task(task.recipe_type.tiny(), channels=3, classes=3)
    assert learner.turns == tuple(learner.groups)
    assert set(learner.ema_networks) <= {part for parts in learner.groups.values() for part in parts}
    assert len(learner.parameters_of("network")) == len(list(learner.parameters()))
    assert task.summary
    previews = learner.preview({**batch_for(learner), "image": torch.zeros(3, 3, SIZE, SIZE)})
    assert all(p.shape[1] in (1, 3) and p.ndim == 4 and p.abs().max() <= 1 for p in previews.values())


def test_the_optimizer_follows_the_recipe():
    recipe = SegmenterRecipe(learning_rate=2e-3, decay_from=0.8, weight_decay=0.01, width=8)
    assert Segmenter(recipe, channels=1, classes=2).optimizer("network") == OptimizerSettings(
        2e-3, (0.9, 0.999), 0.01, 0.8
    )


def test_recipes_refuse_what_they_do_not_know():
    with pytest.raises(ValidationError, match="Extra inputs"):
        SegmenterRecipe(depth=3)
    with pytest.raises(ValidationError, match=r"no augmentation named 'flip'; there are affine, colour, flips"):
        ClassifierRecipe(augment=["flip"])
    assert SegmenterRecipe(augment=["flips", "affine"]).augment == {"flips": {}, "affine": {}}
    assert SegmenterRecipe(augment={"affine": {"shift": 0.1}}).augment == {"affine": {"shift": 0.1}}


def test_what_is_not_valid_does_not_train():
    torch.manual_seed(0)
    learner = VARIANTS["unet"]()
    batch = batch_for(learner)
    (turn,) = learner.training_step(batch)
    other = {**batch, "label": torch.where(batch["valid"], batch["label"], 2)}
    (again,) = learner.training_step(other)
    assert all(torch.equal(turn.losses[name], again.losses[name]) for name in turn.losses)


def test_balanced_classes_weigh_the_inverse_of_their_share():
    learner = Classifier(ClassifierRecipe(class_weights="balanced"), channels=1, classes=3)
    with pytest.raises(TrainingError, match="T041"):
        list(learner.training_step(batch_for(learner)))
    with pytest.raises(TrainingError, match="T040"):
        learner.balance([0.5, 0.5])
    learner.balance([60, 30, 10])
    from sklearn.utils.class_weight import compute_class_weight

    expected = compute_class_weight("balanced", classes=np.arange(3), y=[0] * 60 + [1] * 30 + [2] * 10)
    torch.testing.assert_close(learner.class_weights, torch.tensor(expected, dtype=torch.float32))
    assert len(list(learner.training_step(batch_for(learner)))) == 1
    learner.balance([0.5, 0.5, 0])
    assert learner.class_weights.tolist() == [1, 1, 0]


def test_balanced_weights_are_kept_with_the_weights():
    recipe = ClassifierRecipe(class_weights="balanced")
    learner, other = (Classifier(recipe, channels=1, classes=2) for _ in range(2))
    learner.balance([1, 3])
    other.load_state_dict(learner.state_dict())
    assert torch.equal(other.class_weights, learner.class_weights)
    assert len(list(other.training_step({**batch_for(other), "label": torch.tensor([0, 1, 1])}))) == 1


def test_pretrained_weights_without_their_package_are_refused_at_once(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="S040"):
        Classifier(ClassifierRecipe(pretrained="efficientnet-lite0"), channels=3, classes=2)
