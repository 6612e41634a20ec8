"""What a decoder of one photograph format hands on."""

from dataclasses import dataclass

from medgan.imaging.image import Pixels


@dataclass(frozen=True)
class DecodedPhotograph:
    """A photograph as its file holds it.

    Args:
        array: uint8 or uint16, (H, W) or (H, W, 3), not turned.
        notes: What decoding did beside.
        turn: EXIF orientation, 1 to 8; None where the file says none.
        profile: ICC profile.
        full_shape: (H, W) of the picture, where ``array`` is a smaller version of it.
    """

    array: Pixels
    notes: tuple[str, ...] = ()
    turn: int | None = None
    profile: bytes | None = None
    full_shape: tuple[int, int] | None = None
