"""Text that stands in the pixels, where no header can take it out: such images wait until a person has looked."""

from medgan.errors import ReadError
from medgan.imaging.image import Image


def burned_in_text(image: Image) -> str:
    """Say why an image may hold text in its pixels, or nothing where there is no sign of it."""
    return image.stored.burned_in


def refuse_unreviewed(image: Image, *, reviewed: bool, where: str) -> None:
    """Keep an image out of a study until somebody has looked for names and dates in its pixels.

    Raises:
        ReadError: R050, if it may hold text and the manifest does not say that it was reviewed.
    """
    why = "" if reviewed else burned_in_text(image)
    if why:
        raise ReadError(
            "R050",
            "quarantined: the pixels may hold text that names the patient",
            where=where,
            got=why,
            remedy="look at it; crop or blank what you find, then write yes in the manifest's column reviewed",
        )
