import numpy as np
import pytest
import torch

from medgan.errors import ManifestError
from medgan.samples.labelled import LabelledSamples
from medgan.transforms.augment import build


def masked(make_case, number, shape=(12, 10)):
    """Mask 255 where the image is above 0; the image's first pixel says which case it is."""
    rng = np.random.default_rng(number)
    image = rng.uniform(-0.9, 0.9, (1, *shape)).astype(np.float32)
    return make_case(image, label=np.where(image[0] > 0, 255, 0).astype(np.uint8), grade=number % 3)


def samples_of(pools, **changes):
    settings = {"weights": [1] * len(pools), "target": "segmentation", "label_values": {0: 0, 255: 1}, "size_px": 16}
    return LabelledSamples(pools, **{**settings, "seed": 0, **changes})


def test_labels_follow_their_images_and_padding_is_never_valid(make_case):
    batch = samples_of([[masked(make_case, n) for n in range(4)]]).draw(0, 4)
    assert {name: (tuple(value.shape), value.dtype) for name, value in batch.items()} == {
        "image": ((4, 1, 16, 16), torch.float32),
        "label": ((4, 16, 16), torch.int64),
        "valid": ((4, 16, 16), torch.bool),
    }
    inside = torch.zeros(16, 16, dtype=torch.bool)
    inside[2:14, 3:13] = True
    assert (batch["valid"] == inside).all()
    assert torch.equal(batch["label"] == 1, (batch["image"][:, 0] > 0) & inside)
    assert (batch["image"][:, :, ~inside] == -1).all()
    assert (batch["label"][:, ~inside] == 0).all()


def test_valid_moves_with_an_augmentation(make_case):
    augment = build({"affine": {"rotation_degrees": 40, "shift": 0.3}, "intensity": {"noise": 0.3}, "flips": {}})
    samples = samples_of([[masked(make_case, n, (16, 16)) for n in range(3)]], augment=augment)
    for step in range(5):
        batch = samples.draw(step, 2)
        assert not batch["valid"].all()
        assert (batch["image"][:, 0][~batch["valid"]] == -1).all()
        assert (batch["label"][~batch["valid"]] == 0).all()
        assert batch["label"].max() == 1
        assert batch["image"].abs().max() <= 1


def test_a_draw_is_a_pure_function_of_the_step(make_case):
    pools = [[masked(make_case, n) for n in range(4)], [masked(make_case, 10)]]
    one, other = (samples_of(pools, augment=build({"affine": {}, "colour": {}}), size_px=8) for _ in range(2))
    one.draw(1, 3)
    first, again = one.draw(9, 3), other.draw(9, 3)
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.8, 0.2), (1, 2, 7), (0.301, 0.199, 0.5)])
def test_pools_get_their_share_of_every_stretch_and_each_its_epochs(make_case, weights):
    pools = [[masked(make_case, 10 * p + n) for n in range(3 + p)] for p in range(len(weights))]
    samples = samples_of(pools, weights=weights)
    places = [samples.place(i) for i in range(500)]
    for number, weight in enumerate(weights):
        share = weight / sum(weights)
        turns = [turn for pool, turn in places if pool == number]
        assert turns == list(range(len(turns)))
        for end in (10, 73, 500):
            taken = sum(pool == number for pool, _ in places[:end])
            assert abs(taken - share * end) < len(weights)


def test_a_pool_without_weight_is_never_drawn(make_case):
    never = make_case(np.full((1, 8, 8), 0.25), label=np.full((8, 8), 7))
    samples = samples_of([[never], [masked(make_case, 0)]], weights=[0, 1])
    assert not (samples.draw(0, 6)["image"] == 0.25).any()


def test_grades_come_one_for_each_image(make_case):
    cases = [masked(make_case, n) for n in range(6)]
    samples = samples_of([cases], target="grade", label_values={0: 0, 1: 1, 2: 2})
    batch = samples.draw(0, 6)
    assert batch["label"].dtype == torch.int64
    assert sorted(batch["label"].tolist()) == [0, 0, 1, 1, 2, 2]
    for image, label in zip(batch["image"], batch["label"], strict=True):
        number = next(n for n, case in enumerate(cases) if np.array_equal(image[:, 2:14, 3:13], case.pixels))
        assert label == number % 3
    assert batch["valid"].sum() == 6 * 12 * 10


def test_a_function_can_say_the_class(make_case):
    cases = [masked(make_case, n) for n in range(3)]
    samples = samples_of([cases], target=lambda case: int(case.grade > 1), label_values={0: 0, 1: 1})
    assert sorted(samples.draw(0, 3)["label"].tolist()) == [0, 0, 1]


def test_class_shares_count_pools_by_their_weight(make_case):
    pools = [[masked(make_case, n) for n in range(3)], [masked(make_case, 2)]]
    samples = samples_of(pools, weights=[3, 1], target="grade", label_values={0: 0, 1: 1, 2: 2})
    np.testing.assert_allclose(samples.class_shares(), [0.25, 0.25, 0.5])
    labels = torch.cat([samples.draw(step, 12)["label"] for step in range(4)])
    np.testing.assert_allclose(np.bincount(labels) / 48, [0.25, 0.25, 0.5])


def test_volumes_give_the_label_of_the_middle_slice(make_case):
    volume = np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1) / 10 * np.ones((1, 1, 8, 8), dtype=np.float32)
    case = make_case(volume, label=np.arange(4).reshape(4, 1, 1).repeat(8, 1).repeat(8, 2))
    samples = samples_of([[case]], size_px=8, neighbours=3, label_values={n: n for n in range(4)})
    batch = samples.draw(0, 4)
    assert batch["image"].shape == (4, 3, 8, 8)
    assert torch.equal((batch["image"][:, 1] * 10).round().long(), batch["label"])


def test_what_has_no_label_or_an_unknown_one_is_refused(make_case):
    bare = make_case(np.zeros((1, 8, 8)))
    with pytest.raises(ManifestError, match=r"M051.*case c0"):
        samples_of([[bare]])
    with pytest.raises(ManifestError, match=r"M051.*case c0"):
        samples_of([[bare]], target="quality")
    odd = make_case(np.zeros((1, 8, 8)), label=np.array([[0, 255] * 4] * 7 + [[3] * 8]), grade=4)
    with pytest.raises(ManifestError, match=r"M052.*case c1.*got 3.*0, 255"):
        samples_of([[odd]])
    with pytest.raises(ManifestError, match=r"M052.*got 4"):
        samples_of([[odd]], target="grade", label_values={0: 0, 1: 1})
    with pytest.raises(ValueError, match="weights of pools"):
        samples_of([[odd]], weights=[-1])


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.uint16])
def test_label_files_of_every_type_are_understood(make_case, dtype):
    label = np.array([[0, 5], [9, 5]], dtype=dtype)
    samples = samples_of(
        [[make_case(np.zeros((1, 2, 2)), label=label)]], size_px=2, label_values={0: 0, 5: 2, 9: 1, 70_000: 3}
    )
    assert samples.draw(0, 1)["label"].tolist() == [[[0, 2], [1, 2]]]
