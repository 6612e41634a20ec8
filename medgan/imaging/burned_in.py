"""Text that stands in the pixels, where no header can take it out: such images wait until a person has looked."""

from medgan.errors import ReadError
from medgan.imaging.image import Image


def burned_in_text(image: Image) -> str:
    """Say why an image may hold text in its pixels, or nothing where there is no sign of it.

    A header that says so counts first. A photograph without one is looked at: fundus cameras print name, date and eye
    on the dark ground round the field. Text on the retina or the skin itself is not found, nor handwriting, nor one or
    two letters alone: a clean result is no proof.

    Args:
        image: Any image as read.

    Returns:
        The reason, in words for a message, or an empty string.
    """
    if image.stored.burned_in or image.is_volume:
        return image.stored.burned_in
    from medgan.imaging.burned_in_glyphs import text_on_ground

    return "what looks like text outside the field of view" if text_on_ground(image.pixels) else ""


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
