"""Grids, reorientation and the intensity window, each with its inverse."""

import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgan.errors import GeometryError, IntensityError
from medgan.imaging.geometry import Geometry, reorient
from medgan.imaging.intensity import Window

CODES = [
    "".join(flip[axis] for flip, axis in zip(flips, order, strict=True))
    for order in itertools.permutations(range(3))
    for flips in itertools.product(("LPI", "RAS"), repeat=3)
]


def grid(codes: str, spacing=(1.0, 2.0, 3.0)) -> Geometry:
    turn = nib.orientations.inv_ornt_aff(nib.orientations.axcodes2ornt(tuple(codes)), (4, 5, 6))
    return Geometry(turn @ np.diag([*spacing, 1.0]))


@pytest.mark.parametrize("codes", CODES)
def test_reorientation_moves_no_voxel_in_space_and_is_undone(codes):
    array = np.arange(120).reshape(1, 4, 5, 6)
    geometry = grid(codes)
    turned, there = reorient(array, geometry, axis_codes="SPL")
    assert there.axis_codes == "SPL"
    index = np.array([1, 2, 3, 1])
    place = np.rint(np.linalg.inv(there.affine) @ geometry.affine @ index).astype(int)
    assert turned[0, place[0], place[1], place[2]] == array[0, 1, 2, 3]
    back, here = reorient(turned, there, axis_codes=geometry.axis_codes)
    np.testing.assert_array_equal(back, array)
    np.testing.assert_allclose(here.affine, geometry.affine, atol=1e-9)


@pytest.mark.parametrize(("value", "code"), [(np.nan, "G010"), (0.0, "G011")])
def test_impossible_grids_are_refused(value, code):
    affine = np.eye(4)
    affine[1, 1] = value
    with pytest.raises(GeometryError, match=code):
        Geometry(affine)


def test_sheared_grid_is_refused():
    affine = np.eye(4)
    affine[0, 1] = 0.01
    with pytest.raises(GeometryError, match="G012"):
        Geometry(affine)


@given(st.floats(-1e4, 1e4), st.floats(1.0, 1e4), st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_window_is_undone_inside(low, width, shares):
    window = Window(low=low, high=low + width, unit="a.u.")
    values = low + width * np.array(shares)
    unit = window.to_unit(values)
    assert unit.min() >= -1
    assert unit.max() <= 1
    np.testing.assert_allclose(window.from_unit(unit), values, atol=1e-6 * width + 1e-9)
    assert window.clipped_share([low - width, low + width / 2]) == 0.5


def test_every_sixteen_bit_level_survives_the_window():
    window, levels = Window(low=0, high=65535, unit="level"), np.arange(65536)
    np.testing.assert_array_equal(np.rint(window.from_unit(window.to_unit(levels))), levels)


def test_empty_window_is_refused():
    with pytest.raises(IntensityError, match="I001"):
        Window(low=3, high=3, unit="HU")
