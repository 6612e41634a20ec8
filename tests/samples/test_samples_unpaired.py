import hashlib

import numpy as np
import pytest
import torch

from medgan.errors import GeometryError, ManifestError
from medgan.samples.square import Square, place_square
from medgan.samples.unpaired import UnpairedSamples


def numbered(number, shape=(1, 8, 8)):
    """An image whose every pixel says which case it is."""
    return np.full(shape, number / 100)


@pytest.fixture
def photographs(make_case):
    return [make_case(numbered(n)) for n in range(5)], [make_case(numbered(10 + n)) for n in range(3)]


def samples_of(a, b, **changes):
    return UnpairedSamples(a, b, **{"neighbours": 1, "size_px": 8, "seed": 0, **changes})


def test_a_draw_is_a_pure_function_of_the_step(photographs):
    one = samples_of(*photographs, size_px=6, flips=("horizontal",))
    other = samples_of(*photographs, size_px=6, flips=("horizontal",))
    for step in (7, 0, 3):
        one.draw(step + 1, 4)
        first, again = one.draw(step, 4), other.draw(step, 4)
        assert all(torch.equal(first[domain], again[domain]) for domain in "ab")
    assert not all(
        torch.equal(one.draw(s, 4)["a"], samples_of(*photographs, size_px=6, seed=1).draw(s, 4)["a"]) for s in range(4)
    )


def test_every_slice_comes_once_an_epoch(photographs):
    samples = samples_of(*photographs)
    for domain, count, first in (("a", 5, 0), ("b", 3, 10)):
        drawn = [round(float(samples.draw(step, 1)[domain][0, 0, 0, 0]) * 100) for step in range(3 * count)]
        for epoch in range(3):
            assert sorted(drawn[epoch * count : (epoch + 1) * count]) == list(range(first, first + count))


def test_batches_of_another_size_hold_the_same_sequence(photographs):
    samples = samples_of(*photographs, size_px=5, flips=("horizontal", "vertical"))
    small = torch.cat([samples.draw(step, 1)["a"] for step in range(6)])
    large = torch.cat([samples.draw(step, 3)["a"] for step in range(2)])
    assert torch.equal(small, large)


def test_slices_without_field_are_left_out(make_case):
    volume = np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1) / 10 * np.ones((1, 1, 8, 8))
    field = np.zeros((4, 8, 8), dtype=bool)
    field[1], field[2, :1, :3], field[3, :1, :4] = True, True, True  # 100 %, 4.7 %, 6.25 %
    case = make_case(volume, field=field)
    samples = samples_of([case], [case])
    drawn = {round(float(samples.draw(step, 1)["a"].mean()) * 10) for step in range(8)}
    assert drawn == {1, 3}
    assert len(list(samples.each("a"))) == 2


def test_neighbours_stand_in_the_channels(make_case):
    volume = np.arange(5, dtype=np.float32).reshape(1, 5, 1, 1) / 10 * np.ones((2, 1, 8, 8))
    volume[1] += 0.05
    case = make_case(volume)
    samples = samples_of([case], [case], neighbours=3)
    batch = samples.draw(0, 5)["a"]
    assert batch.shape == (5, 6, 8, 8)
    for one in batch[:, :, 0, 0]:
        middle = round(float(one[2]) * 10)
        expected = [
            place / 10 + extra for place in (max(middle - 1, 0), middle, min(middle + 1, 4)) for extra in (0, 0.05)
        ]
        np.testing.assert_allclose(one, expected, atol=1e-6)


def test_small_images_are_padded_round_their_centre(make_case):
    case = make_case(np.full((3, 4, 6), 0.5))
    image = samples_of([case], [case], size_px=10).draw(0, 1)["b"][0]
    inside = torch.zeros(10, 10, dtype=torch.bool)
    inside[3:7, 2:8] = True
    assert (image[:, inside] == 0.5).all()
    assert (image[:, ~inside] == -1).all()


def test_flips_happen_along_the_axes_asked_for(make_case):
    ramp = np.linspace(-1, 1, 8)[None, None, :] * np.ones((1, 8, 1))
    case = make_case(ramp)
    seen = {
        float(samples_of([case], [case], flips=("horizontal",)).draw(step, 1)["a"][0, 0, 0, 0]) for step in range(20)
    }
    assert seen == {-1.0, 1.0}
    seen = {float(samples_of([case], [case], flips=("vertical",)).draw(step, 1)["a"][0, 0, 0, 0]) for step in range(20)}
    assert seen == {-1.0}


def test_what_cannot_be_batched_is_refused(make_case):
    grey, colour, volume = make_case(numbered(1)), make_case(np.zeros((3, 8, 8))), make_case(np.zeros((1, 3, 8, 8)))
    with pytest.raises(GeometryError, match="G040"):
        samples_of([grey], [colour])
    with pytest.raises(GeometryError, match="G040"):
        samples_of([grey], [volume])
    with pytest.raises(GeometryError, match="G041"):
        samples_of([grey], [grey], neighbours=3)
    with pytest.raises(GeometryError, match="G041"):
        samples_of([volume], [volume], neighbours=2)
    with pytest.raises(ManifestError, match="M050"):
        samples_of([grey], [])


def test_a_square_covers_every_place():
    rng = np.random.default_rng(0)
    tops = {place_square((1, 10, 8), 8, rng).top for _ in range(100)}
    assert tops == {0, 1, 2}
    assert place_square((5, 12), 8, rng).top == -1
    array = np.arange(12).reshape(1, 3, 4)
    np.testing.assert_array_equal(Square(top=1, left=-1, size_px=2).cut(array, fill=9), [[[9, 4], [9, 8]]])


def test_a_third_domain_leaves_the_draws_of_two_as_they_were(photographs, make_case):
    a, b = photographs
    two = samples_of(a, b, size_px=6, flips=("horizontal",))
    more = UnpairedSamples(
        a, b, [make_case(numbered(20 + n)) for n in range(4)], neighbours=1, size_px=6, flips=("horizontal",), seed=0
    )
    for step in range(6):
        one, other = two.draw(step, 3), more.draw(step, 3)
        assert list(other) == ["a", "b", "c"]
        assert all(torch.equal(one[domain], other[domain]) for domain in "ab")
        assert other["c"].shape == (3, 1, 6, 6)
    assert len(list(more.each("c"))) == 4


def test_the_draws_of_two_domains_are_those_that_runs_were_trained_on(make_case):
    """Written down before there were more domains: a run that goes on must go on with the same samples."""
    rng = np.random.default_rng(0)
    a, b = ([make_case(rng.integers(0, 100, (1, 8, 8)) / 100) for _ in range(count)] for count in (5, 3))
    samples = samples_of(a, b, size_px=5, flips=("horizontal", "vertical"))
    digest = hashlib.sha256()
    for step in range(12):
        for tensor in samples.draw(step, 2).values():
            digest.update((tensor.double() * 100).round().to(torch.uint8).numpy().tobytes())
    assert digest.hexdigest()[:16] == "5eecc05a20c72e6f"
