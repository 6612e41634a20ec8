"""The plan: jobs in an order that can be run, and results that go stale with what they depend on."""

from pathlib import Path

import pytest
from tiny_studies import brain_settings, lesion_settings, lesion_study, write_settings

from medgan.errors import RunError
from medgan.settings.study import Study, read_study
from medgan.stages.arguments import JobArguments
from medgan.stages.workspace import Workspace
from medgan.workflow.job import find_job
from medgan.workflow.launch import states
from medgan.workflow.plan import Job, plan_study, write_plan

TASK = lesion_settings()["tasks"][0]
SWEEP = TASK | {
    "target_cases": [2, "all"],
    "arms": [*TASK["arms"], {"name": "source-only", "images": "identity"}],
}


@pytest.fixture
def read(tmp_path):
    """A study of lesions with some settings changed; its manifest is absent."""

    def read(**changes) -> Study:
        return read_study(write_settings(tmp_path, lesion_settings(), **changes))

    return read


def pretend_done(study: Study) -> None:
    """Finish every job with a small file as its result."""
    workspace = Workspace(study.output)
    for job in plan_study(study):
        folder = workspace.begin(job.id, digest=job.digest, needs=job.needs)
        (folder / "result.txt").write_text(job.digest)
        outputs = [folder / "result.txt"]
        workspace.finish(job.id, digest=job.digest, needs=job.needs, outputs=outputs, seconds=0.0, cpu_seconds=0.0)


def stale(study: Study) -> set[str]:
    """Jobs that are not done; all of them must be stale."""
    left = {job.id: state for job, state, _ in states(study) if state != "done"}
    assert set(left.values()) <= {"stale"}, left
    return set(left)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tasks": [SWEEP], "primary": None},
        {"run_folds": None, "seeds": [0, 3], "folds": 3},
        {"tasks": [], "primary": None},
        {"translators": [], "tasks": [{**TASK, "arms": [{"name": "target-only"}], "tested_on": []}], "primary": None},
        {"similarity": ["ssim"], "reference_column": "clean"},
    ],
)
def test_jobs_come_after_what_they_need(read, changes):
    jobs = plan_study(read(**changes))
    names = [job.id for job in jobs]
    assert len(set(names)) == len(names)
    assert names[0] == "prepare"
    assert names[-1] == "report"
    for index, job in enumerate(jobs):
        assert set(job.needs) <= set(names[:index]), job.id
    assert set(jobs[-1].needs) == set(names[:-1])


def test_the_jobs_of_the_tiny_study(read):
    place = "fold0/seed0"
    assert [job.id for job in plan_study(read())] == [
        "prepare",
        f"{place}/train/histogram",
        f"{place}/translate/histogram",
        f"{place}/train/cyclegan",
        f"{place}/translate/cyclegan",
        f"{place}/downstream/lesion/all/target-only",
        f"{place}/downstream/lesion/all/transfer",
        f"{place}/downstream/lesion/all/translated",
        f"{place}/judge/lesion/all",
        "report",
    ]


def test_an_arm_reads_the_translator_it_is_trained_on(read):
    needs = {job.id: set(job.needs) for job in plan_study(read())}
    place = "fold0/seed0"
    assert needs[f"{place}/downstream/lesion/all/target-only"] == {"prepare"}
    assert needs[f"{place}/downstream/lesion/all/transfer"] == {"prepare"}
    assert needs[f"{place}/downstream/lesion/all/translated"] == {"prepare", f"{place}/translate/cyclegan"}
    assert needs[f"{place}/judge/lesion/all"] == {
        f"{place}/translate/cyclegan",
        f"{place}/downstream/lesion/all/target-only",
    }


def test_identity_is_measured_where_similarity_is(tmp_path):
    study = read_study(write_settings(tmp_path, brain_settings()))
    [measure] = [job for job in plan_study(study) if job.stage == "measure"]
    assert set(measure.needs) == {f"fold0/seed0/translate/{name}" for name in ("identity", "histogram")}


def test_every_job_is_a_command_of_its_own(read):
    study = read(tasks=[SWEEP], primary=None)
    for job in plan_study(study):
        assert find_job(study, job.stage, job.arguments) == job


def test_a_command_that_names_no_job_is_told_which_there_are(read):
    study = read()
    with pytest.raises(RunError, match=r"J011.*--translator histogram --fold 0 --seed 0"):
        find_job(study, "train", JobArguments(translator="pix2pix", fold=0, seed=0))
    with pytest.raises(RunError, match=r"J011.*a study with measure jobs"):
        find_job(study, "measure", JobArguments(fold=0, seed=0))


def test_a_digest_depends_on_the_settings_alone(read, tmp_path):
    first, again = ({job.id: job.digest for job in plan_study(read())} for _ in range(2))
    assert first == again
    assert len(set(first.values())) == len(first)
    elsewhere = read_study(tmp_path / "study.yaml", output=tmp_path / "elsewhere")
    assert {job.id: job.digest for job in plan_study(elsewhere)} == first


def test_what_is_written_names_every_job(read):
    study = read()
    jobs = plan_study(study)
    write_plan(study, jobs)
    content = (study.output / "plan.json").read_text()
    assert all(f'"{job.id}"' in content and job.digest in content for job in jobs)
    assert read_study(study.output / "study.json") == study


def changed(study: Study, other: Study) -> set[str]:
    """Jobs whose results are stale after the change."""
    pretend_done(study)
    assert stale(study) == set()
    return stale(other)


def with_recipe(name: str, **recipe: object) -> dict[str, object]:
    plans = lesion_settings()["translators"]
    return {
        "translators": [
            {**plan, "recipe": {**plan.get("recipe", {}), **recipe}} if plan["name"] == name else plan for plan in plans
        ]
    }


def test_a_changed_translator_makes_stale_what_depends_on_it_and_nothing_else(read):
    found = changed(read(), read(**with_recipe("cyclegan", total_steps=3)))
    assert found == {
        "fold0/seed0/train/cyclegan",
        "fold0/seed0/translate/cyclegan",
        "fold0/seed0/downstream/lesion/all/translated",
        "fold0/seed0/judge/lesion/all",
        "report",
    }


def test_a_changed_translator_that_only_is_measured(read):
    found = changed(read(), read(**with_recipe("histogram", crop_px=16)))
    assert found == {"fold0/seed0/train/histogram", "fold0/seed0/translate/histogram", "report"}


def test_a_changed_arm_leaves_the_others(read):
    arms = [{**arm, "fraction": 0.25} if arm["name"] == "transfer" else arm for arm in TASK["arms"]]
    found = changed(read(), read(tasks=[TASK | {"arms": arms}]))
    assert found == {"fold0/seed0/downstream/lesion/all/transfer", "report"}


def test_a_changed_task_leaves_the_translators(read):
    found = changed(read(), read(tasks=[TASK | {"recipe": TASK["recipe"] | {"total_steps": 3}}]))
    assert {job.split("/")[2] for job in found - {"report"}} == {"downstream", "judge"}
    assert len(found) == 5


@pytest.mark.parametrize(
    "changes", [{"preparation": {"preset": "photograph", "size_px": 16}}, {"split_seed": 1}, {"stratify": "none"}]
)
def test_a_changed_preparation_or_split_makes_everything_stale(read, changes):
    study, other = read(), read(**changes)
    assert changed(study, other) == {job.id for job in plan_study(study)}


def test_a_changed_manifest_makes_everything_stale(read):
    study = read()
    study.manifest.parent.mkdir()
    study.manifest.write_text("case_id\n")
    pretend_done(study)
    study.manifest.write_text("case_id\nnew\n")
    assert stale(study) == {job.id for job in plan_study(study)}


def test_a_replaced_image_makes_everything_stale(tmp_path):
    study = read_study(lesion_study(tmp_path, subjects=5))
    pretend_done(study)
    image, other = sorted(study.data_root.glob("clinical/*.png"))[:2]
    image.write_bytes(other.read_bytes())
    assert stale(study) == {job.id for job in plan_study(study)}


def test_another_column_of_true_images_is_measured_anew(tmp_path):
    study, other = (
        read_study(write_settings(tmp_path, brain_settings(), reference_column=name)) for name in (None, "true")
    )
    pretend_done(study)
    assert {"fold0/seed0/measure", "report"} <= stale(other)


@pytest.mark.parametrize("changes", [{"threads": 2}, {"device": "auto"}])
def test_where_a_study_is_run_changes_no_result(read, changes):
    assert changed(read(), read(**changes)) == set()


@pytest.mark.parametrize("changes", [{"margin": 0.5}, {"primary": None}, {"question": "Why?"}])
def test_what_is_asked_changes_the_report_alone(read, changes):
    assert changed(read(), read(**changes)) == {"report"}


def test_a_result_made_again_makes_stale_what_was_made_from_it(read):
    """The digest of what came out counts, not only the settings that went in."""
    study = read()
    pretend_done(study)
    workspace = Workspace(study.output)
    train = next(job for job in plan_study(study) if job.id.endswith("train/cyclegan"))
    output = workspace.folder(train.id) / "result.txt"
    output.write_text("other weights")
    workspace.finish(train.id, digest=train.digest, needs=train.needs, outputs=[output], seconds=0.0, cpu_seconds=0.0)
    assert "fold0/seed0/train/cyclegan" not in stale(study)
    assert {"fold0/seed0/translate/cyclegan", "report"} <= stale(study)


def test_states_of_a_study_that_has_not_begun(read):
    found = states(read())
    assert {state for _, state, _ in found} == {"waiting"}
    assert all(isinstance(job, Job) and progress == {} for job, _, progress in found)
    assert not Path(read().output).exists()
