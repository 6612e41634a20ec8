"""Name -> module in a package: what there is, and the choices on a miss."""

import difflib
import importlib
import pkgutil
from types import ModuleType

from medgan.errors import DiscoverError


def names(package: str) -> list[str]:
    """List the public modules of a package, sorted.

    Args:
        package: Dotted name, such as ``"medgan.methods"``.

    Example:
        >>> "cyclegan" in names("medgan.methods")
        True
    """
    path = importlib.import_module(package).__path__
    return sorted(module.name for module in pkgutil.iter_modules(path) if not module.name.startswith("_"))


def load(package: str, name: str) -> ModuleType:
    """Import one module of a package by its short name.

    Raises:
        DiscoverError: If there is no such module; the message lists what there is.
    """
    choices = names(package)
    if name not in choices:
        near = difflib.get_close_matches(name, choices, n=1)
        raise DiscoverError(
            "D001",
            f"no {package.rsplit('.', 1)[-1]} named {name!r}",
            expected="one of " + ", ".join(choices),
            remedy=f"did you mean {near[0]!r}?" if near else "choose one of these or add the file",
        )
    return importlib.import_module(f"{package}.{name}")
