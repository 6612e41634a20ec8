"""A trained translator as a MONAI transform."""

import pickle

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset
from monai.data.meta_tensor import MetaTensor
from monai.transforms import Compose, Flipd, RandFlipd
from tiny_studies import finished_brains, finished_lesions

import medgan
from medgan.errors import CheckpointError, GeometryError
from medgan.settings.study import read_study
from medgan.stages.trained import open_run
from medgan.transforms.translation import RandDomainTranslated

__all__ = ["finished_brains", "finished_lesions"]


@pytest.fixture(scope="module")
def run(finished_lesions):
    """A CycleGAN's run on colour photographs."""
    return read_study(finished_lesions).output / "fold0" / "seed0" / "train" / "cyclegan"


@pytest.fixture(scope="module")
def brains(finished_brains):
    """A histogram matching's run on grey volumes."""
    return read_study(finished_brains).output / "fold0" / "seed0" / "train" / "histogram"


@pytest.fixture
def image():
    generator = torch.Generator().manual_seed(0)
    return torch.rand((3, 30, 34), generator=generator) * 2 - 1


def sample(image):
    return {"image": image, "label": torch.arange(30 * 34).reshape(1, 30, 34), "name": "case"}


def test_it_is_a_public_name():
    assert medgan.RandDomainTranslated is RandDomainTranslated


def test_probability_1_gives_what_the_run_gives(run, image):
    out = RandDomainTranslated("image", run, prob=1.0)(sample(image))
    expected = open_run(run).translate_array(image.numpy())
    np.testing.assert_array_equal(out["image"].numpy(), expected)
    assert out["image"].shape == image.shape
    assert out["image"].dtype == image.dtype
    assert out["image"].abs().max() <= 1
    assert not torch.equal(out["image"], image)


def test_probability_0_leaves_the_sample_as_it_is(run, image):
    before = sample(image)
    out = RandDomainTranslated("image", run, prob=0.0)(before)
    assert out["image"] is image
    assert out == before


def test_labels_and_the_input_are_not_touched(run, image):
    before, copy = sample(image), image.clone()
    out = RandDomainTranslated("image", run, prob=1.0)(before)
    assert out["label"] is before["label"]
    assert out["name"] == "case"
    assert before["image"] is image
    assert torch.equal(image, copy)


def test_a_seeded_chain_repeats(run, image):
    def draws(seed):
        chain = Compose(
            [RandDomainTranslated("image", run, prob=0.5), RandFlipd(["image", "label"], prob=0.5, spatial_axis=1)]
        )
        chain.set_random_state(seed=seed)
        return [chain(sample(image))["image"].numpy() for _ in range(8)]

    one, two, other = draws(0), draws(0), draws(1)
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert len({a.tobytes() for a in one}) == 4, "translated or not, flipped or not"
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_one_draw_for_all_keys(run, image):
    transform = RandDomainTranslated(["image", "second"], run, prob=0.5)
    transform.set_random_state(seed=0)
    outs = [transform({"image": image, "second": image.flip(1)}) for _ in range(8)]
    moved = [[not torch.equal(out["image"], image), not torch.equal(out["second"], image.flip(1))] for out in outs]
    assert [True, True] in moved
    assert [False, False] in moved
    assert all(first == second for first, second in moved)


def test_metadata_and_the_way_back_are_kept(run, image):
    affine = torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0], dtype=torch.float64))
    given = MetaTensor(image, affine=affine, meta={"filename_or_obj": "x.png"})
    flip = Flipd("image", spatial_axis=0)
    out = RandDomainTranslated("image", run, prob=1.0)(flip({"image": given}))
    assert isinstance(out["image"], MetaTensor)
    torch.testing.assert_close(out["image"].affine, flip({"image": given})["image"].affine)
    assert out["image"].meta["filename_or_obj"] == "x.png"
    back = flip.inverse(out)["image"]
    torch.testing.assert_close(back.affine, given.affine)
    torch.testing.assert_close(back.as_tensor(), out["image"].as_tensor().flip(1))


def test_volumes_go_through_slice_by_slice(brains):
    volume = torch.rand((1, 5, 20, 24), generator=torch.Generator().manual_seed(0)) * 2 - 1
    out = RandDomainTranslated("image", brains, prob=1.0)({"image": volume})["image"]
    assert out.shape == volume.shape
    for index in range(5):
        one = RandDomainTranslated("image", brains, prob=1.0)({"image": volume[:, index]})["image"]
        assert torch.equal(one, out[:, index])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_the_type_is_kept(run, image, dtype):
    out = RandDomainTranslated("image", run, prob=1.0)({"image": image.to(dtype)})["image"]
    assert out.dtype == dtype


def test_numpy_stays_numpy(run, image):
    out = RandDomainTranslated("image", run, prob=1.0)({"image": image.numpy().astype(np.float64)})["image"]
    assert isinstance(out, np.ndarray)
    assert out.dtype == np.float64


@pytest.mark.parametrize("value", [1.5, -1.01, 255.0, float("nan"), float("inf")])
def test_values_that_are_not_prepared_are_refused(run, image, value):
    image[0, 3, 3] = value
    with pytest.raises(GeometryError, match=r"G006.*image: the image is not prepared"):
        RandDomainTranslated("image", run, prob=1.0)({"image": image})


def test_another_number_of_channels(run):
    with pytest.raises(GeometryError, match="G005"):
        RandDomainTranslated("image", run, prob=1.0)({"image": torch.zeros(1, 32, 32)})


def test_the_way_back_and_a_way_that_is_not(run, brains, image):
    back = RandDomainTranslated("image", run, prob=1.0, to="dermoscopy")({"image": image})["image"]
    there = RandDomainTranslated("image", run, prob=1.0, to="clinical")({"image": image})["image"]
    assert not torch.equal(back, there)
    with pytest.raises(CheckpointError, match=r"C004.*does not translate in this direction"):
        RandDomainTranslated("image", run, prob=1.0, to="mars")({"image": image})


def test_a_run_without_weights(tmp_path, image):
    with pytest.raises(CheckpointError, match="C001"):
        RandDomainTranslated("image", tmp_path, prob=1.0)({"image": image})


def test_missing_keys(run, image):
    with pytest.raises(KeyError, match="other"):
        RandDomainTranslated(["image", "other"], run, prob=1.0)({"image": image})
    out = RandDomainTranslated(["image", "other"], run, prob=1.0, allow_missing_keys=True)({"image": image})
    assert set(out) == {"image"}


def test_it_pickles_without_its_networks(run, image):
    transform = RandDomainTranslated("image", run, prob=1.0)
    small = len(pickle.dumps(transform))
    out = transform({"image": image})["image"]
    assert len(pickle.dumps(transform)) < small + 100
    again = pickle.loads(pickle.dumps(transform))  # noqa: S301
    assert torch.equal(again({"image": image})["image"], out)


@pytest.mark.multiprocess
def test_in_a_loader_with_processes(run, image):
    data = Dataset([{"image": image}] * 4, RandDomainTranslated("image", run, prob=1.0))
    loader = DataLoader(data, batch_size=2, num_workers=1, multiprocessing_context="spawn")
    expected = RandDomainTranslated("image", run, prob=1.0)({"image": image})["image"]
    for batch in loader:
        torch.testing.assert_close(batch["image"], torch.stack([expected] * 2), atol=1e-5, rtol=1e-4)
