"""What makes an instance say of itself that it is derived, synthetic, and by whom and from what."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import UID, generate_uid

from medgan import __version__
from medgan.imaging.derivation import Derivation, plain_text

SERIES_DESCRIPTION = "SYNTHETIC - NOT FOR DIAGNOSIS"
MANUFACTURER = "medgan"
_FIRST_SERIES_NUMBER = 9000
_LAST_NUMBER = 2**31 - 1
_SCHEME = "99MEDGAN"
_EQUIPMENT = (
    "Manufacturer", "StationName", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions", "DeviceUID",
    "UDISequence", "SpatialResolution", "DateOfLastCalibration", "TimeOfLastCalibration", "GantryID",
    "ManufacturerDeviceClassUID", "ManufacturerDeviceIdentifier",
)  # fmt: skip
_NO_CONTRIBUTION = ("GantryID", "ManufacturerDeviceClassUID", "ManufacturerDeviceIdentifier")


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What all instances of one derived series share.

    Args:
        series_uid: SeriesInstanceUID of the new series.
        derivation: What made the values.
    """

    series_uid: UID
    derivation: Derivation | None

    @property
    def description(self) -> str:
        """One line on how the pixels came about, below 500 characters of ASCII."""
        how = str(self.derivation.plain()) if self.derivation else "no method named"
        return f"Translated between image domains: {how}. Synthetic, not for diagnosis."

    @property
    def serial_number(self) -> str:
        """What stands for a serial number where an object must have one: the run, else the weights, else none."""
        plain = self.derivation.plain() if self.derivation else None
        return (plain.run or plain.weights_sha256[:16]) if plain and (plain.run or plain.weights_sha256) else "none"

    def instance_uid(self, *parts: str) -> UID:
        """An SOPInstanceUID that is the same whenever series and parts are."""
        return generate_uid(entropy_srcs=[str(self.series_uid), *parts])


def make_stamp(source_series: str, derivation: Derivation | None, content: Sequence[bytes | str]) -> Stamp:
    """A stamp whose series UID follows from what will be written: the same content has the same UIDs, anywhere.

    Args:
        source_series: SeriesInstanceUID of the source.
        derivation: What made the values.
        content: Pixels, rescale and class: all that may differ between two derivations of one source.
    """
    digest = hashlib.sha256()
    for part in (__version__, source_series, str(derivation or ""), *content):
        raw = part if isinstance(part, bytes) else part.encode()
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return Stamp(series_uid=generate_uid(entropy_srcs=[digest.hexdigest()]), derivation=derivation)


def stamp_instance(dataset: Dataset, stamp: Stamp, *, sop_class: str, instance: UID, number: int) -> None:
    """Give an instance its new identity and say that it is synthetic.

    The series number is the source's plus 9,000, so that it stands behind all acquired series of a study.

    Args:
        dataset: Changed in place; still has the source's series number and equipment.
        stamp: Of its series.
        sop_class: Its SOPClassUID.
        instance: Its SOPInstanceUID.
        number: Its InstanceNumber.
    """
    dataset.SOPClassUID, dataset.SOPInstanceUID = UID(sop_class), instance
    dataset.SeriesInstanceUID, dataset.SeriesDescription = stamp.series_uid, SERIES_DESCRIPTION
    dataset.SeriesNumber, dataset.InstanceNumber = series_number(dataset.get("SeriesNumber")), number
    dataset.SyntheticData = "YES"
    dataset.DerivationDescription = stamp.description
    dataset.DerivationCodeSequence = [derivation_code()]
    dataset.CodingSchemeIdentificationSequence = _with_own_scheme(dataset)
    dataset.ContributingEquipmentSequence = [*_contributions(dataset), own_contribution(stamp.description)]
    for keyword in _EQUIPMENT:
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.Manufacturer, dataset.ManufacturerModelName = MANUFACTURER, MANUFACTURER
    dataset.SoftwareVersions = __version__


def series_number(source: object) -> int:
    """SeriesNumber of a derived series: its source's plus 9,000, or 9,000.

    Example:
        >>> series_number(4), series_number(None)
        (9004, 9000)
    """
    text = str(source).strip()
    wanted = _FIRST_SERIES_NUMBER + int(text) if text.isdecimal() else _FIRST_SERIES_NUMBER
    return wanted if wanted <= _LAST_NUMBER else _FIRST_SERIES_NUMBER


def source_image(sop_class: str, instance: str, *, frame: int | None = None) -> Dataset:
    """An item of SourceImageSequence.

    Args:
        sop_class: Of the source.
        instance: Its SOPInstanceUID.
        frame: Which of its frames, from 1; None for all.
    """
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
    if frame is not None:
        item.ReferencedFrameNumber = frame
    item.PurposeOfReferenceCodeSequence = [code("121322", "DCM", "Source image for image processing operation")]
    item.SpatialLocationsPreserved = "YES"
    return item


def derivation_code() -> Dataset:
    """The DerivationCodeSequence item: CID 7203 is extensible, and none of its codes says what was done."""
    return code("TRANSLATE", _SCHEME, "Translation between image domains by a learned model")


def own_contribution(description: str) -> Dataset:
    """The ContributingEquipmentSequence item of this program, with one line on what it did."""
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code("109102", "DCM", "Processing Equipment")]
    item.Manufacturer, item.ManufacturerModelName = MANUFACTURER, MANUFACTURER
    item.SoftwareVersions = __version__
    item.ContributionDescription = description
    return item


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, plain_text(meaning)
    return item


def _contributions(dataset: Dataset) -> list[Dataset]:
    """What contributed to the source, and the scanner that acquired it."""
    before = list(dataset.get("ContributingEquipmentSequence") or [])
    if not str(dataset.get("Manufacturer") or "") or dataset.Manufacturer == MANUFACTURER:
        return before
    scanner = Dataset()
    scanner.PurposeOfReferenceCodeSequence = [code("109101", "DCM", "Acquisition Equipment")]
    for keyword in (*_EQUIPMENT, "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName"):
        if keyword not in _NO_CONTRIBUTION and dataset.get(keyword) not in (None, ""):
            scanner[keyword] = dataset[keyword]
    return [*before, scanner]


def _with_own_scheme(dataset: Dataset) -> list[Dataset]:
    others = [
        item
        for item in dataset.get("CodingSchemeIdentificationSequence") or []
        if item.get("CodingSchemeDesignator") != _SCHEME
    ]
    own = Dataset()
    own.CodingSchemeDesignator, own.CodingSchemeName = _SCHEME, "Codes of medgan"
    own.CodingSchemeResponsibleOrganization = MANUFACTURER
    return [*others, own]
