"""A mask as an image of its own: what a translator from labels to images takes in."""

from dataclasses import replace

from medgan.errors import ManifestError
from medgan.manifests.case import Case

MASK_DOMAIN = "mask"


def mask_and_image(case: Case) -> tuple[Case, Case]:
    """Make two cases of one that has a mask: its mask as an image of domain ``mask``, and itself; a pair.

    Both keep the mask as their label, so that what is drawn from it can be trained on.

    Args:
        case: With a mask, and no pair so far.

    Raises:
        ManifestError: M037, if it has no mask; M038, if it is one of a pair already.

    Example:
        >>> case = Case(case_id="1", subject_id="s", domain="skin", image="i/1.jpg", mask="m/1.png")
        >>> [(one.case_id, one.domain, one.image, one.pair_id) for one in mask_and_image(case)]
        [('1-mask', 'mask', 'm/1.png', '1'), ('1', 'skin', 'i/1.jpg', '1')]
    """
    if case.mask is None:
        raise ManifestError("M037", "the case has no mask", where=case.where, remedy="leave it out")
    if case.pair_id is not None:
        raise ManifestError("M038", "the case is one of a pair already", where=case.where, got=case.pair_id)
    mask = replace(
        case,
        case_id=f"{case.case_id}-mask",
        domain=MASK_DOMAIN,
        image=case.mask,
        pair_id=case.case_id,
        volume=None,
        series=None,
    )
    return mask, replace(case, pair_id=case.case_id)
