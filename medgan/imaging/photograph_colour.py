"""Which colours a photograph's numbers stand for, as far as its profile says."""

import re

_KNOWN = ("Adobe RGB", "Display P3", "ProPhoto RGB", "Apple RGB", "Wide Gamut RGB")


def profile_note(profile: bytes | None) -> str | None:
    """What to tell a reader of the picture about its colour profile.

    The numbers are never converted: a conversion would not come back to the last bit. The profile goes with the
    translated picture, which therefore shows the same colours. What matters is not to mix profiles in one study.

    Args:
        profile: An ICC profile.

    Returns:
        A note, or None where there is no profile or it is sRGB, which is what a picture without one means.
    """
    if not profile:
        return None
    # only names that are looked for are repeated: a profile's own text may say where and when it was made
    text = profile[: 1 << 16].replace(b"\0", b"").decode("latin-1")
    if re.search(r"sRGB|IEC ?61966-2", text):
        return None
    name = next((known for known in _KNOWN if known.replace(" ", "") in text.replace(" ", "")), "not sRGB")
    return f"colour profile kept, values as stored: {name}"
