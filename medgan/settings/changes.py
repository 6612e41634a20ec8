"""What differs between two sets of settings: the keys, and both values."""

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

_DIGEST = re.compile(r'"?([0-9a-f]{12})[0-9a-f]{52}"?')


class Change(NamedTuple):
    """One setting that differs.

    Args:
        key: Its path, with dots.
        old: Its value as JSON, or ``"unset"``; a digest is told by its first 12 digits.
        new: The same of the other.
    """

    key: str
    old: str
    new: str


def changes(old: Mapping[str, object], new: Mapping[str, object]) -> list[Change]:
    """Every setting that differs, by key.

    Example:
        >>> changes({"recipe": {"steps": 2}}, {"recipe": {"steps": 3, "width": 8}})
        [Change(key='recipe.steps', old='2', new='3'), Change(key='recipe.width', old='unset', new='8')]
    """
    one, other = _flat(old), _flat(new)
    keys = sorted(one.keys() | other.keys())
    differing = [key for key in keys if one.get(key) != other.get(key)]
    return [Change(key, _told(one.get(key)), _told(other.get(key))) for key in differing]


def in_words(found: list[Change], *, most: int = 8) -> str:
    """Changes on one line, such as ``"recipe.steps 2 -> 3"``."""
    more = f"; and {len(found) - most} more" if len(found) > most else ""
    return "; ".join(f"{key} {old} -> {new}" for key, old, new in found[:most]) + more


def _told(value: str | None) -> str:
    return "unset" if value is None else _DIGEST.sub(r"\1", value)


def _flat(value: object, key: str = "") -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {key: json.dumps(value, default=str)}
    return {k: v for name, part in value.items() for k, v in _flat(part, f"{key}.{name}" if key else name).items()}
