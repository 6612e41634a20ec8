"""2.5D stacks, padding and squares, each with its inverse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgan.errors import GeometryError
from medgan.imaging.slices import crop_back, fit_square, neighbour_stack, pad_to_multiple, unfit_square


def test_stack_is_slice_major_and_repeats_the_edge():
    volume = np.arange(2 * 4 * 2 * 3).reshape(2, 4, 2, 3)
    stack = neighbour_stack(volume, 0, neighbours=3)
    np.testing.assert_array_equal(stack, np.concatenate([volume[:, 0], volume[:, 0], volume[:, 1]]))
    stack = neighbour_stack(volume, 3, neighbours=5)
    np.testing.assert_array_equal(stack, np.concatenate([volume[:, k] for k in (1, 2, 3, 3, 3)]))


def test_stack_of_one_is_the_slice_and_a_copy(tmp_path):
    np.save(tmp_path / "v.npy", np.arange(24.0).reshape(1, 4, 2, 3))
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    stack = neighbour_stack(mapped, 2, neighbours=1)
    np.testing.assert_array_equal(stack, mapped[:, 2])
    assert not isinstance(stack, np.memmap)
    assert stack.flags.writeable


@pytest.mark.parametrize(("index", "neighbours"), [(4, 3), (-1, 3), (0, 2), (0, 0)])
def test_impossible_stacks_are_refused(index, neighbours):
    with pytest.raises(GeometryError, match="G030"):
        neighbour_stack(np.zeros((1, 4, 2, 2)), index, neighbours=neighbours)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 8))
def test_padding_is_undone(height, width, multiple):
    array = np.arange(2.0 * height * width).reshape(2, height, width)
    padded, margins = pad_to_multiple(array, multiple)
    assert padded.shape[1] % multiple == padded.shape[2] % multiple == 0
    assert padded.shape[1] - height < multiple
    np.testing.assert_array_equal(crop_back(padded, margins), array)


def test_padding_reflects_where_it_can():
    padded, _ = pad_to_multiple(np.array([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]), 8)
    np.testing.assert_array_equal(padded[0], [2, 1, 2, 3, 4, 5, 6, 5])


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_square_is_undone_where_nothing_was_cut(height, width, size):
    array = np.arange(1.0, 1 + height * width).reshape(1, height, width)
    square, margins = fit_square(array, size)
    assert square.shape == (1, size, size)
    back = unfit_square(square, margins)
    assert back.shape == array.shape
    kept = back != -1
    np.testing.assert_array_equal(back[kept], array[kept])
    assert kept.sum() == min(height, size) * min(width, size)
