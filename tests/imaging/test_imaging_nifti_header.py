"""Headers that lie: each is refused with a code, or read with a note."""

import contextlib
import gzip
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Extension

from medgan.errors import ReadError
from medgan.imaging.nifti_bytes import read_nifti_head
from medgan.imaging.read import read_image
from medgan.imaging.write import write_image

PLACES = {  # byte and type of a NIfTI-1 field
    "sizeof_hdr": (0, "<i4"),
    "dim0": (40, "<i2"),
    "dim1": (42, "<i2"),
    "dim3": (46, "<i2"),
    "datatype": (70, "<i2"),
    "bitpix": (72, "<i2"),
    "vox_offset": (108, "<f4"),
    "slope": (112, "<f4"),
    "intercept": (116, "<f4"),
    "magic": (344, "S4"),
}


@pytest.fixture
def changed(make_nifti, rng):
    def make(name="v.nii", **fields):
        path = make_nifti(rng.integers(-9, 9, size=(4, 5, 6)).astype(np.int16), np.diag([1.0, 2, 3, 1]), name)
        raw = path.read_bytes()
        raw = bytearray(gzip.decompress(raw) if name.endswith(".gz") else raw)
        for field, value in fields.items():
            place, kind = PLACES[field]
            stored = np.array(value, dtype=kind).tobytes()
            raw[place : place + len(stored)] = stored
        path.write_bytes(gzip.compress(bytes(raw), mtime=0) if name.endswith(".gz") else bytes(raw))
        return path

    return make


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"dim0": 0}, "R007"),
        ({"dim0": 8}, "R007"),
        ({"dim0": -3}, "R007"),
        ({"dim1": -1}, "R007"),
        ({"dim1": 0}, "R007"),
        ({"dim3": 5}, "R041"),
        ({"dim3": 7}, "R004"),
        ({"dim0": 2}, "R041"),
        ({"datatype": 2}, "R041"),
        ({"datatype": 16}, "R004"),
        ({"datatype": 5}, "R010"),
        ({"datatype": 0}, "R010"),
        ({"datatype": 1}, "R010"),
        ({"datatype": 1536}, "R010"),
        ({"datatype": 1792}, "R010"),
        ({"vox_offset": 0}, "R043"),
        ({"vox_offset": 348}, "R043"),
        ({"vox_offset": 352.5}, "R043"),
        ({"vox_offset": np.nan}, "R043"),
        ({"vox_offset": np.inf}, "R043"),
        ({"vox_offset": -352}, "R043"),
        ({"vox_offset": 1e9}, "R043"),
        ({"vox_offset": 368}, "R004"),
        ({"slope": np.inf}, "R042"),
        ({"slope": 2, "intercept": np.nan}, "R042"),
        ({"slope": 2, "intercept": np.inf}, "R042"),
        ({"magic": b"n+1 "}, "R007"),
        ({"magic": b"n+2\0"}, "R007"),
        ({"magic": b"ni1\0"}, "R045"),
    ],
)
def test_a_header_that_lies_is_refused(changed, name, fields, code):
    with pytest.raises(ReadError, match=code):
        read_image(changed(name, **fields))


@pytest.mark.parametrize(
    "fields", [{"slope": 0, "intercept": 5}, {"slope": np.nan, "intercept": np.nan}, {"bitpix": 8}]
)
def test_what_the_standard_allows_is_read(changed, fields):
    path = changed(**fields)
    image = read_image(path)
    assert image.pixels.dtype == np.int16
    np.testing.assert_array_equal(image.pixels[0].T, np.frombuffer(path.read_bytes()[352:], "<i2").reshape(6, 5, 4).T)
    assert any("bitpix says 8" in note for note in image.stored.notes) == ("bitpix" in fields)


def test_trailing_axes_of_one_are_no_volumes(rng, tmp_path):
    array = rng.integers(0, 9, size=(4, 5, 6, 1, 1)).astype(np.int16)
    nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / "v.nii.gz")
    assert read_image(tmp_path / "v.nii.gz").pixels.shape == (1, 6, 5, 4)
    assert read_image(tmp_path / "v.nii.gz", volume=0).stored.notes == ()


def test_a_slice_of_two_axes_is_a_volume_of_one_slice(rng, tmp_path):
    array = rng.integers(0, 9, size=(4, 5)).astype(np.int16)
    nib.save(nib.Nifti1Image(array, np.diag([2.0, 3, 1, 1])), tmp_path / "v.nii")
    image = read_image(tmp_path / "v.nii")
    np.testing.assert_array_equal(image.pixels[0, 0], array.T)
    write_image(image, tmp_path / "o.nii", like=image)
    assert (tmp_path / "o.nii").read_bytes() == (tmp_path / "v.nii").read_bytes()


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
def test_a_vector_is_read_by_its_parts(rng, tmp_path, name):
    array = rng.normal(size=(4, 5, 6, 1, 3)).astype(np.float32)
    source = nib.Nifti1Image(array, np.eye(4))
    source.header.set_intent("vector")
    nib.save(source, tmp_path / name)
    with pytest.raises(ReadError, match=r"R008.*3 volumes \(4 x 5 x 6 x 1 x 3; the header calls the values a vector"):
        read_image(tmp_path / name)
    image = read_image(tmp_path / name, volume=1)
    np.testing.assert_array_equal(image.pixels[0].T, array[:, :, :, 0, 1])
    write_image(image, tmp_path / "o.nii.gz", like=image)
    written = nib.load(tmp_path / "o.nii.gz")
    assert (written.shape, written.header.get_intent()[0]) == ((4, 5, 6), "none")
    np.testing.assert_array_equal(written.dataobj, array[:, :, :, 0, 1])


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
def test_one_of_many_volumes_takes_the_memory_of_one(tmp_path, name):
    array = np.zeros((32, 32, 32, 60), dtype=np.float32)
    array[..., 41] = 5
    nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / name)
    read_image(tmp_path / name, volume=0)
    tracemalloc.start()
    image = read_image(tmp_path / name, volume=41)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (image.pixels == 5).all()
    assert peak < 5 * 2**20 < array.nbytes


@pytest.mark.parametrize(("length", "code"), [(0, "R044"), (-16, "R044"), (7, "R044"), (4096, "R044"), (24, None)])
def test_extensions_of_impossible_size(tmp_path, length, code):
    source = nib.Nifti1Image(np.ones((3, 4, 5), dtype=np.int16), np.eye(4))
    source.header.extensions.append(Nifti1Extension("comment", b"kept for the next reader"))
    nib.save(source, tmp_path / "v.nii")
    raw = bytearray((tmp_path / "v.nii").read_bytes())
    raw[352:356] = np.array(length, dtype="<i4").tobytes()
    (tmp_path / "v.nii").write_bytes(bytes(raw))
    if code is None:
        assert "no multiple of 16" in read_image(tmp_path / "v.nii").stored.notes[0]
    else:
        with pytest.raises(ReadError, match=code):
            read_image(tmp_path / "v.nii")


def test_bytes_after_the_voxels_or_the_stream_are_refused(changed):
    for name, code in (("v.nii", "R041"), ("v.nii.gz", r"R00[45]")):
        path = changed(name)
        path.write_bytes(path.read_bytes() + b"more")
        with pytest.raises(ReadError, match=code):
            read_image(path)
    path = changed("v.nii.gz")
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"\0"))
    with pytest.raises(ReadError, match=r"R041.*1 more bytes"):
        read_image(path)


def test_a_stream_of_several_members_is_one_file(changed):
    path = changed("v.nii.gz")
    whole = read_image(path)
    raw = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(raw[:100]) + gzip.compress(raw[100:360]) + gzip.compress(raw[360:]))
    np.testing.assert_array_equal(read_image(path).pixels, whole.pixels)


def test_a_damaged_stream_gives_no_other_error_for_the_header_alone(changed):
    path = changed("v.nii.gz")
    raw = path.read_bytes()
    codes = set()
    for place in range(0, len(raw), 3):
        for damaged in (raw[:place], raw[:place] + b"\xff" + raw[place + 1 :]):
            path.write_bytes(damaged)
            with contextlib.suppress(ReadError):
                header, head = read_nifti_head(path)
                codes.add("read")
                assert len(head) == int(header["vox_offset"])
                continue
            codes.add("refused")
    assert codes == {"read", "refused"}


def test_a_packed_bomb_is_refused_before_it_is_unpacked(changed):
    path = changed("v.nii")
    raw = bytearray(path.read_bytes()[:352])
    raw[40:48] = np.array([3, 2048, 2048, 700], dtype="<i2").tobytes()
    path = path.with_name("v.nii.gz")
    path.write_bytes(gzip.compress(bytes(raw)) + bytes(6 * 2**20))
    tracemalloc.start()
    with pytest.raises(ReadError, match=r"R006.*at most 16 GiB"):
        read_image(path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


@pytest.mark.parametrize("ending", [".img", ".img.gz", ".IMG"])
def test_a_pair_is_read_and_written_as_one_file(rng, tmp_path, ending):
    array = rng.integers(-99, 99, size=(4, 5, 6)).astype(np.int16)
    source = nib.Nifti1Pair(array, np.diag([-2.0, 2, 2, 1]))
    source.header.extensions.append(Nifti1Extension("comment", b"kept"))
    nib.save(source, tmp_path / "a b=1.img")
    voxels = (tmp_path / "a b=1.img").read_bytes()
    (tmp_path / "a b=1.img").unlink()
    (tmp_path / ("a b=1" + ending)).write_bytes(gzip.compress(voxels) if ending.endswith("gz") else voxels)
    image = read_image(tmp_path / "a b=1.hdr")
    np.testing.assert_array_equal(image.pixels[0].T, array)
    write_image(image, tmp_path / "o.nii", like=image)
    written = nib.load(tmp_path / "o.nii")
    np.testing.assert_array_equal(written.dataobj, array)
    np.testing.assert_array_equal(written.affine, source.affine)
    assert written.header.extensions[0].get_content().rstrip(b"\0") == b"kept"
    (tmp_path / ("a b=1" + ending)).write_bytes(voxels[:-1])
    with pytest.raises(ReadError, match="R004"):
        read_image(tmp_path / "a b=1.hdr")


def test_a_pair_without_its_voxels_or_with_a_link_is_refused(tmp_path):
    nib.save(nib.Nifti1Pair(np.ones((3, 4, 5), dtype=np.int16), np.eye(4)), tmp_path / "a.img")
    (tmp_path / "else").mkdir()
    (tmp_path / "a.img").rename(tmp_path / "else" / "a.img")
    with pytest.raises(ReadError, match=r"R045.*0 such files.*a\.img beside it"):
        read_image(tmp_path / "a.hdr")
    (tmp_path / "a.img").symlink_to(tmp_path / "else" / "a.img")
    with pytest.raises(ReadError, match=r"R045.*link"):
        read_image(tmp_path / "a.hdr")


def test_analyze_is_refused_since_left_and_right_are_lost(tmp_path):
    nib.save(nib.AnalyzeImage(np.ones((3, 4, 5), dtype=np.int16), np.eye(4)), tmp_path / "a.img")
    with pytest.raises(ReadError, match=r"R046.*left from right"):
        read_image(tmp_path / "a.hdr")
