"""Manifests by name: a dataset's, or one that joins datasets for a study."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medgan import discover
from medgan.errors import DiscoverError, ManifestError
from medgan.manifests.manifest import Case, Manifest
from medgan.manifests.masks import mask_and_image

_SOURCES = "medgan.manifests.sources"


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Sources that a study joins.

    Args:
        summary: What they are joined for.
        sources: Names of sources.
        keep: Which of their cases are wanted; None takes all.
        masks_too: Whether each case's mask is a case of its own besides: an image to translate from.
        by_source: Whether a case's domain is the dataset that it comes from, as for sites.
    """

    summary: str
    sources: tuple[str, ...]
    keep: Callable[[Case], bool] | None = None
    masks_too: bool = False
    by_source: bool = False


_GRADED_TWICE = frozenset(
    f"idrid-{name}" for name in ("train_021", "train_391", "train_028", "train_327", "train_118", "test_064")
)
"""Three photographs of IDRiD that are in it twice, with grades that differ."""


collections: Mapping[str, Collection] = {
    "clinical_lesions": Collection(
        summary="dermoscopy (source) and smartphone photographs (target) of skin lesions, all with lesion masks",
        sources=("derm_isic2017", "derm_padufes"),
        keep=lambda case: case.mask is not None,
    ),
    "fundus_quality": Collection(
        summary="fundus photographs of poor, middling and good quality, with retinopathy grades",
        sources=("fundus_deepdrid",),
    ),
    "fundus_sites": Collection(
        summary="good fundus photographs of three sites, each a domain, with retinopathy grades at two of them",
        sources=("fundus_deepdrid", "fundus_idrid", "fundus_chase"),
        keep=lambda case: (
            case.domain == "good"
            and (case.grade is not None or case.image.startswith("fundus_chase/"))
            and case.case_id not in _GRADED_TWICE
        ),
        by_source=True,
    ),
    "lesion_synthesis": Collection(
        summary="lesion masks (source) and the dermoscopy images that they were drawn on (target), as pairs",
        sources=("derm_isic2017",),
        keep=lambda case: case.mask is not None,
        masks_too=True,
    ),
    "t1_to_flair": Collection(
        summary="T1 and FLAIR of the same subjects on the same grid",
        sources=("brain_t1_flair",),
        keep=lambda case: case.pair_id is not None,
    ),
}


def names() -> list[str]:
    """Everything that :func:`build_named` knows: collections, then sources."""
    return [*collections, *discover.names(_SOURCES)]


def build_named(wanted: Sequence[str], root: Path) -> Manifest:
    """Build manifests by name and join them.

    Args:
        wanted: Names of collections or sources.
        root: Data root: the folder that holds the datasets.

    Raises:
        DiscoverError: D001 an unknown name.
        ManifestError: M030 to M034 a dataset is not as expected, M035 the same case comes twice.
    """
    cases = [case for name in wanted for case in _cases(name, root)]
    twice = [case_id for case_id, times in Counter(case.case_id for case in cases).items() if times > 1]
    if twice:
        raise ManifestError(
            "M035",
            f"{len(twice)} cases come twice, {twice[0]!r} first",
            where=" and ".join(wanted),
            remedy="name every dataset once, by its own name or by a collection's",
        )
    # Every case gets every free column, as it will have when it is read back.
    blank = {column: "" for case in cases for column in case.extra}
    return Manifest(cases=tuple(replace(case, extra=blank | case.extra) for case in cases), root=root)


def _cases(name: str, root: Path) -> list[Case]:
    collection = collections.get(name) or Collection(summary="", sources=(name,))
    try:
        modules = [discover.load(_SOURCES, source) for source in collection.sources]
    except DiscoverError as error:
        raise DiscoverError(
            "D001", f"no manifest named {name!r}", expected="one of " + ", ".join(names()), remedy=error.remedy
        ) from error
    cases = [
        replace(case, domain=source.partition("_")[2]) if collection.by_source else case
        for source, module in zip(collection.sources, modules, strict=True)
        for case in module.build(root)
        if collection.keep is None or collection.keep(case)
    ]
    return [one for case in cases for one in mask_and_image(case)] if collection.masks_too else cases
