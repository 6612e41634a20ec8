"""One translator of three domains, from the study file to translated images of each."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image as Pillow
from tiny_studies import medgan, run_here, write_settings
from typer.testing import CliRunner

from medgan import cli
from medgan.errors import CheckpointError, ManifestError, MedganError, SettingsError, TrainingError
from medgan.imaging.read import read_image
from medgan.manifests.manifest import read_manifest
from medgan.samples.entries import stack_of
from medgan.settings.recipe import Recipe
from medgan.settings.study import read_study
from medgan.stages.check import check_study
from medgan.stages.check_domains import compare_domains, compared_with_source
from medgan.stages.materials import open_materials
from medgan.stages.trained import open_run
from medgan.stages.validation import EveryDomainScore, UnpairedScore
from medgan.training.checkpoint import load_checkpoint
from medgan.training.identity import require_same
from medgan.training.translator import SampleShape, Translator
from medgan.workflow.plan import plan_study

SITES = {"site-a": (1.0, 0.8, 0.6), "site-b": (0.5, 1.0, 0.6), "site-c": (0.5, 0.6, 1.0)}
STARGAN = {
    "total_steps": 4,
    "crop_px": 32,
    "batch_size": 2,
    "critic_steps": 2,
    "generator_width": 8,
    "blocks": 1,
    "discriminator_width": 8,
    "discriminator_halvings": 3,
}
PLANS = [
    {"name": "histogram", "method": "histogram_matching", "also": ["site-c"]},
    {"name": "stargan", "method": "stargan", "also": ["site-c"], "recipe": STARGAN},
]
PLACE = "fold0/seed0"


def photograph(rng: np.random.Generator, tint: tuple[float, float, float]) -> Pillow.Image:
    """A bright disc on a dark ground, in a site's colours."""
    y, x = np.mgrid[:32, :32]
    centre, radius = rng.uniform(12, 20, 2), rng.uniform(5, 10)
    inside = np.hypot(y - centre[0], x - centre[1]) < radius
    levels = 60 + 120 * inside + rng.normal(0, 8, (32, 32))
    return Pillow.fromarray((levels[..., None] * tint).clip(0, 255).astype(np.uint8))


def three_sites(folder: Path, *, subjects: int = 5, split: bool = False, **changes: object) -> Path:
    """Photographs of three sites and a study of them."""
    rng, rows = np.random.default_rng(0), ["case_id,subject_id,domain,image" + (",split" if split else "")]
    (folder / "images").mkdir(parents=True)
    for site, tint in SITES.items():
        for number in range(subjects):
            name = f"{site}-{number}"
            photograph(rng, tint).save(folder / "images" / f"{name}.png")
            part = "test" if site == "site-c" or number == 0 else "train"
            rows.append(f"{name},{name},{site},images/{name}.png" + (f",{part}" if split else ""))
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    settings = {
        "name": "sites",
        "question": "Can one translator serve all sites?",
        "manifest": "manifest.csv",
        "data_root": ".",
        "output": "out",
        "preparation": {"preset": "photograph"},
        "direction": {"source": "site-a", "target": "site-b"},
        "folds": 2,
        "run_folds": [0],
        "seeds": [0],
        "device": "cpu",
        "precision": "fp32",
        "translators": PLANS,
    }
    return write_settings(folder, settings, **changes)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Study file of three sites, all of whose jobs are done."""
    path = three_sites(tmp_path_factory.mktemp("sites"))
    run_here(path)
    return path


@pytest.fixture(scope="module")
def study(path):
    return read_study(path)


@pytest.fixture(scope="module")
def stargan(study):
    return open_run(study.output / PLACE / "train" / "stargan", device="cpu")


def image_of(study, site):
    manifest = read_manifest(study.manifest, root=study.data_root)
    return read_image(manifest.image_path(manifest.of_domain(site).cases[0]))


def say(*words: object) -> str:
    result = CliRunner().invoke(cli.app, [str(word) for word in words])
    if isinstance(result.exception, MedganError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_every_site_is_prepared_and_split(study):
    summary = json.loads((study.output / "prepare" / "summary.json").read_text())
    assert summary["cases"] == dict.fromkeys(SITES, 5)
    assert "site-c-0" in (study.output / "prepare" / "splits.csv").read_text()


def test_the_run_knows_its_domains_and_their_windows(stargan):
    assert stargan.domains == tuple(SITES)
    assert stargan.directions == ("a", "b", "c")
    assert set(stargan.windows) == set(SITES)
    assert stargan.learner.shape.domains == 3


@pytest.mark.parametrize("name", ["stargan", "histogram"])
def test_an_image_of_any_site_is_translated_to_any_other(study, name):
    trained = open_run(study.output / PLACE / "train" / name, device="cpu")
    for site in SITES:
        image = image_of(study, site)
        outputs = [trained.translate(image, to=wanted).pixels for wanted in SITES]
        assert all(output.shape == image.pixels.shape for output in outputs)
        assert not np.array_equal(outputs[0], outputs[1])
        assert not np.array_equal(outputs[1], outputs[2])
        assert np.array_equal(trained.translate(image).pixels, outputs[1])
    with pytest.raises(CheckpointError, match=r"C004.*'site-x'.*'site-a' or 'site-b' or 'site-c'"):
        trained.translate(image, to="site-x")


def test_histogram_matching_gives_each_sites_colours(study):
    trained = open_run(study.output / PLACE / "train" / "histogram", device="cpu")
    image = image_of(study, "site-a")
    for site, tint in SITES.items():
        means = trained.translate(image, to=site).pixels.reshape(3, -1).mean(axis=1)
        assert int(means.argmax()) == int(np.argmax(tint)), site


def test_the_job_translates_the_source_to_the_target(study):
    made = read_manifest(study.output / PLACE / "translate" / "stargan" / "manifest.csv", root=study.output)
    assert made.domains == ("site-b",)
    assert {case.extra["translated_from"] for case in made} == {"site-a"}


def test_the_preview_shows_one_source_in_every_domain(study):
    [*_, preview] = sorted((study.output / PLACE / "train" / "stargan" / "previews").glob("*.png"))
    assert Pillow.open(preview).text["rows"] == "real_a, fake_b, fake_c, cycled_a, real_b, real_c, fake_a"


def test_the_command_translates_all_other_sites_to_the_one_named(study, stargan, tmp_path):
    where = ["--run", study.output / PLACE / "train" / "stargan", "--manifest", study.manifest]
    where += ["--data-root", study.data_root]
    assert "10 cases translated" in say("translate", *where, "--out", tmp_path / "c", "--to", "site-c")
    made = read_manifest(tmp_path / "c" / "manifest.csv", root=tmp_path / "c")
    assert made.domains == ("site-c",)
    assert {case.extra["translated_from"] for case in made} == {"site-a", "site-b"}
    found = read_image(made.image_path(made.cases[0])).pixels.astype(int)
    expected = stargan.translate(image_of(study, "site-a"), to="site-c").pixels.astype(int)
    assert np.abs(found - expected).max() <= 1
    assert "5 cases translated" in say("translate", *where, "--out", tmp_path / "b")
    with pytest.raises(CheckpointError, match="C004"):
        say("translate", *where, "--out", tmp_path / "x", "--to", "site-x")


def test_the_derivation_names_both_domains(stargan):
    towards = stargan.towards("site-c")
    assert (towards.takes, towards.gives) == (("site-a", "site-b"), "site-c")
    told = towards.derivation_from("site-b")
    assert (told.source, told.target) == ("site-b", "site-c")
    assert (stargan.derivation.source, stargan.derivation.target) == ("site-a", "site-b")


def test_a_checkpoint_of_other_domains_is_refused(study):
    identity = load_checkpoint(study.output / PLACE / "train" / "stargan").identity
    assert identity["shape"]["domains"] == 3
    assert identity["context"]["also"] == ["site-c"]
    assert set(identity["intensity"]) == {"source", "target", "also"}
    other = {**identity, "context": {**identity["context"], "also": ["site-d"]}}
    with pytest.raises(CheckpointError, match=r"C004.*identity.context.also"):
        require_same({"identity": identity}, {"identity": other}, where="here")


def test_results_go_stale_with_the_domains(tmp_path):
    path = three_sites(tmp_path)
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))

    def digests(plans):
        jobs = plan_study(read_study(write_settings(tmp_path, settings, translators=plans)))
        return {job.id: job.digest for job in jobs if job.stage in {"prepare", "train"}}

    without = [{key: value for key, value in plan.items() if key != "also"} for plan in PLANS]
    with_c, with_none = digests(PLANS), digests(without)
    assert "prepare" in with_c
    assert {job for job, digest in with_c.items() if with_none[job] != digest} == set(with_c)
    assert digests([plan | {"also": []} for plan in without]) == with_none


def test_best_checkpoints_are_scored_in_every_domain(tmp_path):
    best = PLANS[1] | {"selection": {"take": "best", "share": 0.3, "every": 2}}
    path = three_sites(tmp_path, translators=[best], subjects=8)
    run_here(path, until=f"{PLACE}/train/stargan")
    weights = json.loads((tmp_path / "out" / PLACE / "train" / "stargan" / "weights.json").read_text())
    assert "mean over 3 domains" in weights["scored_by"]


def test_the_score_of_every_domain_is_the_mean_over_those_wanted(tmp_path):
    """A learner that gives what is wanted everywhere but in site c loses by site c alone."""
    path = three_sites(tmp_path)
    run_here(path, until="prepare")
    materials = open_materials(read_study(path))
    sites = [materials.prepared(materials.manifest.of_domain(site)) for site in SITES]
    slices = [[stack_of(case, 0, neighbours=1).copy() for case in cases] for cases in sites]
    real = dict(zip("abc", slices, strict=True))

    class Giving(Translator):
        size_multiple = 1

        def __init__(self, wrong):
            super().__init__(Recipe(), shape=SampleShape(3, 1, 32, 3))
            self.where = torch.nn.Parameter(torch.zeros(1))
            self.wrong, self.given = wrong, dict.fromkeys("abc", 0)

        def translate(self, image, *, to):
            self.given[to] += 1
            if to == self.wrong:
                return torch.ones_like(image)
            return torch.from_numpy(real[to][self.given[to] % len(real[to])])[None]

    score, right, wrong = EveryDomainScore(*sites, neighbours=1), Giving(""), Giving("c")
    whole, less = score(right), score(wrong)
    assert all(right.given.values())
    of_c = [UnpairedScore([*sites[0], *sites[1]], sites[2], neighbours=1, to="c")(Giving(one)) for one in ("", "c")]
    assert less - whole == pytest.approx((of_c[1] - of_c[0]) / 3, abs=0.02)
    assert less < whole - 0.05


class TestRefused:
    """What a study cannot ask for, found by `medgan check` and before anything is trained."""

    def codes(self, path):
        return {finding.code for finding in check_study(read_study(path)) if finding.severity == "error"}

    def test_a_sound_study_is_not(self, tmp_path):
        assert self.codes(three_sites(tmp_path)) == set()

    def test_a_method_of_two_domains(self, tmp_path):
        path = three_sites(tmp_path, translators=[{"name": "cut", "method": "cut", "also": ["site-c"]}])
        assert self.codes(path) == {"S230"}
        with pytest.raises(SettingsError, match=r"S230.*translator cut.*site-c.*histogram_matching, stargan"):
            run_here(path, until="prepare")

    @pytest.mark.parametrize("also", [["site-c", "site-c"], ["site-b"], ["site-a"]])
    def test_a_domain_twice(self, tmp_path, also):
        path = three_sites(tmp_path, translators=[PLANS[1] | {"also": also}])
        with pytest.raises(SettingsError, match=rf"S002.*translators.stargan.also: '{also[0]}' stands twice"):
            read_study(path)

    def test_more_domains_than_there_are_letters(self, tmp_path):
        path = three_sites(tmp_path, translators=[PLANS[1] | {"also": [f"site-{n}" for n in range(7)]}])
        with pytest.raises(SettingsError, match=r"S002.*also.*at most 6"):
            read_study(path)

    def test_a_domain_that_is_not_in_the_manifest(self, tmp_path):
        path = three_sites(tmp_path, translators=[PLANS[1] | {"also": ["site-d"]}])
        assert self.codes(path) == {"M004"}
        with pytest.raises(ManifestError, match=r"M004.*site-d"):
            run_here(path, until="prepare")

    def test_a_domain_without_training_subjects(self, tmp_path):
        path = three_sites(tmp_path, split=True, folds=1)
        assert self.codes(path) == {"T014"}
        with pytest.raises(TrainingError, match=r"T014.*site-c.*4 cases of site-a.*0 cases of site-c"):
            run_here(path, until=f"{PLACE}/train/histogram")


def test_every_site_is_compared_with_the_source(study):
    assert compared_with_source(study) == ("site-b", "site-c")
    other = compare_domains(study, beside="site-c")
    assert (other.source.name, other.target.name, len(other.target.facts)) == ("site-a", "site-c", 5)


def test_the_command_compares_every_site(path, tmp_path):
    output = say("check", path, "--domains", "--json", tmp_path / "found.json", "--quiet")
    assert "5 of 5 cases of site-c" in output.replace("\n", " ")
    [other] = json.loads((tmp_path / "found.json").read_text())["also"]
    assert set(other["domains"]) == {"site-a", "site-c"}


@pytest.mark.multiprocess
def test_medgan_run_makes_it_whole(tmp_path):
    path = three_sites(tmp_path, translators=[PLANS[1]])
    done = medgan("run", path, "--quiet", "--cores", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out" / "report" / "report.html").is_file()
    assert open_run(tmp_path / "out" / PLACE / "train" / "stargan", device="cpu").domains == tuple(SITES)
