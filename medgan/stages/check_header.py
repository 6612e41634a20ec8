"""Identities that have gone from a DICOM header into a manifest."""

from collections.abc import Iterator
from pathlib import Path, PurePath

import pydicom

from medgan.errors import MedganError
from medgan.imaging.dicom_parse import parsing
from medgan.imaging.dicom_sources import sources_of
from medgan.manifests.findings import Finding
from medgan.manifests.manifest import Case, Manifest

_TAGS = ("PatientID", "PatientName", "OtherPatientIDs", "AccessionNumber")
_REMOVED = "PatientIdentityRemoved"
_SHORTEST_IN_A_PATH = 4


def header_names_subject(manifest: Manifest, case: Case) -> Iterator[Finding]:
    """The warning M056 of a row that repeats the patient's id, name or accession number from the DICOM header.

    A header that says that the identity was removed (0012,0062) holds a pseudonym, which may stand anywhere. The value
    itself is never told.

    Args:
        manifest: Where the case stands.
        case: A case whose DICOM image can be read.
    """
    header = _first_header(manifest.image_path(case))
    if header.get(_REMOVED) == "yes":
        return
    places = {name: (getattr(case, name) or "").casefold() for name in ("subject_id", "case_id", "pair_id")}
    parts = {part.casefold() for part in PurePath(case.image).parts} | {PurePath(case.image).stem.casefold()}
    for keyword in _TAGS:
        value = header.get(keyword, "")
        repeated = [name for name, held in places.items() if value and held == value]
        if len(value) >= _SHORTEST_IN_A_PATH and value in parts:
            repeated.append("the image's path")
        if repeated:
            yield Finding(
                code="M056",
                severity="warning",
                where=f"row {case.row}" if case.row is not None else "a row",  # a case's own name may be the identity
                message=f"{' and '.join(repeated)} is the header's {keyword}",
                remedy="use a pseudonym: ids and paths go into reports, file names and shared manifests",
            )


def _first_header(path: Path) -> dict[str, str]:
    """The identity in the first DICOM file below a path, in small letters; nothing where none can be read."""
    keywords = [*_TAGS, _REMOVED]
    try:
        with sources_of(path) as (sources, _):
            for source in sources:
                with parsing(source.path), source.open() as file:
                    header = pydicom.dcmread(file, specific_tags=list(keywords), stop_before_pixels=True, force=True)
                    found = {keyword: str(header.get(keyword) or "").strip().casefold() for keyword in keywords}
                if any(found.values()):
                    return found
    except MedganError:
        return {}
    return {}
