"""From a NIfTI file to the network's range and back into a file: every bit of integers, every orientation and type."""

import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from medgan.errors import GeometryError
from medgan.imaging.geometry import Geometry, reorient, turn_back
from medgan.imaging.read import read_image
from medgan.imaging.write import write_image
from medgan.settings.preparation import Preparation
from medgan.transforms.prepare import prepare, restore, restore_label
from medgan.transforms.resample import grid_of_spacing, resample

ORIENTATIONS = [
    (order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((-1, 1), repeat=3)
]
ANGLES = [0.0, 0.2, -0.4, np.pi / 4, -np.pi / 4, 0.7854, 1.1]
DTYPES = ["u1", "i2", "u2", "i4", "f4"]
RESCALES = [(1.0, 0.0), (0.5, -3.0), (-2.0, 7.0), (0.01, 1e5), (1.0, -1024.0)]


@st.composite
def sources(draw):
    """A NIfTI image: orientation, oblique angles, spacing, type, rescale, byte order and version."""
    order, signs = draw(st.sampled_from(ORIENTATIONS))
    turn = nib.eulerangles.euler2mat(*(draw(st.sampled_from(ANGLES)) for _ in range(3)))
    spacing = np.array([draw(st.sampled_from([0.35, 1.0, 1.2, 3.3])) for _ in range(3)])
    affine = nib.affines.from_matvec(turn @ np.eye(3)[:, order] @ np.diag(spacing * signs), [12.5, -80, 33])
    shape = tuple(draw(st.sampled_from([1, 3, 4, 5])) for _ in range(3))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    dtype = np.dtype(draw(st.sampled_from(DTYPES))).newbyteorder(draw(st.sampled_from("<>")))
    kind = draw(st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]))
    header = kind.header_class(endianness=dtype.byteorder if dtype.itemsize > 1 else "<")
    header.set_data_dtype(dtype)
    values = rng.integers(0, 255 if dtype.itemsize == 1 else 2400, size=shape).astype(dtype)
    values.flat[0] = 0
    values.flat[-1] = 200  # never constant, unless there is one voxel alone
    image = kind(values, affine, header)
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=draw(st.sampled_from([0, 1, 4])))
    image.header.set_slope_inter(*draw(st.sampled_from(RESCALES if dtype.kind != "f" else RESCALES[:1])))
    return image


def saved(image, path):
    """Save stored numbers as they are, with the rescale that the header names."""
    slope, intercept = image.header["scl_slope"].item(), image.header["scl_inter"].item()
    image.header.set_slope_inter(1, 0)
    nib.save(image, path)
    raw = bytearray(path.read_bytes())
    order, wide = image.header.endianness, len(image.header.binaryblock) == 540
    place, kind = (176, "f8") if wide else (112, "f4")
    rescale = np.array([slope, intercept], dtype=order + kind).tobytes()
    raw[place : place + len(rescale)] = rescale
    path.write_bytes(bytes(raw))
    return path


FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FEW
@given(source=sources())
def test_read_is_what_nibabel_reads(tmp_path, source):
    path = saved(source, tmp_path / "s.nii")
    image, other = read_image(path), nib.load(path)
    np.testing.assert_array_equal(image.pixels[0].T, np.asarray(other.dataobj).astype(image.pixels.dtype))
    np.testing.assert_allclose(image.geometry.affine[:, [2, 1, 0, 3]], other.affine, atol=1e-5)
    assert image.pixels.dtype.isnative


@FEW
@given(source=sources(), preset=st.sampled_from(["ct", "mr"]), suffix=st.sampled_from([".nii", ".nii.gz"]))
def test_the_identity_gives_every_bit_back(tmp_path, source, preset, suffix):
    path = saved(source, tmp_path / "s.nii")
    image = read_image(path)
    assume(np.ptp(image.pixels) > 0)
    rng = np.random.default_rng(3)
    label = rng.integers(0, 2**31 - 1, size=image.pixels.shape[1:]).astype(np.int32)
    preparation = Preparation(preset=preset, window_hu=(-6000, 101_024), percentiles=(0.0, 100.0))
    prepared = prepare(image, preparation, label=label)
    for known in (prepared.pixels, None):
        back = restore(prepared.pixels.copy(), prepared.trace, source=image, prepared_source=known)
        write_image(back, tmp_path / f"o{suffix}", like=image)
        np.testing.assert_array_equal(
            nib.load(tmp_path / f"o{suffix}").dataobj.get_unscaled(), nib.load(path).dataobj.get_unscaled()
        )
        again = read_image(tmp_path / f"o{suffix}")
        np.testing.assert_array_equal(again.pixels, image.pixels)
        assert (again.geometry, again.stored.dtype) == (image.geometry, image.stored.dtype)
    np.testing.assert_array_equal(restore_label(prepared.label, prepared.trace), label)
    if suffix == ".nii":
        assert (tmp_path / "o.nii").read_bytes() == path.read_bytes()


@FEW
@given(source=sources())
def test_integers_inside_the_window_need_no_memory_of_the_source(tmp_path, source):
    """Each voxel, nudged by less than half a step, rounds to the stored number again."""
    image = read_image(saved(source, tmp_path / "s.nii"))
    assume(image.stored.dtype in ("uint8", "int16", "uint16") and image.stored.slope != 0.01)
    assume(np.ptp(image.pixels) > 0)
    prepared = prepare(image, Preparation(preset="ct", window_hu=(-6000, 6000)))
    nudged = np.clip(np.nextafter(prepared.pixels, np.float32(2)), -1, 1)
    back = restore(nudged, prepared.trace, source=image, prepared_source=prepared.pixels)
    write_image(back, tmp_path / "o.nii", like=image)
    np.testing.assert_array_equal(
        nib.load(tmp_path / "o.nii").dataobj.get_unscaled(), nib.load(tmp_path / "s.nii").dataobj.get_unscaled()
    )


@FEW
@given(source=sources(), codes=st.sampled_from(["SPL", "RAS", "LIP"]))
def test_every_turn_is_undone_and_moves_no_voxel_in_space(tmp_path, source, codes):
    image = read_image(saved(source, tmp_path / "s.nii"))
    turned, there = reorient(image.pixels, image.geometry, axis_codes=codes)
    np.testing.assert_array_equal(turn_back(turned, there, to=image.geometry), image.pixels)
    index = np.stack([axis.ravel() for axis in np.indices(image.pixels.shape[1:])] + [np.ones(image.pixels[0].size)])
    moved = (np.linalg.inv(there.affine) @ image.geometry.affine @ index)[:3]
    np.testing.assert_allclose(moved, np.rint(moved), atol=1e-6)
    np.testing.assert_array_equal(turned[0][tuple(np.rint(moved).astype(int))], image.pixels[0].ravel())


def test_grids_of_other_voxels_are_not_turned_into_one_another():
    array, grid = np.zeros((1, 3, 4, 5)), Geometry(np.diag([3.0, 2.0, 1.0, 1.0]))
    for changed in (np.diag([3.0, 2.0, 1.1, 1.0]), nib.affines.from_matvec(np.diag([3.0, 2.0, 1.0]), [0, 1, 0])):
        with pytest.raises(GeometryError, match="G022"):
            turn_back(array, grid, to=Geometry(changed))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(source=sources(), spacing=st.tuples(*[st.sampled_from([0.5, 1.0, 2.2])] * 3))
def test_resampling_keeps_the_grid_and_the_range(tmp_path, source, spacing):
    """The grid comes back exactly; no value leaves the source's range; a field linear in space stays so inside."""
    image = read_image(saved(source, tmp_path / "s.nii"))
    assume(np.ptp(image.pixels) > 0)
    turned, grid = reorient(image.pixels, image.geometry, axis_codes="SPL")
    assume(np.prod(grid_of_spacing(grid, turned.shape[1:], spacing_mm=spacing)[1]) > 8)  # fewer may be all alike
    label = (image.pixels[0] > image.pixels.mean()).astype(np.uint8) * 7
    prepared = prepare(image, Preparation(preset="ct", window_hu=(-6000, 101_024), spacing_mm=spacing), label=label)
    back = restore(prepared.pixels, prepared.trace, source=image)
    assert back.geometry == image.geometry
    assert back.pixels.shape == image.pixels.shape
    if prepared.trace.resampled:
        assert prepared.trace.prepared_geometry.spacing_mm == pytest.approx(spacing, rel=1e-6)
    step = max(1.0, abs(image.stored.slope)) + 0.02
    assert back.pixels.min() >= image.pixels.min() - step
    assert back.pixels.max() <= image.pixels.max() + step
    restored = restore_label(prepared.label, prepared.trace)
    assert restored.shape == label.shape
    assert set(np.unique(restored)) <= set(np.unique(label))


@settings(max_examples=25, deadline=None)
@given(
    orientation=st.sampled_from(ORIENTATIONS),
    angle=st.sampled_from(ANGLES),
    finer=st.sampled_from([(0.5, 0.5, 0.5), (1.0, 0.75, 0.6), (0.4, 1.0, 1.0)]),
)
def test_a_field_linear_in_space_is_resampled_exactly(orientation, angle, finer):
    """On a finer grid, inside, to 1e-4 of the field's range: interpolation and grid agree on where a voxel is."""
    order, signs = orientation
    turn = nib.eulerangles.euler2mat(angle, 0.1, -angle)
    grid = Geometry(nib.affines.from_matvec(turn @ np.eye(3)[:, order] @ np.diag(signs), [5, -9, 30]))
    shape = (7, 8, 9)
    values = linear(grid, shape)
    there, size = grid_of_spacing(grid, shape, spacing_mm=finer)
    found = resample(values[None], grid, to=there, shape=size)[0]
    inner = (slice(2, -2),) * 3
    np.testing.assert_allclose(found[inner], linear(there, size)[inner], atol=1e-4 * np.ptp(values))


def linear(grid, shape):
    index = np.stack([*np.indices(shape), np.ones(shape)])
    world = np.einsum("rc,cdhw->rdhw", grid.affine, index)
    return world[0] * 3 + world[1] * 5 - world[2] * 2
