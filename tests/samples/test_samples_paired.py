import numpy as np
import pytest
import torch

from medgan.errors import GeometryError, ManifestError
from medgan.samples.paired import PairedSamples


@pytest.fixture
def pairs(make_case):
    rng = np.random.default_rng(0)
    images = [rng.uniform(-1, 1, (1, 12, 14)).astype(np.float32) for _ in range(4)]
    a = [make_case(image, pair_id=f"p{n}") for n, image in enumerate(images)]
    b = [make_case(np.negative(image), pair_id=f"p{n}", domain="b") for n, image in enumerate(images)]
    return a, b[::-1]


def samples_of(a, b, **changes):
    return PairedSamples(
        a, b, **{"neighbours": 1, "size_px": 8, "flips": ("horizontal", "vertical"), "seed": 0, **changes}
    )


def test_partners_stay_aligned_through_crop_and_flips(pairs):
    samples = samples_of(*pairs)
    batches = [samples.draw(step, 4) for step in range(6)]
    assert all(torch.equal(batch["a"], -batch["b"]) for batch in batches)
    assert not torch.equal(batches[0]["a"], batches[1]["a"])


def test_a_draw_is_a_pure_function_of_the_step(pairs):
    one, other = samples_of(*pairs), samples_of(*pairs)
    one.draw(0, 3)
    assert all(torch.equal(one.draw(5, 3)[domain], other.draw(5, 3)[domain]) for domain in "ab")


def test_padding_is_minus_one_on_both_sides(pairs):
    batch = samples_of(*pairs, size_px=16, flips=()).draw(0, 1)
    for domain in "ab":
        assert (batch[domain][0, 0, :2] == -1).all()
        assert (batch[domain][0, 0, :, 0] == -1).all()


def test_every_pair_comes_once_an_epoch(pairs):
    samples = samples_of(*pairs, size_px=16, flips=())
    seen = {float(samples.draw(step, 1)["a"][0, 0, 8, 8]) for step in range(4)}
    assert len(seen) == 4


def test_slices_must_show_something_on_both_sides(make_case):
    volume = np.zeros((1, 3, 8, 8), dtype=np.float32)
    field_a, field_b = np.ones((3, 8, 8), dtype=bool), np.ones((3, 8, 8), dtype=bool)
    field_a[0] = False
    field_b[2] = False
    a, b = make_case(volume, field=field_a, pair_id="p"), make_case(volume, field=field_b, pair_id="p")
    assert len(list(samples_of([a], [b]).each("a"))) == 1
    field_b[:] = False
    with pytest.raises(ManifestError, match="M050"):
        samples_of([a], [make_case(volume, field=field_b, pair_id="p")])


def test_each_gives_whole_partners_in_the_same_order(pairs):
    samples = samples_of(*pairs)
    for one, other in zip(samples.each("a"), samples.each("b"), strict=True):
        assert one.shape == (1, 12, 14)
        assert torch.equal(one, -other)


def test_a_missing_partner_is_an_error(pairs, make_case):
    a, b = pairs
    with pytest.raises(ManifestError, match=r"M010.*pair_id 'p\d'.*no case in domain b"):
        samples_of(a, b[:-1])
    with pytest.raises(ManifestError, match=r"M010.*no case in domain a"):
        samples_of(a[:-1], b)
    with pytest.raises(ManifestError, match=r"M010.*stands twice"):
        samples_of([*a, a[0]], b)
    with pytest.raises(ManifestError, match=r"M010.*no pair_id"):
        samples_of([*a, make_case(np.zeros((1, 12, 14)))], b)


def test_partners_of_another_shape_are_an_error(pairs, make_case):
    a, b = pairs
    with pytest.raises(GeometryError, match=r"G003.*\(1, 12, 13\).*\(1, 12, 14\)"):
        samples_of(
            [*a, make_case(np.zeros((1, 12, 14)), pair_id="q")], [*b, make_case(np.zeros((1, 12, 13)), pair_id="q")]
        )
