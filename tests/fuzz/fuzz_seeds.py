"""Whole, tiny volumes, pictures and tables, made by code: what mutations start from."""

import gzip
import io

import nibabel as nib
import numpy as np
from PIL import Image as Pillow

SIZE = 16


def grey(count: int = 1, *, bits: int = 16) -> np.ndarray:
    """A ramp with an edge, (count, 16, 16)."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    ramp = (rows * 7 + columns * 3 + 40 * (rows > columns)).astype(f"u{bits // 8}")
    return np.stack([ramp + index for index in range(count)])


def nifti_files() -> list[bytes]:
    """NIfTI-1 and NIfTI-2, 3D and 4D, integer and float, both byte orders; not compressed."""
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    affine = np.array([[0.9, 0.1, 0, -4], [-0.1, 0.9, 0, 5], [0, 0, 2.5, 6], [0, 0, 0, 1.0]])
    files = []
    for data in (array, array.astype(np.float32) / 7, array.astype(np.uint8), np.stack([array, array], axis=-1)):
        image = nib.Nifti1Image(data, affine)
        image.set_qform(affine, code=1)
        image.set_sform(affine, code=2)
        files.append(image.to_bytes())
    scaled = nib.Nifti1Image(array, affine)
    scaled.header.set_slope_inter(2.0, -1024.0)
    scaled.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"made by code"))
    big = nib.Nifti1Image(array, affine, header=nib.Nifti1Header(endianness=">"))
    return [*files, scaled.to_bytes(), big.to_bytes(), nib.Nifti2Image(array, affine).to_bytes()]


def gzip_files() -> list[bytes]:
    """Gzip streams: one member, two members, stored."""
    whole = nifti_files()[0]
    two = gzip.compress(whole[:400], mtime=0) + gzip.compress(whole[400:], mtime=0)
    return [gzip.compress(whole, mtime=0), two, gzip.compress(whole, compresslevel=0, mtime=0)]


def png_files() -> list[bytes]:
    """PNG: grey, 16 bit, colour, palette, alpha, one bit, turned by EXIF."""
    eight, rgb = grey(bits=8)[0], np.stack([grey(bits=8)[0], grey(bits=8)[0].T, 255 - grey(bits=8)[0]], axis=-1)
    palette = Pillow.fromarray(rgb).quantize(7)
    exif = Pillow.Exif()
    exif[0x0112] = 6
    return [
        _pillow(eight, "PNG"), _pillow(grey()[0], "PNG"), _pillow(rgb, "PNG", exif=exif), saved(palette, "PNG"),
        _pillow(np.dstack([rgb, eight]), "PNG"), saved(Pillow.fromarray(eight > 90), "PNG"),
    ]  # fmt: skip


def jpeg_files() -> list[bytes]:
    """JPEG: grey, colour, progressive, CMYK, turned by EXIF."""
    rgb = np.stack([grey(bits=8)[0], grey(bits=8)[0].T, 255 - grey(bits=8)[0]], axis=-1)
    exif = Pillow.Exif()
    exif[0x0112] = 8
    return [
        _pillow(grey(bits=8)[0], "JPEG"), _pillow(rgb, "JPEG", exif=exif), _pillow(rgb, "JPEG", progressive=True),
        saved(Pillow.fromarray(rgb).convert("CMYK"), "JPEG"),
    ]  # fmt: skip


def tiff_files() -> list[bytes]:
    """TIFF: plain, 16 bit, deflate, LZW, packed bits, colour in planes, tiles, BigTIFF, two pages."""
    import tifffile

    rgb = np.stack([grey(bits=8)[0], grey(bits=8)[0].T, 255 - grey(bits=8)[0]], axis=-1)
    files = [_pillow(rgb, "TIFF", compression=name) for name in ("raw", "tiff_lzw", "packbits", "tiff_adobe_deflate")]
    for array, options in (
        (grey()[0], {"photometric": "minisblack"}),
        (rgb.astype(np.uint16) * 200, {"photometric": "rgb", "compression": "zlib", "predictor": True}),
        (rgb.transpose(2, 0, 1), {"photometric": "rgb", "planarconfig": "separate"}),
        (grey()[0], {"photometric": "minisblack", "tile": (16, 16)}),
        (grey(2), {"photometric": "minisblack"}),
    ):
        out = io.BytesIO()
        tifffile.imwrite(out, array, metadata=None, **options)
        files.append(out.getvalue())
    out = io.BytesIO()
    tifffile.imwrite(out, grey(bits=8)[0], bigtiff=True, byteorder=">", metadata=None)
    return [*files, out.getvalue()]


def manifest_files() -> list[bytes]:
    """Manifests, one with every rare column and quoted fields."""
    return [
        b"case_id,subject_id,domain,image,mask,grade\nc1,s1,ct,a/1.nii.gz,m/1.nii.gz,2\nc2,s2,mr,a/2.nii.gz,,\n",
        b"\xef\xbb\xbfcase_id,subject_id,domain,image,volume,series,reviewed,note\r\n"
        b'001,s,ct,x,0,1.2.3,yes,"a ""b"", c"\r\n',
    ]


def origin_files() -> list[bytes]:
    """The JSON beside a translated manifest."""
    return [b'{"parent": "00", "run": "r1", "digest": null}', b'{"parent": null, "run": ["a", {"b": 1e9}]}']


def study_files() -> list[bytes]:
    """Study files: a whole one with a profile, one with anchors."""
    whole = b"""name: tiny
question: does it help?
manifest: m.csv
data_root: .
output: out
preparation: {preset: photograph, size_px: 64}
direction: {source: a, target: b}
translators:
- {name: gan, method: cyclegan, recipe: {total_steps: 10}}
tasks:
- {name: lesion, task: segmentation, label: mask, arms: [{name: target-only}, {name: mixed, images: gan, use: beside}]}
primary: lesion/mixed/dice
margin: 0.02
profiles:
  quick: {folds: 2, translators: [{name: gan, recipe: {total_steps: 1}}]}
"""
    return [whole, b"a: &a [1, 2]\nb: *a\nname: !!str x\n? [k]\n: 2020-01-01\n"]


def saved(picture: Pillow.Image, file_format: str, **options: object) -> bytes:
    """The file that Pillow makes of a picture."""
    out = io.BytesIO()
    picture.save(out, file_format, **options)
    return out.getvalue()


def _pillow(array: np.ndarray, file_format: str, **options: object) -> bytes:
    return saved(Pillow.fromarray(array), file_format, **options)
