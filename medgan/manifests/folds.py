"""Folds: which subjects are tested on in each, and the file that keeps them."""

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medgan.errors import ManifestError
from medgan.manifests.manifest import Manifest
from medgan.manifests.table import read_table, replace_text

_NEVER_TESTED = "train"


@dataclass(frozen=True, kw_only=True)
class Folds:
    """Which subjects are tested on in each fold; all others are trained on.

    Args:
        tests: Test subjects of fold 0, 1, ...; no subject stands in two.
        subjects: Every subject, those never tested on included.
        manifest: Digest of the manifest that was split.
        seed: Seed of the shuffling; None for a split that the manifest gives.
    """

    tests: tuple[frozenset[str], ...]
    subjects: frozenset[str]
    manifest: str
    seed: int | None = None

    def __len__(self) -> int:
        return len(self.tests)

    def test(self, fold: int) -> frozenset[str]:
        """Subjects tested on.

        Raises:
            ManifestError: M021, if the fold does not exist.
        """
        if not 0 <= fold < len(self.tests):
            raise ManifestError(
                "M021",
                "no such fold",
                got=str(fold),
                expected=f"0 to {len(self.tests) - 1}",
                remedy="check folds: and run_folds: in the study file",
            )
        return self.tests[fold]

    def train(self, fold: int) -> frozenset[str]:
        """Subjects trained on.

        Raises:
            ManifestError: M021, if the fold does not exist.
        """
        return self.subjects - self.test(fold)

    def refuse_strangers(self, manifest: Manifest) -> None:
        """Refuse a manifest, such as a translated one, with a subject that these folds do not know.

        Raises:
            ManifestError: M027, naming the first such row.
        """
        for case in manifest:
            if case.subject_id not in self.subjects:
                raise ManifestError(
                    "M027",
                    f"subject {case.subject_id!r} is in no fold",
                    where=case.where,
                    remedy="split again: the manifest has changed since the folds were made",
                )


def write_folds(folds: Folds, path: Path) -> None:
    """Write ``splits.csv`` (subject_id, fold) and a JSON beside it; a fold of ``train`` is never tested on."""
    text = _to_csv(folds)
    content = {
        "folds": len(folds),
        "subjects": len(folds.subjects),
        "manifest": folds.manifest,
        "seed": folds.seed,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    replace_text(path.with_suffix(".json"), json.dumps(content, indent=2) + "\n")
    replace_text(path, text)


def read_folds(path: Path) -> Folds:
    """Read what :func:`write_folds` wrote.

    Raises:
        ManifestError: M000, M001 or M002 no such table, M026 the CSV is not the one its JSON was written for.
    """
    rows = read_table(path, required=("subject_id", "fold"))
    fold_of = {row.values["subject_id"]: row.values["fold"] for row in rows}
    beside = path.with_suffix(".json")
    try:
        content: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8"))
        count, manifest, seed, digest = (content[key] for key in ("folds", "manifest", "seed", "sha256"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _changed(beside, f"{type(error).__name__}: {error}") from error
    tests = tuple(frozenset(name for name, fold in fold_of.items() if fold == str(k)) for k in range(count))
    folds = Folds(tests=tests, subjects=frozenset(fold_of), manifest=manifest, seed=seed)
    if len(fold_of) < len(rows) or hashlib.sha256(_to_csv(folds).encode()).hexdigest() != digest:
        raise _changed(path, f"{len(rows)} rows that do not fit the digest in {beside.name}")
    return folds


def _changed(path: Path, got: str) -> ManifestError:
    return ManifestError(
        "M026",
        "the folds are not as they were written",
        where=path.name,
        got=got,
        expected="splits.csv and splits.json of one split",
        remedy="remove both and split again: results on other folds cannot be compared with earlier ones",
    )


def _to_csv(folds: Folds) -> str:
    fold_of = {subject: str(number) for number, test in enumerate(folds.tests) for subject in test}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("subject_id", "fold"))
    writer.writerows((subject, fold_of.get(subject, _NEVER_TESTED)) for subject in sorted(folds.subjects))
    return out.getvalue()
