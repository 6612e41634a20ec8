"""Which files a recipe's losses look through: part of what a run is, since it learns from them."""

from collections.abc import Iterator

from pydantic import BaseModel

from medgan.settings.features import FeatureSettings
from medgan.training.features import features_digest


def loss_files(recipe: BaseModel) -> dict[str, str]:
    """Digests of the files of frozen networks that a recipe names, wherever in it they stand.

    Args:
        recipe: A method's settings.

    Returns:
        SHA-256 by the setting's path, such as ``extra.segmenter``; nothing for networks without a file.

    Raises:
        CheckpointError: C001, if there is no such file.
    """
    return {key: features_digest(settings) for key, settings in _networks(recipe) if settings.weights is not None}


def _networks(settings: BaseModel, key: str = "") -> Iterator[tuple[str, FeatureSettings]]:
    for name in type(settings).model_fields:
        value, path = getattr(settings, name), f"{key}.{name}" if key else name
        if isinstance(value, FeatureSettings):
            yield path, value
        elif isinstance(value, BaseModel):
            yield from _networks(value, path)
