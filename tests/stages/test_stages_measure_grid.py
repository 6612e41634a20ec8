"""Pairs are compared where they lie in space, not by the order of their voxels."""

import numpy as np
import pytest

from medgan.errors import GeometryError
from medgan.imaging.geometry import Geometry, reorient
from medgan.imaging.image import Image, StoredAs
from medgan.stages.measure import same_grid

STORED = StoredAs(format="nifti", dtype="int16", unit="a.u.")
AFFINE = np.array([[0.0, 0.0, -1.0, 9.0], [0.0, 2.0, 0.0, -4.0], [3.0, 0.0, 0.0, 5.0], [0.0, 0.0, 0.0, 1.0]])


def volume(affine: np.ndarray = AFFINE) -> Image:
    pixels = np.arange(3 * 4 * 5, dtype=np.int16).reshape(1, 3, 4, 5)
    return Image(pixels=pixels, stored=STORED, geometry=Geometry(affine))


def test_a_volume_stored_with_its_axes_reversed_is_the_same_volume() -> None:
    image = volume()
    assert image.geometry is not None
    turned, geometry = reorient(image.pixels, image.geometry, axis_codes="IAR")
    reference = Image(pixels=turned, stored=STORED, geometry=geometry)
    field = turned[0] > 7
    found, found_field = same_grid(reference, field, like=image, where="case x")
    np.testing.assert_array_equal(found.pixels, image.pixels)
    np.testing.assert_array_equal(found_field, image.pixels[0] > 7)


def test_another_place_or_shape_is_refused() -> None:
    image, field = volume(), np.ones((3, 4, 5), dtype=bool)
    moved = AFFINE.copy()
    moved[0, 3] += 1.0
    with pytest.raises(GeometryError, match="G004"):
        same_grid(volume(moved), field, like=image, where="case x")
    smaller = Image(pixels=image.pixels[:, :2], stored=STORED, geometry=image.geometry)
    with pytest.raises(GeometryError, match="G003"):
        same_grid(smaller, field[:2], like=image, where="case x")
