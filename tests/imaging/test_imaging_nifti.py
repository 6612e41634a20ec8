"""NIfTI: whole or refused, on the grid that the header means, written back byte by byte."""

import gzip

import nibabel as nib
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Extension

from medgan.errors import GeometryError, ReadError, WriteError
from medgan.imaging.image import Image, StoredAs
from medgan.imaging.read import read_image, read_label
from medgan.imaging.write import write_image
from medgan.settings.preparation import Preparation
from medgan.transforms.prepare import prepare

AFFINE = np.array([[-2.0, 0, 0, 90], [0, 1.5, 0, -60], [0, 0, 3.0, -30], [0, 0, 0, 1]])


def voxels(rng, dtype=np.int16, shape=(4, 5, 6)):
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=shape).astype(dtype)
    return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, size=shape).astype(dtype)


def uncompressed(path):
    raw = path.read_bytes()
    return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_axes_affine_and_identity(rng, make_nifti, tmp_path, name, dtype):
    array = voxels(rng, dtype)
    path = make_nifti(array, AFFINE, name)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels[0], array.transpose(2, 1, 0).astype(image.pixels.dtype))
    assert image.pixels.dtype == (np.float32 if np.dtype(dtype).kind == "f" else dtype)
    assert image.geometry.spacing_mm == (3.0, 1.5, 2.0)
    assert image.geometry.axis_codes == "SAL"
    index_kji, index_ijk = np.array([1, 2, 3, 1]), np.array([3, 2, 1, 1])
    np.testing.assert_allclose(image.geometry.affine @ index_kji, AFFINE @ index_ijk)
    out = tmp_path / "out" / name
    write_image(image, out, like=image)
    again = read_image(out)
    np.testing.assert_array_equal(again.pixels, image.pixels)
    assert (again.stored, again.geometry) == (image.stored, image.geometry)
    if dtype != np.float64:
        assert uncompressed(out) == uncompressed(path)


def test_rescaled_integers_come_back_exactly(rng, make_nifti, tmp_path):
    path = make_nifti(voxels(rng, np.int16), AFFINE, "v.nii")
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([0.25, -7.5], dtype="<f4").tobytes()
    path.write_bytes(bytes(raw))
    image = read_image(path)
    assert image.pixels.dtype == np.float32
    assert (image.stored.slope, image.stored.intercept) == (0.25, -7.5)
    np.testing.assert_allclose(image.pixels[0], nib.load(path).get_fdata().transpose(2, 1, 0), rtol=1e-6)
    write_image(image, tmp_path / "o.nii.gz", like=image)
    assert uncompressed(tmp_path / "o.nii.gz") == uncompressed(path)


def test_extensions_and_codes_survive_other_values(rng, tmp_path):
    source = nib.Nifti1Image(voxels(rng), AFFINE)
    source.header.extensions.append(Nifti1Extension("comment", b"kept"))
    source.set_sform(AFFINE, code=4)
    source.header["descrip"] = b"scanner"
    nib.save(source, tmp_path / "a.nii.gz")
    image = read_image(tmp_path / "a.nii.gz")
    assert write_image(image.with_pixels(image.pixels * 0 + 5.2), tmp_path / "b.nii.gz", like=image) == 0
    again = nib.load(tmp_path / "b.nii.gz")
    assert bytes(again.header.extensions[0].get_content()).rstrip(b"\0") == b"kept"
    assert int(again.header["sform_code"]) == 4
    assert again.header["descrip"].item() == b"scanner"
    assert (np.asarray(again.dataobj) == 5).all()


def test_big_endian_and_nifti_2_are_read_and_kept(rng, tmp_path):
    array = voxels(rng)
    big = nib.Nifti1Image(array, AFFINE, nib.Nifti1Header(endianness=">"))
    nib.save(big, tmp_path / "big.nii")
    nib.save(nib.Nifti2Image(array, AFFINE), tmp_path / "two.nii")
    for name in ("big.nii", "two.nii"):
        image = read_image(tmp_path / name)
        np.testing.assert_array_equal(image.pixels[0], array.transpose(2, 1, 0))
        assert image.pixels.dtype.isnative
        write_image(image, tmp_path / "out.nii", like=image)
        assert (tmp_path / "out.nii").read_bytes() == (tmp_path / name).read_bytes()


def test_one_volume_of_four_dimensions(rng, make_nifti, tmp_path):
    array = voxels(rng, shape=(4, 5, 6, 3))
    path = make_nifti(array)
    with pytest.raises(ReadError, match=r"R008.*3 volumes.*volume: 0 to 2"):
        read_image(path)
    with pytest.raises(ReadError, match="R008"):
        read_image(path, volume=3)
    image = read_image(path, volume=2)
    np.testing.assert_array_equal(image.pixels[0], array[..., 2].transpose(2, 1, 0))
    write_image(image, tmp_path / "o.nii.gz", like=image)
    np.testing.assert_array_equal(nib.load(tmp_path / "o.nii.gz").dataobj, array[..., 2])


def test_every_truncation_of_a_gzip_stream_is_caught(rng, make_nifti):
    path = make_nifti(voxels(rng))
    raw = path.read_bytes()
    for cut in (1, 4, 8, 9, 50, len(raw) // 2, len(raw) - 20):
        path.write_bytes(raw[:-cut])
        with pytest.raises(ReadError, match=r"R00[45].*bytes"):
            read_image(path)


def test_every_flipped_bit_of_a_gzip_stream_is_caught(rng, make_nifti):
    path = make_nifti(voxels(rng))
    raw = path.read_bytes()
    for place in np.linspace(30, len(raw) - 1, 40).astype(int):
        damaged = bytearray(raw)
        damaged[place] ^= 1 << int(place) % 8
        path.write_bytes(bytes(damaged))
        with pytest.raises((ReadError, GeometryError), match=r"R00\d|R010|G01"):
            read_image(path)


def test_truncated_plain_file_states_both_sizes(rng, make_nifti):
    path = make_nifti(voxels(rng), name="v.nii")
    raw = path.read_bytes()
    path.write_bytes(raw[:-10])
    with pytest.raises(ReadError, match=rf"R004.*got {len(raw) - 10} bytes.*expected {len(raw)} bytes"):
        read_image(path)


def test_what_is_no_nifti_is_named(tmp_path):
    for content, code in ((b"", "R001"), (b"<html>log in</html>", "R003.*HTML"), (b"\x1f\x8bgarbage" * 9, "R00[45]")):
        (tmp_path / "v.nii.gz").write_bytes(content)
        with pytest.raises(ReadError, match=code):
            read_image(tmp_path / "v.nii.gz")


def test_plain_file_named_gz_is_read_and_noted(rng, make_nifti):
    plain = make_nifti(voxels(rng), name="v.nii")
    named = plain.rename(plain.with_name("w.nii.gz"))
    assert "named .gz but not compressed" in read_image(named).stored.notes


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
def test_huge_header_is_refused_before_memory_is_taken(rng, make_nifti, name):
    import tracemalloc

    path = make_nifti(voxels(rng), name=name)
    raw = bytearray(uncompressed(path))
    raw[40:56] = np.array([3, 32767, 32767, 32767, 1, 1, 1, 1], dtype="<i2").tobytes()
    path.write_bytes(gzip.compress(bytes(raw)) if name.endswith("gz") else bytes(raw))
    tracemalloc.start()
    with pytest.raises(ReadError, match="R006"):
        read_image(path)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()


def test_gzip_bomb_is_refused(rng, make_nifti):
    path = make_nifti(voxels(rng))
    path.write_bytes(gzip.compress(uncompressed(path) + bytes(8 * 2**20)))
    with pytest.raises(ReadError, match="R006"):
        read_image(path)


def test_values_that_are_not_finite_are_counted(make_nifti):
    array = np.zeros((4, 5, 6), dtype=np.float32)
    array[0, 0, :3] = (np.nan, np.inf, np.nan)
    with pytest.raises(ReadError, match=r"R009.*2 NaN and 1 infinite of 120"):
        read_image(make_nifti(array))


def test_sform_is_taken_where_qform_differs(rng, make_nifti):
    moved = AFFINE.copy()
    moved[0, 3] += 5
    image = read_image(make_nifti(voxels(rng), AFFINE, qform=moved))
    np.testing.assert_allclose(image.geometry.affine[:, [2, 1, 0, 3]], AFFINE, atol=1e-5)
    assert any("qform and sform differ" in note for note in image.stored.notes)


def test_qform_alone_and_no_orientation(rng, tmp_path):
    for sform_code, qform_code, note in ((0, 1, None), (0, 0, "left and right")):
        source = nib.Nifti1Image(voxels(rng), None)
        source.set_qform(AFFINE, code=qform_code)
        source.set_sform(None, code=sform_code)
        nib.save(source, tmp_path / "v.nii")
        image = read_image(tmp_path / "v.nii")
        assert any("left and right" in said for said in image.stored.notes) == (note is not None)
        assert image.geometry.spacing_mm == pytest.approx((3.0, 1.5, 2.0))


@pytest.mark.parametrize(("change", "code"), [("zero", "G011"), ("nan", "G010"), ("shear", "G012")])
def test_impossible_affine_is_refused(rng, make_nifti, change, code):
    path = make_nifti(voxels(rng), AFFINE, name="v.nii")
    affine = AFFINE.copy()
    if change == "shear":
        affine[0, 1] = 0.5
    elif change == "zero":
        affine[:3, 2] = 0
    else:
        affine[0, 0] = np.nan
    raw = bytearray(path.read_bytes())
    raw[280:328] = affine[:3].astype("<f4").tobytes()
    path.write_bytes(bytes(raw))
    with pytest.raises(GeometryError, match=rf"{code}.*v\.nii"):
        read_image(path)


def test_complex_voxels_are_refused(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), dtype=np.complex64), np.eye(4)), tmp_path / "c.nii")
    with pytest.raises(ReadError, match=r"R010.*magnitude or phase"):
        read_image(tmp_path / "c.nii")


def colour(rng, names, alpha=None):
    array = np.zeros((4, 5, 6), dtype=[(name, "u1") for name in names])
    for name in names:
        array[name] = rng.integers(0, 256, size=array.shape) if name != "A" or alpha is None else alpha
    return array


@pytest.mark.parametrize(("names", "alpha"), [("RGB", None), ("RGBA", 255), ("RGBA", 0)])
def test_colour_has_three_channels_and_is_written_as_rgb(rng, tmp_path, names, alpha):
    array = colour(rng, names, alpha)
    nib.save(nib.Nifti1Image(array, AFFINE), tmp_path / "c.nii.gz")
    image = read_image(tmp_path / "c.nii.gz")
    assert (image.pixels.shape, image.pixels.dtype) == ((3, 6, 5, 4), np.uint8)
    for channel, name in enumerate("RGB"):
        np.testing.assert_array_equal(image.pixels[channel].T, array[name])
    assert any("alpha" in note for note in image.stored.notes) == (names == "RGBA")
    write_image(image, tmp_path / "o.nii.gz", like=image)
    written = nib.load(tmp_path / "o.nii.gz")
    for name in "RGB":
        np.testing.assert_array_equal(np.asarray(written.dataobj)[name], array[name])
    if names == "RGB":
        assert uncompressed(tmp_path / "o.nii.gz") == uncompressed(tmp_path / "c.nii.gz")
    with pytest.raises(GeometryError, match=r"G019.*3 channels"):
        prepare(image, Preparation(preset="mr"))


def test_colour_that_is_see_through_is_refused(rng, tmp_path):
    nib.save(nib.Nifti1Image(colour(rng, "RGBA"), AFFINE), tmp_path / "c.nii")
    with pytest.raises(ReadError, match=r"R047.*alpha from"):
        read_image(tmp_path / "c.nii")


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.int32, np.uint32, np.int8])
def test_whole_numbers_of_any_size_are_exact(tmp_path, dtype):
    limits = np.iinfo(dtype)
    array = np.array([limits.min, limits.max, limits.max - 1, 1] * 6, dtype=dtype).reshape(2, 3, 4)
    nib.save(nib.Nifti1Image(array, AFFINE, dtype=dtype), tmp_path / "v.nii.gz")
    image = read_image(tmp_path / "v.nii.gz")
    np.testing.assert_array_equal(image.pixels[0].T, array)
    write_image(image, tmp_path / "o.nii.gz", like=image)
    assert uncompressed(tmp_path / "o.nii.gz") == uncompressed(tmp_path / "v.nii.gz")
    label = read_label(tmp_path / "v.nii.gz", like=image)
    np.testing.assert_array_equal(label.T, array)


def with_rescale(path, slope, intercept):
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([slope, intercept], dtype="<f4").tobytes()
    path.write_bytes(bytes(raw))
    return path


@pytest.mark.parametrize(("slope", "intercept"), [(0.01, 1e6), (-0.5, 3.0), (1.0, -1024.0), (1e-6, 0.0), (1e5, 7.0)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32])
def test_every_stored_step_survives_a_rescale(rng, make_nifti, tmp_path, dtype, slope, intercept):
    path = with_rescale(make_nifti(voxels(rng, dtype), AFFINE, "v.nii"), slope, intercept)
    image = read_image(path)
    kept = any("float64" in note for note in image.stored.notes)
    assert image.pixels.dtype == (np.float64 if kept else np.float32)
    assert kept or dtype != np.int32
    np.testing.assert_allclose(image.pixels[0].T, nib.load(path).get_fdata(), rtol=1e-7)
    write_image(image, tmp_path / "o.nii", like=image)
    assert (tmp_path / "o.nii").read_bytes() == path.read_bytes()


def test_wide_integers_with_a_rescale_are_refused_where_no_float_holds_them(tmp_path):
    array = np.full((3, 4, 5), 2**53 + 1, dtype=np.int64)
    nib.save(nib.Nifti1Image(array, AFFINE, dtype=np.int64), tmp_path / "v.nii")
    with pytest.raises(ReadError, match=r"R010.*9007199254740993"):
        read_image(with_rescale(tmp_path / "v.nii", 2, 0))


def test_large_labels_in_floats_are_not_merged(make_nifti, rng):
    array = np.zeros((3, 4, 5))
    array[0, 0] = 2**24 + np.arange(5)
    image = read_image(make_nifti(array, name="v.nii"))
    np.testing.assert_array_equal(image.pixels[0].T, array)
    assert read_image(make_nifti(np.full((3, 4, 5), 1e300), name="v.nii")).pixels.max() == 1e300


def test_free_text_of_the_header_stays_in_the_file_alone(rng, make_nifti, tmp_path, caplog):
    path = make_nifti(voxels(rng), AFFINE, "v.nii")
    raw = bytearray(path.read_bytes())
    raw[148:160] = b"Doe^Jane1970"
    path.write_bytes(bytes(raw))
    image = read_image(path)
    assert "Doe" not in repr(image)
    write_image(image.with_pixels(image.pixels * 0), tmp_path / "o.nii.gz", like=image)
    assert b"Doe^Jane1970" in uncompressed(tmp_path / "o.nii.gz")
    assert b"Doe" not in (tmp_path / "o.nii.gz").read_bytes()[:40]
    assert "Doe" not in caplog.text


def test_simpleitk_reads_what_is_written(rng, make_nifti, tmp_path):
    import SimpleITK

    image = read_image(make_nifti(voxels(rng, np.int16), AFFINE))
    write_image(image, tmp_path / "o.nii.gz", like=image)
    other = SimpleITK.ReadImage(str(tmp_path / "o.nii.gz"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(other), image.pixels[0])
    place = np.array(other.TransformIndexToPhysicalPoint((1, 2, 3))) * (-1, -1, 1)
    np.testing.assert_allclose(place, (image.geometry.affine @ (3, 2, 1, 1))[:3], atol=1e-5)


def test_labels_must_be_whole_and_on_the_grid(rng, make_nifti):
    image = read_image(make_nifti(voxels(rng), AFFINE, "i.nii.gz"))
    label = np.zeros((4, 5, 6), dtype=np.float32)
    label[0, 0, 0] = 2
    read = read_label(make_nifti(label, AFFINE, "l.nii.gz"), like=image)
    assert read.dtype.kind == "i"
    assert read[0, 0, 0] == 2
    label[1, 0, 0] = 0.5
    with pytest.raises(ReadError, match=r"R013.*0\.5"):
        read_label(make_nifti(label, AFFINE, "l.nii.gz"), like=image)
    label[1, 0, 0] = 0
    with pytest.raises(GeometryError, match="G004"):
        read_label(make_nifti(label, np.diag([-1, 1, 1, 1]) @ AFFINE, "l.nii.gz"), like=image)
    with pytest.raises(GeometryError, match=r"G003.*\(6, 5, 3\).*\(6, 5, 4\)"):
        read_label(make_nifti(label[:3], AFFINE, "l.nii.gz"), like=image)


def test_volume_made_in_memory_gets_a_header(rng, tmp_path, make_nifti):
    geometry = read_image(make_nifti(voxels(rng), AFFINE)).geometry
    pixels = rng.normal(100, 50, (1, 6, 5, 4)).astype(np.float32)
    made = Image(pixels=pixels, stored=StoredAs(format="nifti", dtype="float32", unit="a.u."), geometry=geometry)
    write_image(made, tmp_path / "m.nii.gz", like=made)
    again = read_image(tmp_path / "m.nii.gz")
    np.testing.assert_array_equal(again.pixels, pixels)
    np.testing.assert_allclose(again.geometry.affine, geometry.affine, atol=1e-5)
    with pytest.raises(WriteError, match="W002"):
        write_image(made, tmp_path / "m.nii.gz", like=again.with_pixels(again.pixels[:, :2]))


def test_two_writes_of_the_same_are_the_same_bytes(rng, make_nifti, tmp_path):
    image = read_image(make_nifti(voxels(rng)))
    for name in ("a.nii.gz", "b.nii.gz"):
        write_image(image, tmp_path / name, like=image)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_voxels_named_without_their_header_lead_to_it(tmp_path):
    pair = nib.Nifti1Pair(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4))
    nib.save(pair, tmp_path / "brain.img")
    with pytest.raises(ReadError, match=r"R002.*voxels alone; name their header, brain\.hdr"):
        read_image(tmp_path / "brain.img")
    (tmp_path / "brain.hdr").unlink()
    with pytest.raises(ReadError, match=r"R002.*convert it"):
        read_image(tmp_path / "brain.img")
