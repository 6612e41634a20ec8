"""qform, sform and voxel sizes: fMRIPrep's truth table, and an error where it would guess."""

import nibabel as nib
import numpy as np
import pytest

from medgan.errors import GeometryError
from medgan.imaging.nifti_affine import affine_of

TURN = nib.eulerangles.euler2mat(0.3, 0.2, -0.1)
SFORM = nib.affines.from_matvec(TURN @ np.diag([-2.0, 1.5, 3.0]), [90, -60, -30])
QFORM = nib.affines.from_matvec(TURN @ np.diag([-2.0, 1.5, 3.0]), [80, -60, -30])
STRETCHED = nib.affines.from_matvec(TURN @ np.diag([-2.0, 1.5, 3.3]), [90, -60, -30])
BASE = np.array([[-2.0, 0, 0, 3], [0, 1.5, 0, -3], [0, 0, 3.0, -7.5], [0, 0, 0, 1]])
NO_ROTATION = 7.0  # a quaternion longer than one


def header(sform=None, qform=None, *, shape=(4, 5, 6), impossible=False, zooms=(2.0, 1.5, 3.0)):
    made = nib.Nifti1Header()
    made.set_data_shape(shape)
    made.set_zooms(zooms)
    if qform is not None:
        made.set_qform(qform, code=1)
    if sform is not None:
        made.set_sform(sform, code=2)
    if impossible:
        made["qform_code"], made["quatern_b"] = 1, NO_ROTATION
    made.set_xyzt_units("mm")
    return made


@pytest.mark.parametrize(
    ("made", "expected", "note"),
    [
        (header(SFORM, SFORM), SFORM, None),
        (header(SFORM, QFORM), SFORM, "differ by up to 10; sform taken"),
        (header(SFORM), SFORM, None),
        (header(SFORM, impossible=True), SFORM, "qform is impossible; sform taken"),
        (header(STRETCHED, QFORM), QFORM, "voxels of 2 x 1.5 x 3.3, the header says 2 x 1.5 x 3; qform taken"),
        (header(None, QFORM), QFORM, None),
        (header(), BASE, "left and right cannot be told apart"),
        (header(SFORM, zooms=(2.0, 1.5, 3.001)), SFORM, "the header says 2 x 1.5 x 3.001; sform taken"),
    ],
)
def test_the_truth_table(made, expected, note):
    affine, notes = affine_of(made)
    np.testing.assert_allclose(affine, expected, atol=2e-5)
    assert len(notes) == (note is not None)
    assert note is None or note in notes[0]


@pytest.mark.parametrize(
    ("made", "code", "words"),
    [
        (header(STRETCHED), "G017", "3.3, the header says 2 x 1.5 x 3, and no valid qform"),
        (header(STRETCHED, impossible=True), "G017", "no valid qform decides"),
        (header(impossible=True), "G017", "no rotation"),
    ],
)
def test_where_fmriprep_takes_the_spacing_alone_it_is_refused(made, code, words):
    with pytest.raises(GeometryError, match=rf"{code}.*{words}"):
        affine_of(made)


def test_which_of_two_grids_agrees_with_the_table_of_niworkflows():
    """The table of ValidateImage, row by row, by its own conditions."""
    for sform in (None, SFORM, STRETCHED):
        for qform in (None, QFORM, SFORM):
            made = header(sform, qform)
            qform_code, sform_code = int(made["qform_code"]), int(made["sform_code"])
            lengths = nib.affines.voxel_sizes(made.get_sform())
            valid_sform = np.linalg.det(made.get_sform()) != 0 and np.allclose(lengths, made.get_zooms()[:3])
            if qform_code > 0 and (sform_code == 0 or not valid_sform):
                expected = made.get_qform()
            elif valid_sform and sform_code > 0:
                expected = made.get_sform()
            else:
                expected = None if sform_code or qform_code else made.get_base_affine()
            if expected is None:
                with pytest.raises(GeometryError, match="G017"):
                    affine_of(made)
            else:
                np.testing.assert_allclose(affine_of(made)[0], expected, atol=1e-5)


def test_mirrored_forms_are_said_to_be():
    mirrored = SFORM.copy()
    mirrored[:3, 0] *= -1
    assert "mirror images" in affine_of(header(SFORM, mirrored))[1][0]


def test_an_sform_without_a_code_that_is_another_grid_is_noted():
    made = header(SFORM, QFORM)
    made["sform_code"] = 0
    affine, notes = affine_of(made)
    np.testing.assert_allclose(affine, QFORM, atol=2e-5)
    assert "no code and differs" in notes[0]


@pytest.mark.parametrize(("value", "code"), [(np.nan, "G010"), (0.0, "G011"), (9.0, "G012")])
def test_a_damaged_sform_is_refused_even_beside_a_qform(value, code):
    sform = np.diag([2.0, 1.5, 3.0, 1.0])
    sform[1, 1] = value
    sform[0, 1] = value and 4.0
    with pytest.raises(GeometryError, match=code):
        affine_of(header(sform, np.diag([2.0, 1.5, 3.0, 1.0])))


@pytest.mark.parametrize("size", [0.0, -1.5, np.nan, np.inf])
def test_voxel_sizes_that_are_no_lengths(size):
    for made, code in ((header(), "G018"), (header(None, SFORM), "G017")):
        made["pixdim"][2] = size
        with pytest.raises(GeometryError, match=code):
            affine_of(made)
    made = header(SFORM)
    made["pixdim"][2] = size
    if size == -1.5:  # its length is right, and the sform says the direction
        np.testing.assert_allclose(affine_of(made)[0], SFORM, atol=2e-5)
    else:
        with pytest.raises(GeometryError, match="G017"):
            affine_of(made)


@pytest.mark.parametrize(("factor", "expected"), [(0.0, 1), (-1.0, -1), (1.0, 1)])
def test_the_sign_of_the_third_axis(factor, expected):
    made = header(None, np.diag([2.0, 1.5, 3.0, 1.0]))
    made["pixdim"][0] = factor
    assert np.sign(affine_of(made)[0][2, 2]) == expected


@pytest.mark.parametrize(
    ("unit", "factor", "note"), [(1, 1e3, "metres"), (3, 1e-3, "micro"), (5, 1, "code 5"), (0, 1, "")]
)
def test_lengths_become_millimetres(unit, factor, note):
    made = header(SFORM, SFORM)
    made["xyzt_units"] = unit + 8
    affine, notes = affine_of(made)
    np.testing.assert_allclose(affine[:3], SFORM[:3] * factor, rtol=1e-5)
    assert (len(notes) == 1 and note in notes[0]) if note else notes == []


def test_a_slice_has_no_third_size():
    made = header(None, None, shape=(4, 5), zooms=(2.0, 1.5))
    made["pixdim"][3] = 0
    assert nib.affines.voxel_sizes(affine_of(made)[0]).tolist() == [2.0, 1.5, 1.0]
