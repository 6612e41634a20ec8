"""A manifest: one row per case of a study, ids kept as strings."""

import csv
import hashlib
import io
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from medgan.errors import ManifestError
from medgan.manifests.case import OWN_COLUMNS, RARE_COLUMNS, Case, parse_manifest, relative_path
from medgan.manifests.table import replace_text

__all__ = ["Case", "Manifest", "parse_manifest", "read_manifest", "relative_path", "write_manifest"]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Cases with the folder their paths are relative to.

    Args:
        cases: In file order.
        root: Folder that every path is relative to.
        parent: Digest of the manifest this one was translated from, if it was.
        run: Id of the run that translated it, if one did.
        precision: Number format that its networks computed in, where the run's method has networks.
    """

    cases: tuple[Case, ...]
    root: Path
    parent: str | None = None
    run: str | None = None
    precision: str | None = None

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical CSV text."""
        return hashlib.sha256(_to_csv(self.cases).encode()).hexdigest()

    @property
    def domains(self) -> tuple[str, ...]:
        """Domain names, sorted."""
        return tuple(sorted({case.domain for case in self.cases}))

    def of_domain(self, domain: str) -> "Manifest":
        """The cases of one domain.

        Raises:
            ManifestError: M004, if the domain has no case.
        """
        return self.of_domains((domain,))

    def of_domains(self, domains: Collection[str]) -> "Manifest":
        """The cases of some domains, in file order.

        Raises:
            ManifestError: M004, if none has a case.
        """
        kept = tuple(case for case in self.cases if case.domain in domains)
        if not kept:
            told = " or ".join(map(repr, domains))
            raise ManifestError("M004", f"no case of domain {told}", expected="one of " + ", ".join(self.domains))
        return replace(self, cases=kept)

    def of_subjects(self, subjects: Iterable[str]) -> "Manifest":
        """The cases of the given subjects, in file order."""
        wanted = frozenset(subjects)
        return replace(self, cases=tuple(case for case in self.cases if case.subject_id in wanted))

    def image_path(self, case: Case) -> Path:
        """Where the case's image lies."""
        return self.root / case.image

    def mask_path(self, case: Case) -> Path | None:
        """Where the case's mask lies, if it has one."""
        return None if case.mask is None else self.root / case.mask


def read_manifest(path: Path, *, root: Path) -> Manifest:
    """Read a manifest CSV; ids stay strings.

    Beside ``x.csv`` a file ``x.json`` may name the parent's digest and the run that made it.

    Raises:
        ManifestError: M000 no file, M001 not UTF-8, M002 not such a table or a blank field, M003 duplicate case,
            M005 bad number, M006 a path or an id leaves the root, M007 ids that a spreadsheet would merge,
            M008 the JSON beside it does not fit.
    """
    cases, errors = parse_manifest(path)
    if errors:
        raise errors[0]
    parent, run, precision, digest = _read_origin(path.with_suffix(".json"))
    manifest = Manifest(cases=cases, root=root, parent=parent, run=run, precision=precision)
    if digest not in {None, manifest.digest}:
        raise ManifestError(
            "M008",
            "the table is not the one its JSON was written for",
            where=path.name,
            got=f"digest {manifest.digest[:12]}",
            expected=f"{str(digest)[:12]}",
            remedy=f"make it again, or remove {path.with_suffix('.json').name} to use it as a manifest of its own",
        )
    return manifest


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write a manifest and, for a translated one, the JSON beside it that names its parent and run."""
    origin = path.with_suffix(".json")
    # The JSON goes first: where a crash leaves only it, its digest does not fit and reading says so.
    if manifest.parent or manifest.run:
        content = {"parent": manifest.parent, "run": manifest.run, "digest": manifest.digest}
        content |= {"precision": manifest.precision} if manifest.precision else {}
        replace_text(origin, json.dumps(content, indent=2) + "\n")
    replace_text(path, _to_csv(manifest.cases))
    if not (manifest.parent or manifest.run):
        origin.unlink(missing_ok=True)


def _read_origin(path: Path) -> tuple[str | None, str | None, str | None, str | None]:
    if not path.exists():
        return None, None, None, None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        origin = tuple(content.get(name) for name in ("parent", "run", "precision", "digest"))
        if not all(value is None or isinstance(value, str) for value in origin):
            raise ValueError("parent, run, precision or digest is no text")  # noqa: TRY301, RUF100
    except (ValueError, AttributeError, RecursionError) as error:
        raise ManifestError(
            "M008",
            "not the JSON of a manifest",
            where=path.name,
            got=str(error)[:120],
            remedy="make the manifest again",
        ) from error
    parent, run, precision, digest = origin
    return parent, run, precision, digest


def _to_csv(cases: tuple[Case, ...]) -> str:
    free = sorted({name for case in cases for name in case.extra})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    own = [*OWN_COLUMNS, *(name for name in RARE_COLUMNS if any(_text(getattr(case, name)) for case in cases))]
    writer.writerow([*own, *free])
    for case in cases:
        values = [getattr(case, name) for name in own] + [case.extra.get(name, "") for name in free]
        writer.writerow([_text(value) for value in values])
    return out.getvalue()


def _text(value: str | int | None) -> str:  # bool is an int
    if value is None or value is False:
        return ""
    return "yes" if value is True else str(value)
