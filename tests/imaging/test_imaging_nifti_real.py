"""Every odd real NIfTI: read as nibabel and SimpleITK read it, or refused with the code that is expected."""

import nibabel as nib
import numpy as np
import pytest

from medgan.errors import MedganError
from medgan.imaging.read import read_image, read_label
from medgan.imaging.write import write_image

pytestmark = pytest.mark.real_data

REFUSED = {
    "broken/bad_magic.nii": "R007",
    "broken/nan_pixdim.nii.gz": "G017",
    "broken/not_gzip.nii.gz": "R004",
    "broken/truncated_gzip.nii.gz": "R004",
    "dcm_qa_nih/EPI_PE=AP_3.nii": "R008",
    "dipy/small_64D.nii": "R008",
    "nibabel/example4d.nii.gz": "R008",
    "nibabel/functional.nii": "R008",
    "nibabel/resampled_anat_moved.nii": "R009",
    "niivue/ras.hdr": "R045",
    "sct_testing_data/dmri.nii.gz": "R008",
}
READ = {  # (D, H, W), the file's k, j, i
    "dcm_qa_12bit/2.nii": (35, 64, 64),
    "dipy/aniso_vox.nii.gz": (24, 58, 58),
    "nibabel/anatomical.nii": (25, 41, 33),
    "nibabel/reoriented_anat_moved.nii": (22, 26, 21),
    "nibabel/someones_anatomy.nii.gz": (56, 67, 57),
    "nibabel/someones_epi.nii.gz": (33, 61, 53),
    "niivue-images/CT_AVM.nii.gz": (154, 242, 256),
    "niivue-images/CT_pitch.nii.gz": (58, 248, 175),
    "niivue/ASL.nii.gz": (64, 67, 79),
    "niivue/FLAIR.nii.gz": (140, 160, 124),
    "niivue/LAS_drawing_correct.nii.gz": (67, 79, 64),
    "niivue/LAS_drawing_incorrect.nii.gz": (67, 79, 64),
    "niivue/LPS.nii.gz": (67, 79, 64),
    "niivue/PIR.nii.gz": (64, 67, 79),
    "niivue/avg152T1_RL_nifti.nii.gz": (91, 109, 91),
    "niivue/lesion.nii.gz": (140, 160, 124),
    "niivue/low_res.nii.gz": (3, 5, 7),
    "sct_testing_data/mt0.nii.gz": (5, 40, 40),
    "sct_testing_data/mt1.nii.gz": (5, 40, 40),
    "sct_testing_data/t1w.nii.gz": (77, 76, 42),
    "sct_testing_data/t1w_seg-manual.nii.gz": (77, 76, 42),
    "sct_testing_data/t2.nii.gz": (52, 55, 60),
    "sct_testing_data/t2_seg-manual.nii.gz": (52, 55, 60),
}


@pytest.fixture
def folder(data_root):
    return data_root / "nifti_odd"


def test_no_file_is_left_out(folder):
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found - {"manifest.csv", "SOURCE.md"} == {*REFUSED, *READ}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(folder, name):
    with pytest.raises(MedganError, match=REFUSED[name]):
        read_image(folder / name)


@pytest.mark.parametrize("name", READ)
def test_read_as_others_read_it(folder, tmp_path, name):
    image = read_image(folder / name)
    assert image.pixels.shape == (1, *READ[name])
    other = nib.load(folder / name)
    assert_same(image, np.asanyarray(other.dataobj), other.affine)
    assert_same_as_simpleitk(image, folder / name)
    write_image(image, tmp_path / "o.nii", like=image)
    written = nib.load(tmp_path / "o.nii")
    np.testing.assert_array_equal(written.dataobj.get_unscaled(), other.dataobj.get_unscaled())
    np.testing.assert_array_equal(written.affine, other.affine)
    assert written.header.binaryblock == other.header.binaryblock


@pytest.mark.parametrize("name", [name for name, code in REFUSED.items() if code == "R008"])
def test_every_volume_of_four_dimensions(folder, tmp_path, name):
    other = nib.load(folder / name)
    values = np.asanyarray(other.dataobj)
    for volume in (0, values.shape[3] // 2, values.shape[3] - 1):
        image = read_image(folder / name, volume=volume)
        assert_same(image, values[..., volume], other.affine)
        assert image.stored.notes[0] == f"volume {volume} of {values.shape[3]}"
        write_image(image, tmp_path / "o.nii.gz", like=image)
        written = nib.load(tmp_path / "o.nii.gz")
        np.testing.assert_array_equal(written.dataobj, values[..., volume])
        np.testing.assert_array_equal(written.affine, other.affine)


def test_a_drawing_fits_its_head_and_a_wrongly_turned_one_does_not_hide(folder):
    head = read_image(folder / "niivue" / "LPS.nii.gz")
    right = read_label(folder / "niivue" / "LAS_drawing_correct.nii.gz", like=head)
    wrong = read_label(folder / "niivue" / "LAS_drawing_incorrect.nii.gz", like=head)
    assert right.any()
    assert not np.array_equal(right, wrong)


def assert_same(image, values, affine):
    given = image.pixels[0].T
    if values.dtype.kind in "iu":
        np.testing.assert_array_equal(given, values)
    else:
        np.testing.assert_allclose(given, values, rtol=1.2e-7)
    np.testing.assert_allclose(image.geometry.affine[:, [2, 1, 0, 3]], affine, atol=1e-5)


def assert_same_as_simpleitk(image, path):
    import SimpleITK

    other = SimpleITK.ReadImage(str(path))
    np.testing.assert_allclose(SimpleITK.GetArrayFromImage(other), image.pixels[0], rtol=2e-6)
    size = np.array(other.GetSize()) - 1
    for corner in np.ndindex(2, 2, 2):
        index = [int(n) for n in size * corner]
        place = np.array(other.TransformContinuousIndexToPhysicalPoint(index)) * (-1, -1, 1)
        np.testing.assert_allclose(place, (image.geometry.affine @ (*index[::-1], 1))[:3], atol=0.02)
