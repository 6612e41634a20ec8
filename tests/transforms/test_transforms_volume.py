"""Volumes to [-1, 1] and back: every orientation, type and spacing; what is lost is said."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medgan.errors import IntensityError
from medgan.imaging.geometry import Geometry
from medgan.imaging.image import Image, StoredAs
from medgan.imaging.intensity import Window
from medgan.imaging.read import read_image, read_label
from medgan.imaging.write import write_image
from medgan.settings.preparation import Preparation
from medgan.transforms.foreground import find_foreground
from medgan.transforms.prepare import Trace, prepare, restore, restore_label

ORDERS = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]


def volume(pixels, affine=None, **stored) -> Image:
    affine = np.diag([3.0, 1.0, 1.0, 1.0]) if affine is None else affine
    kept = StoredAs(format="nifti", dtype=pixels.dtype.name, unit="a.u.", **stored)
    return Image(pixels=pixels, stored=kept, geometry=Geometry(affine))


def head(dtype=np.int16, shape=(12, 24, 20), top=900):
    """An ellipsoid with a bright inside, a dark cavity and faint noise round it."""
    axes = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in axes))
    noise = np.random.default_rng(5).integers(0, top // 100 + 1, size=shape)
    values = noise + (radius < 0.8) * top * 0.5 + (radius < 0.4) * top * 0.4
    values[radius < 0.15] = 0
    return values.astype(dtype)[None], radius < 0.8


@st.composite
def grids(draw):
    order = draw(st.sampled_from(ORDERS))
    signs = draw(st.tuples(*[st.sampled_from((-1, 1))] * 3))
    spacing = draw(st.tuples(*[st.floats(0.4, 6.0)] * 3))
    angle = draw(st.floats(-0.3, 0.3))
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.eye(3)[:, order] @ np.diag(np.array(signs) * spacing)
    affine[:3, 3] = draw(st.tuples(*[st.floats(-200, 200)] * 3))
    return affine


@settings(max_examples=60, deadline=None)
@given(
    affine=grids(),
    dtype=st.sampled_from([np.int16, np.uint8, np.uint16, np.float32]),
    preset=st.sampled_from(["mr", "ct"]),
    seed=st.integers(0, 999),
)
def test_identity_is_exact_on_every_grid(affine, dtype, preset, seed):
    top = 255 if dtype == np.uint8 else 4000
    pixels = (np.random.default_rng(seed).random((1, 4, 5, 6)) * top).astype(dtype)
    image = volume(pixels, affine)
    prepared = prepare(image, Preparation(preset=preset))
    assert prepared.trace.prepared_geometry.axis_codes == "SPL"
    assert np.abs(prepared.pixels).max() <= 1
    for known in (prepared.pixels, None):
        back = restore(prepared.pixels.copy(), prepared.trace, source=image, prepared_source=known)
        np.testing.assert_array_equal(back.pixels, pixels)
        assert back.pixels.dtype == dtype
        assert (back.geometry, back.stored) == (image.geometry, image.stored)
    assert Trace.from_json(prepared.trace.to_json()) == prepared.trace


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint8])
def test_values_inside_the_window_are_exact_without_the_source(dtype):
    pixels = np.linspace(0, 250, 120).astype(dtype).reshape(1, 4, 5, 6)
    image = volume(pixels)
    prepared = prepare(image, Preparation(preset="ct", window_hu=(0, 250)))
    touched = np.nextafter(prepared.pixels, np.float32(2))  # no voxel equals what was prepared
    back = restore(np.clip(touched, -1, 1), prepared.trace, source=image, prepared_source=prepared.pixels)
    np.testing.assert_array_equal(back.pixels, pixels)


def test_beyond_the_window_only_untouched_voxels_keep_their_value():
    pixels = np.array([-3000, -1024, 0, 3071, 3072, 9000], dtype=np.int16).reshape(1, 1, 2, 3)
    image = volume(pixels)
    prepared = prepare(image, Preparation(preset="ct"))
    assert prepared.trace.clipped_share == pytest.approx(0.5)
    assert prepared.trace.losses == ("clipped 50 % of the field",)
    changed = prepared.pixels.copy()
    changed[prepared.pixels == 1] = 0.5
    back = restore(changed, prepared.trace, source=image).pixels.ravel()
    np.testing.assert_array_equal(back[:3], pixels.ravel()[:3])
    assert (back[3:] == round((3071 - 1024) / 2 + 1023.75)).all()


def test_axial_slices_hang_as_radiologists_hang_them():
    pixels = np.zeros((1, 4, 5, 6), dtype=np.int16)
    pixels[0, 3, 4, 5] = 1000  # index (k, j, i) of a RAS+ file: top, front, the patient's right to left
    affine = np.eye(4)[:, [2, 1, 0, 3]]
    prepared = prepare(volume(pixels, affine), Preparation(preset="ct"))
    place = np.argwhere(prepared.pixels[0] > -0.1)
    np.testing.assert_array_equal(
        place, [[3, 0, 0]]
    )  # last slice is the top, first row the front, first column the right


def test_foreground_takes_cavities_and_leaves_air():
    pixels, inside = head(shape=(24, 48, 40))
    field = find_foreground(pixels[0])
    assert field[inside].mean() > 0.99
    assert field[~inside].mean() < 0.25


def test_foreground_of_a_crop_without_air_is_everything(rng):
    assert find_foreground(rng.normal(500, 50, (9, 9, 9)).astype(np.float32)).all()
    assert find_foreground(np.full((5, 5, 5), 7, dtype=np.int16)).all()


def test_window_of_mr_is_of_the_foreground():
    pixels, _ = head()
    prepared = prepare(volume(pixels), Preparation(preset="mr", percentiles=(1, 99)))
    inside = pixels[0][restore_label(prepared.field.astype(np.uint8), prepared.trace) > 0]
    assert prepared.trace.window.low == pytest.approx(np.percentile(inside, 1))
    assert prepared.trace.window.high == pytest.approx(np.percentile(inside, 99))


@pytest.mark.parametrize("preset", ["mr", "ct"])
def test_constant_volume_is_refused(preset):
    with pytest.raises(IntensityError, match="I001"):
        prepare(volume(np.full((1, 3, 4, 5), 7, dtype=np.int16)), Preparation(preset=preset))


def test_labels_are_turned_exactly(rng):
    label = rng.integers(0, 5, size=(4, 5, 6)).astype(np.uint8)
    pixels = rng.integers(0, 900, size=(1, 4, 5, 6)).astype(np.int16)
    affine = np.diag([1.0, -2.0, 3.0, 1.0])[:, [1, 2, 0, 3]]
    prepared = prepare(volume(pixels, affine), Preparation(preset="ct"), label=label)
    np.testing.assert_array_equal(restore_label(prepared.label, prepared.trace), label)
    both = {(int(a), int(b)) for a, b in zip(pixels.ravel(), label.ravel(), strict=True)}
    values = np.rint(prepared.trace.window.from_unit(prepared.pixels)).astype(int)
    assert {(int(a), int(b)) for a, b in zip(values.ravel(), prepared.label.ravel(), strict=True)} == both


def test_resampling_keeps_place_and_says_so():
    axes = np.meshgrid(np.arange(10), np.arange(24), np.arange(20), indexing="ij")
    geometry = Geometry(np.array([[0, 0, -1.0, 40], [0, 1.5, 0, -30], [3.0, 0, 0, 5], [0, 0, 0, 1]]))
    index = np.stack([*axes, np.ones_like(axes[0])])
    world = np.einsum("rc,cdhw->rdhw", geometry.affine, index)
    pixels = (10 * world[0] + 7 * world[1] + 3 * world[2]).astype(np.float32)[None]
    image = volume(pixels, geometry.affine)
    prepared = prepare(image, Preparation(preset="ct", window_hu=(-2000, 2000), spacing_mm=(2.0, 1.0, 2.0)))
    there = prepared.trace.prepared_geometry
    assert there.spacing_mm == pytest.approx((2.0, 1.0, 2.0))
    assert prepared.pixels.shape == (1, 15, 36, 10)
    assert prepared.trace.losses[0] == "resampled from 3 x 1.5 x 1 mm to 2 x 1 x 2 mm"
    grid = np.stack(
        [*np.meshgrid(*(np.arange(n) for n in prepared.pixels.shape[1:]), indexing="ij"), np.ones((15, 36, 10))]
    )
    world = np.einsum("rc,cdhw->rdhw", there.affine, grid)
    expected = 10 * world[0] + 7 * world[1] + 3 * world[2]
    inner = (slice(3, -3),) * 3
    values = prepared.trace.window.from_unit(prepared.pixels)[0]
    np.testing.assert_allclose(values[inner], expected[inner], atol=0.6)
    back = restore(prepared.pixels, prepared.trace, source=image)
    assert back.pixels.shape == pixels.shape
    np.testing.assert_allclose(back.pixels[0][inner], pixels[0][inner], atol=1.5)


def test_resampling_agrees_with_simpleitk():
    import SimpleITK

    pixels, _ = head(np.float32, shape=(16, 20, 18))
    affine = np.array([[0, 0, -1.0, 9], [0, -1.0, 0, 10], [1.0, 0, 0, -8], [0, 0, 0, 1]])  # SPL: LPS order for ITK
    prepared = prepare(
        volume(pixels, affine), Preparation(preset="ct", window_hu=(-10, 1000), spacing_mm=(0.8, 0.8, 0.9))
    )
    source = SimpleITK.GetImageFromArray(pixels[0])
    source.SetDirection((1, 0, 0, 0, 1, 0, 0, 0, 1))
    source.SetOrigin((-9, -10, -8))
    there = prepared.trace.prepared_geometry.affine
    origin = (np.diag([-1, -1, 1]) @ there[:3, 3]).tolist()
    size = prepared.pixels.shape[:0:-1]
    other = SimpleITK.Resample(
        source, size, SimpleITK.Transform(), SimpleITK.sitkLinear, origin, (0.9, 0.8, 0.8), source.GetDirection(), 0.0
    )
    inner = (slice(2, -2),) * 3
    values = prepared.trace.window.from_unit(prepared.pixels)[0]
    np.testing.assert_allclose(values[inner], SimpleITK.GetArrayFromImage(other)[inner], atol=0.01)


def test_labels_survive_finer_resampling():
    pixels, inside = head()
    label = inside.astype(np.int16) * 300
    affine = np.diag([3.0, 1.0, 1.0, 1.0])
    prepared = prepare(volume(pixels, affine), Preparation(preset="mr", spacing_mm=(0.75, 0.75, 1.5)), label=label)
    assert set(np.unique(prepared.label)) == {0, 300}
    back = restore_label(prepared.label, prepared.trace)
    assert back.shape == label.shape
    np.testing.assert_array_equal(back, label)


def test_the_same_spacing_is_not_resampled():
    pixels, _ = head()
    prepared = prepare(volume(pixels), Preparation(preset="mr", spacing_mm=(1.0, 1.0, 3.0)))
    assert not prepared.trace.resampled
    assert not prepare(volume(pixels), Preparation(preset="mr")).trace.resampled


def test_another_window_changes_the_type_only_where_it_must(tmp_path):
    pixels, _ = head(np.uint8, top=250)
    image = volume(pixels)
    prepared = prepare(image, Preparation(preset="mr"))
    fits = restore(prepared.pixels, prepared.trace, source=image, window=Window(low=0, high=255, unit="a.u."))
    assert fits.stored == image.stored
    for window in (Window(low=0, high=4000, unit="a.u."), Window(low=0, high=1, unit="a.u.")):
        result = restore(prepared.pixels, prepared.trace, source=image, window=window)
        assert result.stored.dtype == "float32"
        assert any("stored anew" in note for note in result.stored.notes)
        assert write_image(result, tmp_path / "o.nii.gz", like=image) == 0
        again = read_image(tmp_path / "o.nii.gz").pixels
        assert again.max() == pytest.approx(window.high, rel=1e-5)


def test_another_window_in_dicom_gets_a_rescale(make_dicom_series, tmp_path, rng):
    image = read_image(make_dicom_series(rng.integers(0, 4096, size=(4, 5, 6)).astype(np.uint16)))
    prepared = prepare(image, Preparation(preset="ct", window_hu=(-1024, 3071)))
    window = Window(low=0, high=2, unit="a.u.")
    result = restore(prepared.pixels, prepared.trace, source=image, window=window)
    assert write_image(result, tmp_path / "out", like=image) == 0
    np.testing.assert_allclose(read_image(tmp_path / "out").pixels, result.pixels, atol=2e-5)


def test_from_file_to_file_by_way_of_the_network_range(make_nifti, tmp_path, rng):
    path = make_nifti(rng.integers(-1024, 3000, size=(5, 6, 7)).astype(np.int16), np.diag([-1.0, 2.0, 3.0, 1.0]))
    image = read_image(path)
    prepared = prepare(image, Preparation(preset="ct"))
    back = restore(prepared.pixels, prepared.trace, source=image, prepared_source=prepared.pixels)
    write_image(back, tmp_path / "o.nii.gz", like=image)
    np.testing.assert_array_equal(nib.load(tmp_path / "o.nii.gz").dataobj, nib.load(path).dataobj)


REAL = [
    ("brain_t1_flair/open/Subj1/t1.nii.gz", "brain_t1_flair/open/Subj1/dlmuse.nii.gz", "mr"),
    ("ct_mr_samples/pyradiomics/brain1_image.nii.gz", "ct_mr_samples/pyradiomics/brain1_label.nii.gz", "mr"),
    ("ct_mr_samples/msd_spleen2/ct.nii.gz", "ct_mr_samples/msd_spleen2/spleen.nii.gz", "ct"),
    ("nifti_odd/niivue/PIR.nii.gz", None, "mr"),
    ("nifti_odd/sct_testing_data/t2.nii.gz", "nifti_odd/sct_testing_data/t2_seg-manual.nii.gz", "mr"),
]


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "mask", "preset"), REAL)
def test_real_volumes_come_back(data_root, tmp_path, name, mask, preset):
    image = read_image(data_root / name)
    label = None if mask is None else read_label(data_root / mask, like=image)
    prepared = prepare(image, Preparation(preset=preset), label=label)
    back = restore(prepared.pixels, prepared.trace, source=image, prepared_source=prepared.pixels)
    write_image(back, tmp_path / "o.nii.gz", like=image)
    np.testing.assert_array_equal(read_image(tmp_path / "o.nii.gz").pixels, image.pixels)
    if label is not None:
        np.testing.assert_array_equal(restore_label(prepared.label, prepared.trace), label)


@pytest.mark.real_data
def test_one_head_in_four_orientations_is_prepared_alike(data_root):
    turned = [
        prepare(read_image(data_root / "nifti_odd" / "niivue" / f"{codes}.nii.gz"), Preparation(preset="mr")).pixels
        for codes in ("ASL", "LPS", "PIR")
    ]
    for other in turned[1:]:
        np.testing.assert_array_equal(turned[0], other)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["ct_body_j2k", "mr_j2k_fragments", "mr_sag_hfdr", "mr_t1_7t_oblique"])
def test_real_series_come_back_and_agree_with_simpleitk(data_root, tmp_path, name):
    import SimpleITK

    folder = data_root / "dicom_series" / name
    image = read_image(folder)
    write_image(image, tmp_path / "out", like=image)
    again = read_image(tmp_path / "out")
    np.testing.assert_array_equal(again.pixels, image.pixels)
    # a decimal string has 16 characters; a source may break that rule
    np.testing.assert_allclose(again.geometry.affine, image.geometry.affine, rtol=0, atol=1e-9)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    other = SimpleITK.GetArrayFromImage(reader.Execute())
    assert (other == image.pixels[0]).all() or (other[::-1] == image.pixels[0]).all()
