"""Profiles of a study file: named sets of changes, one of which is laid over the rest."""

import difflib
from collections.abc import Mapping
from typing import Any

from medgan.errors import SettingsError


def with_profile(content: Mapping[str, Any], profiles: Any, name: str, *, file: str) -> dict[str, Any]:
    """The content of a study file with one of its profiles laid over it.

    Lists of named entries, such as translators, are changed entry by entry; anything else is replaced.

    Args:
        content: Settings as the file says them, without the profiles.
        profiles: Changes by the profiles' names.
        name: The profile wanted.
        file: Name of the file, for errors.

    Raises:
        SettingsError: S001 the profile is no mapping, S003 unknown profile, S006 it changes an entry that is not there.

    Example:
        >>> with_profile({"folds": 5, "seeds": [0]}, {"small": {"folds": 2}}, "small", file="study.yaml")
        {'folds': 2, 'seeds': [0]}
    """
    laid: dict[str, Any] = _lay_over(dict(content), _profile(profiles, name, file), where=f"{file}, profile {name}")
    return laid


def _profile(profiles: Any, name: str, file: str) -> dict[str, Any]:
    known = profiles if isinstance(profiles, dict) else {}
    if name not in known:
        near = difflib.get_close_matches(name, map(str, known), n=1)
        raise SettingsError(
            "S003",
            f"no profile {name!r}",
            where=file,
            expected=", ".join(map(str, known)) or "none",
            remedy=f"did you mean {near[0]!r}?" if near else "",
        )
    changes = known[name]
    if not isinstance(changes, dict):
        raise SettingsError(
            "S001", f"the profile {name!r} is not a mapping of settings", where=file, got=type(changes).__name__
        )
    return changes


def _lay_over(base: Any, changes: Any, *, where: str) -> Any:
    """Lay changes over settings; a list of named entries is changed entry by entry, anything else replaced."""
    if isinstance(base, dict) and isinstance(changes, dict):
        laid = {key: _lay_over(base.get(key), value, where=f"{where}.{key}") for key, value in changes.items()}
        return {**base, **laid}
    if _is_named_list(base) and _is_named_list(changes):
        by_name = {entry["name"]: entry for entry in changes}
        strange = sorted(set(map(str, by_name)) - {str(entry["name"]) for entry in base})
        if strange:
            raise SettingsError(
                "S006",
                f"the profile changes {strange[0]!r}, which the study does not have",
                where=where,
                expected="one of " + ", ".join(str(entry["name"]) for entry in base),
            )
        return [_lay_over(entry, by_name.get(entry["name"], {}), where=where) for entry in base]
    return changes


def _is_named_list(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in value)
    )
