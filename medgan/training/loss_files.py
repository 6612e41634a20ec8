"""Which files a recipe's losses look through or at: part of what a run is, since it learns from them."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from medgan.errors import CheckpointError
from medgan.settings.features import FeatureSettings
from medgan.training.features import features_digest
from medgan.training.tensor_files import sha256


def loss_files(recipe: BaseModel) -> dict[str, str]:
    """Digests of the files that a recipe names, of frozen networks and images, wherever in it they stand.

    Args:
        recipe: A method's settings.

    Returns:
        SHA-256 by the setting's path, such as ``extra.segmenter``; nothing for networks without a file.

    Raises:
        CheckpointError: C001, if there is no such file.
    """
    return {key: _digest(named) for key, named in _named(recipe)}


def _digest(named: FeatureSettings | Path) -> str:
    if isinstance(named, FeatureSettings):
        return features_digest(named)
    if not named.is_file():
        raise CheckpointError("C001", "no such file", where=str(named), remedy="name an existing file")
    return sha256(named)


def _named(settings: BaseModel, key: str = "") -> Iterator[tuple[str, FeatureSettings | Path]]:
    for name in type(settings).model_fields:
        value, path = getattr(settings, name), f"{key}.{name}" if key else name
        if isinstance(value, FeatureSettings):
            if value.weights is not None:
                yield path, value
        elif isinstance(value, Path):
            yield path, value
        elif isinstance(value, BaseModel):
            yield from _named(value, path)
