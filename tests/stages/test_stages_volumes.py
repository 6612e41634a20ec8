"""Volumes go through in slabs, one case is written while the next is computed, and neither shows in what comes out."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medgan.errors import GeometryError, ReadError, WriteError
from medgan.imaging.image import Image
from medgan.imaging.intensity import Window
from medgan.imaging.read import read_image
from medgan.manifests.manifest import Case, Manifest, read_manifest
from medgan.methods.cyclegan import CycleGAN, CycleGANRecipe
from medgan.methods.histogram_matching import HistogramMatching, HistogramMatchingRecipe
from medgan.methods.identity import Identity, IdentityRecipe
from medgan.settings.preparation import Preparation
from medgan.stages import translate
from medgan.stages.trained import TrainedTranslator
from medgan.stages.translate import translate_manifest
from medgan.stages.writer import WriterBehind
from medgan.training.inference import ready_for_inference
from medgan.training.translator import SampleShape, Translator
from medgan.transforms import slabs
from medgan.transforms.prepare import prepare, restore

HU = Window(low=-1024, high=3071, unit="HU")
OTHER = Window(low=0, high=900, unit="a.u.")
TURNED = np.array([[0, 0, -0.9, 40], [0.8, 0, 0, -3], [0, 1.1, 0, 7], [0, 0, 0, 1.0]])


def cyclegan(*, neighbours: int = 1) -> Translator:
    torch.manual_seed(0)
    recipe = CycleGANRecipe(generator_width=8, blocks=2, discriminator_width=4, patch=16, neighbours=neighbours)
    return CycleGAN(recipe, shape=SampleShape(channels=1, neighbours=neighbours, size_px=32))


def opened(
    learner: Translator, *, precision: str = "fp32", preset: str = "ct", target: Window = HU, **preparation: object
) -> TrainedTranslator:
    cpu = torch.device("cpu")
    return TrainedTranslator(
        learner=ready_for_inference(learner, precision=precision, device=cpu),
        preparation=Preparation(preset=preset, **preparation),
        source="a",
        target="b",
        windows={"a": HU, "b": target},
        weights_sha256="0" * 64,
        method="cyclegan",
        device=cpu,
        directions=learner.directions,
        precision=precision,
    )


def identity() -> Translator:
    return Identity(IdentityRecipe(), shape=SampleShape(channels=1, neighbours=1, size_px=32))


@pytest.fixture
def volume(make_nifti, rng) -> Image:
    """Eleven odd-sized slices in an order of their own, some values beyond the window."""
    array = rng.integers(-1200, 3400, size=(29, 11, 34)).astype(np.int16)
    return read_image(make_nifti(array, TURNED))


@pytest.fixture
def thin(monkeypatch) -> None:
    """Slabs of two slices."""
    monkeypatch.setattr(slabs, "SLAB_VOXELS", 2 * 29 * 34)


def in_one_piece(trained: TrainedTranslator, image: Image) -> Image:
    """As a translation without slabs does it."""
    prepared = prepare(image, trained.preparation)
    pixels = trained.translate_array(prepared.pixels)
    window = trained.windows[trained.target]
    return restore(pixels, prepared.trace, source=image, prepared_source=prepared.pixels, window=window)


class TestSlabs:
    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    @pytest.mark.parametrize("neighbours", [1, 3, 5])
    @pytest.mark.parametrize("target", [HU, OTHER], ids=["same", "other window"])
    def test_they_make_the_whole(self, volume, thin, neighbours, target, precision):
        trained = opened(cyclegan(neighbours=neighbours), target=target, precision=precision)
        made = trained.translate(volume)
        np.testing.assert_array_equal(made.pixels, in_one_piece(trained, volume).pixels)
        assert (made.geometry, made.pixels.dtype) == (volume.geometry, np.int16)
        assert not np.array_equal(made.pixels, volume.pixels)

    @pytest.mark.parametrize("preset", ["ct", "mr"])
    def test_they_make_the_whole_where_it_is_resampled(self, volume, thin, preset):
        trained = opened(cyclegan(), preset=preset, spacing_mm=(2.0, 1.0, 1.0))
        np.testing.assert_array_equal(trained.translate(volume).pixels, in_one_piece(trained, volume).pixels)

    def test_the_identity_gives_every_voxel_back(self, volume, thin):
        np.testing.assert_array_equal(opened(identity()).translate(volume).pixels, volume.pixels)

    def test_a_type_that_is_too_small_is_widened(self, make_nifti, rng, thin):
        image = read_image(make_nifti(rng.integers(0, 200, size=(29, 34, 5)).astype(np.uint8)))
        below_zero = Window(low=-500, high=500, unit="a.u.")
        made = opened(cyclegan(), target=below_zero).translate(image)
        assert (made.pixels.dtype, made.stored.dtype) == (np.float32, "float32")
        assert any("uint8 cannot hold" in note for note in made.stored.notes)

    def test_a_method_that_matches_histograms_goes_through_as_well(self, volume, thin):
        learner = HistogramMatching(HistogramMatchingRecipe(), shape=SampleShape(channels=1, neighbours=1, size_px=32))
        samples = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
        learner.fit(samples, samples)
        trained = opened(learner)
        np.testing.assert_array_equal(trained.translate(volume).pixels, in_one_piece(trained, volume).pixels)
        assert trained.computed_in is None

    def test_a_preset_for_photographs_is_refused(self, volume):
        with pytest.raises(GeometryError, match="G021"):
            opened(identity(), preset="photograph").translate(volume)


class TestBatches:
    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    @pytest.mark.parametrize("batch_size", [1, 3, 8])
    def test_a_slice_is_the_same_whatever_stands_beside_it(self, rng, precision, batch_size):
        trained = opened(cyclegan(), precision=precision)
        prepared = rng.uniform(-1, 1, size=(1, 7, 30, 45)).astype(np.float32)
        whole = trained.translate_array(prepared, batch_size=batch_size)
        for index in (0, 3, 6):
            alone = trained.translate_array(prepared[:, index : index + 1], batch_size=batch_size)
            np.testing.assert_array_equal(alone[:, 0], whole[:, index])

    @pytest.mark.parametrize("neighbours", [1, 3])
    def test_a_volume_is_the_same_on_any_number_of_threads(self, rng, neighbours):
        trained = opened(cyclegan(neighbours=neighbours))
        prepared = rng.uniform(-1, 1, size=(1, 7, 44, 52)).astype(np.float32)
        one = trained.translate_array(prepared)
        try:
            torch.set_num_threads(3)
            several = trained.translate_array(prepared)
            assert torch.get_num_threads() == 3
        finally:
            torch.set_num_threads(1)
        np.testing.assert_array_equal(one, several)

    def test_what_goes_wrong_on_a_thread_is_raised(self, rng):
        class Broken(Identity):
            def translate(self, image, *, to):
                raise RuntimeError("no memory")

        trained = opened(Broken(IdentityRecipe(), shape=SampleShape(channels=1, neighbours=1, size_px=32)))
        try:
            torch.set_num_threads(2)
            with pytest.raises(RuntimeError, match="no memory"):
                trained.translate_array(np.zeros((1, 3, 8, 8), np.float32))
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(1)

    def test_fp32_is_what_the_network_gives(self, rng):
        prepared = rng.uniform(-1, 1, size=(1, 2, 32, 44)).astype(np.float32)
        plain = cyclegan().eval()
        with torch.inference_mode():
            expected = plain.translate(torch.from_numpy(prepared[0][:, None]), to="b")
        made = opened(cyclegan()).translate_array(prepared)
        np.testing.assert_allclose(made[0], expected[:, 0].numpy(), atol=1e-5, rtol=0)

    def test_a_memory_map_is_read_slice_by_slice(self, rng, tmp_path):
        prepared = rng.uniform(-1, 1, size=(1, 4, 16, 16)).astype(np.float32)
        np.save(tmp_path / "prepared.npy", prepared)
        trained = opened(cyclegan(neighbours=3))
        mapped = np.load(tmp_path / "prepared.npy", mmap_mode="r")
        np.testing.assert_array_equal(trained.translate_array(mapped), trained.translate_array(prepared))


@pytest.fixture
def study(make_nifti, rng) -> Manifest:
    """Three CTs."""
    names = ["a.nii.gz", "b.nii.gz", "c.nii.gz"]
    paths = [make_nifti(rng.integers(-1000, 2000, size=(16, 16, 3)).astype(np.int16), name=name) for name in names]
    cases = tuple(Case(case_id=p.name[0], subject_id=p.name[0], domain="a", image=p.name) for p in paths)
    return Manifest(cases=cases, root=paths[0].parent)


class TestWriting:
    def test_files_and_manifest_are_the_same_as_one_after_the_other(self, study, tmp_path):
        trained = opened(cyclegan())
        done = translate_manifest(trained, study, tmp_path / "out")
        assert [case.case_id for case in done] == ["a", "b", "c"]
        for before, after in zip(study, done, strict=True):
            expected = trained.translate(read_image(study.image_path(before)))
            np.testing.assert_array_equal(read_image(done.image_path(after)).pixels, expected.pixels)

    def test_the_manifest_says_how_it_was_computed(self, study, tmp_path):
        for precision in ("fp32", "bf16"):
            trained = opened(cyclegan(), precision=precision)
            translate_manifest(trained, study, tmp_path / precision, cases=study.cases[:1])
            folder = tmp_path / precision
            assert read_manifest(folder / "manifest.csv", root=folder).precision == precision
            assert str(trained.derivation).endswith(f"computed in {precision}")
        translate_manifest(opened(identity()), study, tmp_path / "none", cases=study.cases[:1])
        assert read_manifest(tmp_path / "none" / "manifest.csv", root=tmp_path).precision is None

    def test_what_goes_wrong_in_writing_names_its_case(self, study, tmp_path, monkeypatch):
        """The disk fills up at the second case; the first is whole, of the second nothing is left."""
        real = translate.write_image

        def full(image: Image, path: Path, **options: object) -> int:
            if path.name.startswith("b"):
                path.with_name(f".half.{path.name}").write_bytes(b"half")
                path.with_name(f".half.{path.name}").unlink()
                raise WriteError("W001", "cannot write", where=str(path), got="no space left")
            return real(image, path, **options)

        monkeypatch.setattr(translate, "write_image", full)
        with pytest.raises(WriteError, match=r"W001.*case b"):
            translate_manifest(opened(identity()), study, tmp_path / "out")
        assert [path.name for path in (tmp_path / "out" / "images").iterdir()] == ["a.nii.gz"]
        assert not (tmp_path / "out" / "manifest.csv").exists()

    def test_a_case_that_is_computed_is_written_though_the_next_cannot_be_read(self, study, tmp_path):
        study.image_path(study.cases[1]).write_bytes(b"no volume")
        with pytest.raises(ReadError, match="case b"):
            translate_manifest(opened(identity()), study, tmp_path / "out")
        assert [path.name for path in (tmp_path / "out" / "images").iterdir()] == ["a.nii.gz"]

    def test_an_interrupted_one_goes_on(self, study, tmp_path):
        trained = opened(identity())
        translate_manifest(trained, study, tmp_path, cases=study.cases[:2])
        before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "images").iterdir()}
        translate_manifest(trained, study, tmp_path, go_on=True)
        after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "images").iterdir()}
        assert set(after) == {"a.nii.gz", "b.nii.gz", "c.nii.gz"}
        assert before.items() <= after.items()

    def test_a_case_is_written_while_the_next_is_computed(self, study, tmp_path, monkeypatch):
        """The writer of the first case waits until the second is being computed, which it else never would be."""
        computing, seen, real = threading.Event(), [], translate.write_image

        def wait(image: Image, path: Path, **options: object) -> int:
            if path.name.startswith("a"):
                seen.append(computing.wait(timeout=30))
            return real(image, path, **options)

        class Watched(Identity):
            calls = 0

            def translate(self, image, *, to):
                Watched.calls += 1
                if Watched.calls > 3:  # a case has three slices
                    computing.set()
                return super().translate(image, to=to)

        monkeypatch.setattr(translate, "write_image", wait)
        learner = Watched(IdentityRecipe(), shape=SampleShape(channels=1, neighbours=1, size_px=32))
        translate_manifest(opened(learner), study, tmp_path / "out")
        assert seen == [True]


class TestWriterBehind:
    def test_no_more_than_one_case_waits(self):
        order, release = [], threading.Event()

        def slow() -> None:
            release.wait(timeout=30)
            order.append("slow")

        with WriterBehind() as writer:
            writer.hand_over(slow)
            writer.begin()
            threading.Timer(0.05, release.set).start()
            writer.hand_over(lambda: order.append("next"))
            assert order == ["slow"]
        assert order == ["slow", "next"]

    def test_an_error_is_raised_at_the_end_too(self):
        def broken() -> None:
            raise OSError("full")

        with pytest.raises(OSError, match="full"), WriterBehind() as writer:
            writer.hand_over(broken)

    def test_its_thread_ends(self):
        before = threading.active_count()
        with WriterBehind() as writer:
            writer.hand_over(lambda: None)
            writer.begin()
        assert threading.active_count() == before


def test_replaced_windows_do_not_reach_photographs(make_photograph, rng):
    image = read_image(make_photograph(rng.integers(0, 255, size=(20, 24)).astype(np.uint8)))
    trained = replace(opened(identity(), preset="photograph", size_px=32), windows={"a": OTHER, "b": OTHER})
    np.testing.assert_array_equal(trained.translate(image).pixels, image.pixels)
