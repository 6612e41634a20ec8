"""medgan: does translating medical images between domains help, and is it safe?

The public names are imported when they are first used, so that ``import medgan`` stays light.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Case": "medgan.manifests.manifest",
    "Manifest": "medgan.manifests.manifest",
    "read_manifest": "medgan.manifests.manifest",
    "write_manifest": "medgan.manifests.manifest",
    "Study": "medgan.settings.study",
    "read_study": "medgan.settings.study",
    "Image": "medgan.imaging.image",
    "read_image": "medgan.imaging.read",
    "write_image": "medgan.imaging.write",
    "open_run": "medgan.stages.trained",
    "RandDomainTranslated": "medgan.transforms.translation",
    "MedganError": "medgan.errors",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'medgan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
