"""A YAML or JSON file as plain values: no objects, and nothing that unfolds to more than a settings file needs."""

import json
from pathlib import Path
from typing import Any

import yaml

from medgan.errors import SettingsError

_MAX_BYTES = 4 * 2**20
_MAX_VALUES = 100_000
_MAX_DEPTH = 50


def load_mapping(path: Path) -> dict[str, Any]:
    """Read a mapping of settings.

    Args:
        path: YAML, or JSON if it is named so.

    Raises:
        SettingsError: S000 no such file, S001 not YAML, not a mapping, nested too deep, larger than any settings
            once its references are followed, or with a character that no path can hold.
    """
    if not path.is_file():
        raise SettingsError("S000", "no such study file", where=str(path))
    if path.stat().st_size > _MAX_BYTES:
        raise SettingsError("S001", "too large for a file of settings", where=path.name, expected="4 MiB at most")
    try:
        text = path.read_text(encoding="utf-8")
        # YAML would read JSON's 5e-05 as a text.
        content = json.loads(text) if path.suffix == ".json" else yaml.load(text, Loader=_Loader)  # noqa: S506
    except RecursionError as error:
        raise _too_much(path) from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, not JSON, a date or a number beyond all
        got = " ".join(str(error).split())[:300]
        raise SettingsError("S001", "not a YAML file", where=path.name, got=got) from error
    if not isinstance(content, dict):
        raise SettingsError("S001", "not a mapping of settings", where=path.name, got=type(content).__name__)
    _refuse_bomb(content, path)
    return content


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, but for keys that stand twice, and merges (``<<``) that double what is merged."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} stands twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > _MAX_VALUES:
            raise yaml.constructor.ConstructorError(None, None, "merged keys without end", node.start_mark)


def _refuse_bomb(content: Any, path: Path) -> None:
    """Walk all values as they unfold: ten lines of references can stand for a billion values, or for themselves."""
    count, waiting = 0, [(content, 0)]
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if count > _MAX_VALUES or depth > _MAX_DEPTH:
            raise _too_much(path)
        if isinstance(value, dict):
            waiting += [(part, depth + 1) for pair in value.items() for part in pair]
        elif isinstance(value, list | tuple | set):
            waiting += [(part, depth + 1) for part in value]
        elif isinstance(value, str) and ("\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value)):
            raise SettingsError(
                "S001", "a text holds a character that no path or page can hold", where=path.name, got=ascii(value)[:80]
            )


def _too_much(path: Path) -> SettingsError:
    return SettingsError(
        "S001",
        "nested too deep, or more values than a study has once its references are followed",
        where=path.name,
        expected=f"{_MAX_DEPTH} levels and {_MAX_VALUES:,} values at most",
    )
