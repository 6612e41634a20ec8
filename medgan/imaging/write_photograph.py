"""Write a photograph as PNG, JPEG or TIFF."""

from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from medgan.imaging.image import Image, Pixels
from medgan.imaging.quantize import to_stored


def write_photograph(image: Image, path: Path, like: Image) -> int:
    """Write a photograph; the source's colour profile goes with it, its EXIF block does not.

    Args:
        image: (1, H, W) or (3, H, W), upright.
        path: Where to.
        like: The source; its colour profile is taken from its file.

    Returns:
        How many values were clipped.
    """
    stored, clipped = to_stored(image.pixels, image.stored.dtype)
    array = stored[0] if image.channels == 1 else np.ascontiguousarray(np.moveaxis(stored, 0, -1))
    profile = _colour_profile(like) if image.channels == like.channels else None
    if image.stored.format == "tiff":
        _write_tiff(array, path, profile)
    elif image.stored.format == "jpeg":
        _write_jpeg(array, path, profile)
    elif array.ndim == 3 and array.dtype == np.uint16:
        _write_rgb16(array, path)
    else:
        Pillow.fromarray(array).save(path, format="PNG", icc_profile=profile)
    return clipped


def _colour_profile(like: Image) -> bytes | None:
    if like.path is None or not like.path.is_file() or any("converted" in note for note in like.stored.notes):
        return None
    with Pillow.open(like.path) as source:
        profile = source.info.get("icc_profile")
    return profile if isinstance(profile, bytes) else None


def _write_tiff(array: Pixels, path: Path, profile: bytes | None) -> None:
    import tifffile

    kind = "rgb" if array.ndim == 3 else "minisblack"
    tifffile.imwrite(path, array, photometric=kind, compression="zlib", iccprofile=profile, metadata=None)


def _write_jpeg(array: Pixels, path: Path, profile: bytes | None) -> None:
    Pillow.fromarray(array).save(path, format="JPEG", quality=95, subsampling=0, icc_profile=profile)


def _write_rgb16(array: Pixels, path: Path) -> None:
    import SimpleITK

    writer = SimpleITK.ImageFileWriter()
    writer.SetImageIO("PNGImageIO")
    writer.SetFileName(str(path))
    writer.Execute(SimpleITK.GetImageFromArray(array, isVector=True))
