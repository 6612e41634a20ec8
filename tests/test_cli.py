"""The command line: what it says, its exit status, and finished runs applied to new manifests."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny_studies import brain_study, finished_brains, finished_lesions, lesion_settings, lesion_study, write_settings
from typer.testing import CliRunner

from medgan import cli, cli_tools, discover
from medgan.errors import CheckpointError, ManifestError, MedganError, RunError, SettingsError
from medgan.imaging.read import read_image
from medgan.manifests.manifest import Manifest, read_manifest, write_manifest
from medgan.phantoms import brain, lesion
from medgan.settings.study import read_study

__all__ = ["finished_brains", "finished_lesions"]

PLACE = "fold0/seed0"


@pytest.fixture
def say(monkeypatch):
    """Run a command in this process; its output, or the error it ends with."""
    for module in (cli, cli_tools):
        monkeypatch.setattr(module, "console", cli.Console(width=200))

    def say(*words, status=0):
        result = CliRunner().invoke(cli.app, [str(word) for word in words])
        if isinstance(result.exception, MedganError):
            raise result.exception
        assert result.exit_code == status, result.output
        return result.output

    return say


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """A manifest of people that no study has seen."""
    folder = tmp_path_factory.mktemp("others")
    return lesion.write_study(folder, seed=7, subjects=5, size_px=32, first_subject=500)


class TestCheck:
    def test_clean_phantoms_end_with_0(self, say, tmp_path):
        assert "0 errors, 0 warnings" in say("check", lesion_study(tmp_path, subjects=12))

    def test_every_finding_is_a_whole_line_and_the_status_is_1(self, say, tmp_path, monkeypatch):
        monkeypatch.setenv("MEDGAN_SHOW_PATHS", "")  # put back afterwards: the option sets it
        path = lesion_study(tmp_path, subjects=6)
        manifest = tmp_path / "phantoms" / "manifest.csv"
        lines = manifest.read_text().splitlines()
        strange = "clinical/[/bold]" + "very-" * 40 + "long.png"
        lines.append(f"[red]<script>,S9,clinical,{strange},,,,,,")
        manifest.write_text("\n".join(lines) + "\n")
        write_settings(tmp_path, lesion_settings(), tasks=[lesion_settings()["tasks"][0] | {"recipe": {"width": 1}}])
        assert "very-" not in say("check", path, status=1), "a file's name is shown unasked"
        output = say("check", path, "--show-paths", status=1)
        assert strange in output, "a path is cut or taken for markup"
        assert "[red]<script>" in output
        assert "M040" in output
        assert "width" in output
        assert "2 errors" in output or "3 errors" in output

    def test_warnings_alone_end_with_0(self, say, tmp_path):
        path = lesion_study(tmp_path, subjects=12, allow_duplicates=True)
        manifest = tmp_path / "phantoms" / "manifest.csv"
        lines = manifest.read_text().splitlines()
        row = lines[2].replace("L0000_clinical,L0000,", "twin,L0001,", 1).replace("clinical/L0000_", "clinical/twin_")
        manifest.write_text("\n".join([*lines, row]) + "\n")
        picture = tmp_path / "phantoms" / "clinical" / "L0000_clinical.png"
        picture.with_name("twin_clinical.png").write_bytes(picture.read_bytes())
        assert "0 errors, 1 warnings" in say("check", path)

    def test_a_wrong_study_file(self, say, tmp_path):
        with pytest.raises(SettingsError, match=r"S002.*did you mean 'folds'"):
            say("check", write_settings(tmp_path, lesion_settings(), foldz=2))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("translate", "--to", "flair"), "--to"),
        (("translate", "--bf16", "--style-of", "x.png"), "--bf16, --style-of"),
        (("downstream", "--out", "folder"), "--out"),
        (("measure", "--reference", "x.csv"), "--reference"),
    ],
)
def test_options_that_a_study_would_leave_unheard_are_refused(say, tmp_path, words, named):
    assert f"{named}: not beside a study file" in say(words[0], tmp_path / "study.yaml", *words[1:], status=2)


class TestStatus:
    def test_of_a_finished_study(self, say, finished_lesions):
        lines = [line for line in say("status", finished_lesions).splitlines() if "│" in line]
        assert len(lines) == 10
        assert all(" done " in line for line in lines)

    def test_of_one_not_begun(self, say, finished_lesions, tmp_path):
        output = say("status", finished_lesions, "--output", tmp_path / "elsewhere")
        assert output.count("waiting") == 10
        assert not (tmp_path / "elsewhere").exists()

    def test_no_id_is_cut_in_a_narrow_place(self, say, finished_lesions, monkeypatch):
        monkeypatch.setattr(cli, "console", cli.Console(width=40))
        output = "".join(line.strip("│ ").split(" ")[0] for line in say("status", finished_lesions).splitlines())
        assert f"{PLACE}/downstream/lesion/all/target-only" in output


class TestLists:
    def test_methods(self, say):
        output = say("methods")
        for name in discover.names("medgan.methods"):
            assert name in output
        assert "Zhu et al. 2017" in output
        cells = [line.split("│") for line in output.splitlines() if line.count("│") > 3]
        rows = {row[1].strip(): row[2].strip() for row in cells}
        assert (rows["pix2pix"], rows["cyclegan"]) == ("yes", "no")
        assert rows["srgan"].startswith("yes, or")

    def test_tasks(self, say):
        output = say("tasks")
        assert "segmentation" in output
        assert "classification" in output

    def test_schema(self, say):
        assert "translators" in json.loads(say("schema"))["properties"]
        assert "weight_cycle" in json.loads(say("schema", "--method", "cyclegan"))["properties"]
        with pytest.raises(MedganError, match=r"D001.*did you mean 'cyclegan'"):
            say("schema", "--method", "cyclgan")

    def test_phantom(self, say, tmp_path):
        output = say("phantom", "lesion", "--out", tmp_path / "x", "--subjects", "1", "--seed", "3")
        assert read_manifest(tmp_path / "x" / "manifest.csv", root=tmp_path / "x").domains == ("clinical", "dermoscopy")
        assert str(tmp_path / "x" / "manifest.csv") in output
        with pytest.raises(SettingsError, match="S060"):
            say("phantom", "lesion", "--out", tmp_path / "y", "--subjects", "0")


class TestJobs:
    def test_a_job_by_hand(self, say, tmp_path):
        path = brain_study(tmp_path)
        assert "prepare: done" in say("prepare", path, "--quiet")
        assert "train/histogram: done" in say("train", path, "--translator", "histogram", "--fold", "0")
        assert "train/histogram: nothing to do" in say("train", path, "--translator", "histogram")
        with pytest.raises(RunError, match=r"J010.*translate/identity is not finished"):
            say("measure", path)

    def test_a_job_that_the_study_does_not_have(self, say, finished_lesions):
        with pytest.raises(RunError, match=r"J011.*--task lesion --arm target-only --target-cases all"):
            say("downstream", finished_lesions)
        with pytest.raises(RunError, match=r"J011.*--fold 1"):
            say("judge", finished_lesions, "--task", "lesion", "--fold", "1")

    @pytest.mark.parametrize("command", ["translate", "downstream", "measure"])
    def test_without_a_study_all_else_is_asked_for(self, say, command):
        output = " ".join(say(command, "--out", "x", status=2).replace("│", " ").split())
        for option in ("--run", "--manifest", "--data-root"):
            assert option in output


class TestTranslateRun:
    def test_a_new_manifest(self, say, finished_lesions, others, tmp_path):
        run = read_study(finished_lesions).output / PLACE / "train" / "histogram"
        words = ["translate", "--run", run, "--manifest", others, "--data-root", others.parent, "--out", tmp_path]
        assert "5 cases translated" in say(*words)
        translated = read_manifest(tmp_path / "manifest.csv", root=tmp_path)
        parent = read_manifest(others, root=others.parent)
        assert translated.parent == parent.digest
        assert translated.domains == ("clinical",)
        assert [case.case_id for case in translated] == [case.case_id for case in parent.of_domain("dermoscopy")]
        for before, after in zip(parent.of_domain("dermoscopy"), translated, strict=True):
            one, two = read_image(parent.image_path(before)), read_image(translated.image_path(after))
            assert one.pixels.shape == two.pixels.shape
            assert not np.array_equal(one.pixels, two.pixels)

    def test_a_manifest_without_the_runs_source_domain(self, say, finished_lesions, others, tmp_path):
        run = read_study(finished_lesions).output / PLACE / "train" / "histogram"
        parent = read_manifest(others, root=others.parent)
        renamed = Manifest(cases=tuple(replace(case, domain="telephone") for case in parent), root=parent.root)
        write_manifest(renamed, tmp_path / "renamed.csv")
        words = ["--manifest", tmp_path / "renamed.csv", "--data-root", parent.root, "--out", tmp_path / "out"]
        with pytest.raises(ManifestError, match=r"M004.*no case of domain 'dermoscopy'.*telephone"):
            say("translate", "--run", run, *words)

    def test_a_second_run_does_not_keep_the_firsts_images(self, say, finished_lesions, others, tmp_path):
        pixels = []
        for name in ("histogram", "cyclegan"):
            run = read_study(finished_lesions).output / PLACE / "train" / name
            say("translate", "--run", run, "--manifest", others, "--data-root", others.parent, "--out", tmp_path)
            pixels.append(read_image(tmp_path / "images" / "L0500_dermoscopy.png").pixels)
        assert not np.array_equal(*pixels)

    def test_another_kind_of_run(self, say, finished_lesions, others, tmp_path):
        run = read_study(finished_lesions).output / PLACE / "downstream" / "lesion" / "all" / "target-only"
        with pytest.raises(CheckpointError, match=r"C004.*not a translator's run"):
            say("translate", "--run", run, "--manifest", others, "--data-root", others.parent, "--out", tmp_path)


class TestDownstreamRun:
    def words(self, finished_lesions, others, out):
        run = read_study(finished_lesions).output / PLACE / "downstream" / "lesion" / "all" / "target-only"
        return ["downstream", "--run", run, "--manifest", others, "--data-root", others.parent, "--out", out]

    def test_a_new_manifest(self, say, finished_lesions, others, tmp_path):
        output = say(*self.words(finished_lesions, others, tmp_path))
        table = pd.read_csv(tmp_path / "rows.csv", dtype={"case_id": str})
        dice = table[table.metric == "dice"]
        assert len(dice) == 10
        assert f"dice: {dice.groupby('subject_id').value.mean().mean():.4f} (" in output
        assert "5 subjects, 10 values, 0 undefined" in output
        assert "10 of 10 cases have a mask" in output

    def test_cases_without_the_label_are_left_out_and_counted(self, say, finished_lesions, others, tmp_path):
        parent = read_manifest(others, root=others.parent)
        some = tuple(replace(case, mask=None) if case.domain == "clinical" else case for case in parent)
        write_manifest(replace(parent, cases=some), parent.root / "some.csv")
        output = say(*self.words(finished_lesions, parent.root / "some.csv", tmp_path))
        assert "5 of 10 cases have a mask" in output

    def test_no_case_has_the_label(self, say, finished_lesions, others, tmp_path):
        parent = read_manifest(others, root=others.parent)
        bare = tuple(replace(case, mask=None) for case in parent)
        write_manifest(replace(parent, cases=bare), parent.root / "bare.csv")
        with pytest.raises(ManifestError, match=r"M045.*no case has a mask"):
            say(*self.words(finished_lesions, parent.root / "bare.csv", tmp_path))

    def test_another_kind_of_run(self, say, finished_lesions, others, tmp_path):
        words = self.words(finished_lesions, others, tmp_path)
        words[2] = read_study(finished_lesions).output / PLACE / "train" / "cyclegan"
        with pytest.raises(CheckpointError, match=r"C004.*not a downstream run"):
            say(*words)


class TestMeasureRun:
    def test_a_new_manifest(self, say, finished_brains, tmp_path):
        reference = brain.write_study(tmp_path / "new", seed=7, subjects=5, size_px=32, slices=12, first_subject=500)
        run = read_study(finished_brains).output / PLACE / "train" / "histogram"
        where = ["--data-root", reference.parent]
        say("translate", "--run", run, "--manifest", reference, *where, "--out", tmp_path / "out")
        words = ["--manifest", tmp_path / "out" / "manifest.csv", "--reference", reference, *where]
        output = say("measure", "--run", run, *words, "--out", tmp_path / "scores")
        table = pd.read_csv(tmp_path / "scores" / "rows.csv")
        assert set(table.metric) >= {"ssim", "mae", "psnr"}
        assert set(table.arm) == {"histogram_matching"}
        assert table.groupby("metric").case_id.nunique().eq(5).all()
        assert f"ssim: {table[table.metric == 'ssim'].value.mean():.4f} (" in output
        assert "5 pairs; rows:" in output

    def test_without_pairs_there_is_nothing_to_compare(self, say, finished_lesions, others, tmp_path):
        run = read_study(finished_lesions).output / PLACE / "train" / "histogram"
        where = ["--data-root", others.parent]
        say("translate", "--run", run, "--manifest", others, *where, "--out", tmp_path / "out")
        words = ["--manifest", tmp_path / "out" / "manifest.csv", "--reference", others, *where]
        with pytest.raises(ManifestError, match="M010"):
            say("measure", "--run", run, *words, "--out", tmp_path / "scores")


def test_an_error_is_one_line_on_the_error_stream(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.argv", ["medgan", "status", str(tmp_path / "[/absent].yaml")])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1
    out, err = capsys.readouterr()
    assert not out
    assert err.strip().splitlines() == [f"SettingsError[S000]: {tmp_path / '[/absent].yaml'}: no such study file"]
