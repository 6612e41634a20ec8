"""Errors about a case of a manifest name its row and id, and not its files."""

from contextlib import AbstractContextManager

from medgan.errors import about
from medgan.manifests.manifest import Case, Manifest


def about_case(manifest: Manifest, case: Case) -> AbstractContextManager[None]:
    """Let whatever goes wrong inside name the case: see :func:`medgan.errors.about`."""
    return about(case.where, {"image": manifest.image_path(case), "mask": manifest.mask_path(case)})
