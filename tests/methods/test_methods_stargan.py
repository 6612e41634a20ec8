"""StarGAN: the paper's settings and losses, one generator step in five, and any number of domains."""

import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F  # noqa: N812

from medgan.errors import SettingsError
from medgan.losses.penalties import gradient_penalty
from medgan.losses.reconstruction import l1
from medgan.methods.stargan import StarGAN, StarGANRecipe
from medgan.samples.seeds import seed_for
from medgan.settings.loop import LoopSettings
from medgan.training.loop import train
from medgan.training.translator import LETTERS, SampleShape


def made(*, domains: int = 2, neighbours: int = 1, **settings: object) -> StarGAN:
    torch.manual_seed(0)
    recipe = StarGANRecipe(**(StarGANRecipe.tiny().model_dump() | settings))
    return StarGAN(recipe, shape=SampleShape(1, neighbours, 32, domains))


def batch(*, domains: int = 2, neighbours: int = 1, size: int = 2, seed: int = 5) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {letter: torch.rand(size, neighbours, 32, 32, generator=generator) * 2 - 1 for letter in LETTERS[:domains]}


def test_defaults_are_the_papers() -> None:
    recipe = StarGANRecipe()
    weights = (recipe.weight_classification, recipe.weight_reconstruction, recipe.weight_gradient_penalty)
    assert weights == (1, 10, 10)
    assert (recipe.adversarial, recipe.critic_steps) == ("wasserstein", 5)
    assert (recipe.learning_rate, recipe.betas, recipe.decay_from) == (1e-4, (0.5, 0.999), 0.5)
    assert (recipe.total_steps, 2 * recipe.batch_size) == (200_000, 16)
    assert (recipe.generator_width, recipe.blocks, recipe.norm) == (64, 6, "instance-affine")
    assert (recipe.discriminator_width, recipe.discriminator_halvings) == (64, 6)


def test_the_published_preset_has_the_authors_generator() -> None:
    recipe = StarGANRecipe(preset="published")
    assert (recipe.first_norm, recipe.padding, recipe.upsampling) == ("instance-affine", "zeros", "transposed")


@pytest.mark.parametrize("first_norm", ["instance", "instance-affine"])
def test_a_generator_that_could_not_see_the_label_is_refused(first_norm: str) -> None:
    with pytest.raises(ValidationError, match=f"first_norm {first_norm} takes away all that a label adds"):
        StarGANRecipe(first_norm=first_norm)
    assert StarGANRecipe(first_norm=first_norm, padding="zeros").padding == "zeros"


def test_a_critic_without_a_bound_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs a critic of bounded slope"):
        StarGANRecipe(weight_gradient_penalty=0)


def test_losses_are_the_papers_equations() -> None:
    learner, real = made(domains=3), batch(domains=3)
    images, own = torch.cat([real["a"], real["b"], real["c"]]), torch.tensor([0, 0, 1, 1, 2, 2])
    torch.manual_seed(7)
    discriminator, generator = learner.training_step(real)
    torch.manual_seed(7)
    wanted = torch.randint(3, (6,))
    fake = learner.g(images, wanted)
    judged = {
        "adversarial": learner.d(fake).mean() - learner.d(images).mean(),
        "gradient_penalty": 10 * gradient_penalty(learner.d, images, fake),
        "classification": F.cross_entropy(learner.d.classify(images), own),
    }
    torch.testing.assert_close(discriminator.losses, judged)
    expected = {
        "adversarial": -learner.d(fake).mean(),
        "classification": F.cross_entropy(learner.d.classify(fake), wanted),
        "reconstruction": 10 * l1(learner.g(fake, own), images),
    }
    torch.testing.assert_close(generator.losses, expected)


def test_the_generator_steps_once_in_five() -> None:
    learner = made(critic_steps=5)
    told = []
    for learner.step in range(10):
        groups = [turn.group for turn in learner.training_step(batch())]
        assert tuple(groups) == learner.turns
        told.append("generator" in groups)
    assert told == ([False] * 4 + [True]) * 2


def test_every_domain_is_sent_to_every_domain() -> None:
    learner, seen = made(domains=3), set()
    learner.g.register_forward_pre_hook(lambda _, args: seen.update(enumerate(args[1].tolist())))
    for _ in range(20):
        next(learner.training_step(batch(domains=3, size=1)))
    assert seen == {(source, wanted) for source in range(3) for wanted in range(3)}


def test_more_domains_translate_to_each_and_refuse_the_rest() -> None:
    learner, image = made(domains=4).eval(), batch()["a"]
    assert learner.directions == ("a", "b", "c", "d")
    outputs = [learner.translate(image, to=letter) for letter in learner.directions]
    for number, one in enumerate(outputs):
        assert all(not torch.equal(one, other) for other in outputs[:number])
    with pytest.raises(SettingsError, match=r"S211.*to='e'"):
        learner.translate(image, to="e")
    assert made().directions == ("a", "b")


def test_a_preview_shows_one_source_in_every_domain() -> None:
    pictures = made(domains=4, neighbours=3).preview(batch(domains=4, neighbours=3))
    fakes, reals = ["fake_b", "fake_c", "fake_d"], ["real_b", "real_c", "real_d"]
    assert list(pictures) == ["real_a", *fakes, "cycled_a", *reals, "fake_a"]
    assert all(picture.shape == (2, 1, 32, 32) for picture in pictures.values())


def run(folder: Path, *, stops: tuple[int, ...]) -> dict[str, object]:
    """Eleven steps of three domains, cut off at some of them, with a generator's step in every third."""

    def draw(number: int) -> dict[str, torch.Tensor]:
        return batch(domains=3, seed=seed_for(1, number))

    def stop_at(last: int):
        def on_step(step: int) -> None:
            if step == last:
                raise KeyboardInterrupt

        return on_step

    settings = LoopSettings(total_steps=11, device="cpu", precision="fp32", log_every=2, checkpoint_every_steps=2)
    for last in stops:
        with pytest.raises(KeyboardInterrupt):
            train(made(domains=3, critic_steps=3), draw, run=folder, settings=settings, on_step=stop_at(last))
    learner = made(domains=3, critic_steps=3)
    train(learner, draw, run=folder, settings=settings)
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return {"weights": learner.state_dict(), "means": [entry.get("means") for entry in log]}


def test_resumed_between_the_generators_steps_equals_uninterrupted(tmp_path: Path) -> None:
    whole, cut = run(tmp_path / "whole", stops=()), run(tmp_path / "cut", stops=(1, 4, 7))
    assert whole["means"] == cut["means"]
    assert all(torch.equal(value, cut["weights"][key]) for key, value in whole["weights"].items())
    counted = [set(means) for means in whole["means"] if means]
    assert {"discriminator"} in counted
    assert {"discriminator", "generator"} in counted
