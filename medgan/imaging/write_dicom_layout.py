"""Frames of a source -> headers of derived files: one for each slice, or one enhanced file as the source is."""

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID

from medgan.imaging.dicom_files import Frame, value_of
from medgan.imaging.write_dicom_clean import MULTI_FRAME, cleaned
from medgan.imaging.write_dicom_identity import Stamp, derivation_code, source_image, stamp_instance
from medgan.imaging.write_dicom_target import (
    ENHANCED,
    NUCLEAR,
    Target,
    class_of,
    complete,
    image_type,
    needs_content_date,
)
from medgan.imaging.write_dicom_values import decimal_text

_OF_ORIGINALS = (  # MR Pulse Sequence module: only where ImageType is ORIGINAL or MIXED
    "MRAcquisitionType", "PulseSequenceName", "EchoPulseSequence", "MultipleSpinEcho", "MultiPlanarExcitation",
    "PhaseContrast", "VelocityEncodingAcquisitionSequence", "TimeOfFlightContrast", "ArterialSpinLabelingContrast",
    "SteadyStatePulseSequence", "EchoPlanarPulseSequence", "SaturationRecovery", "SpectrallySelectedSuppression",
    "OversamplingPhase", "GeometryOfKSpaceTraversal", "RectilinearPhaseEncodeReordering",
    "SegmentedKSpaceTraversal", "CoverageOfKSpace", "NumberOfKSpaceTrajectories",
)  # fmt: skip


def slice_header(frame: Frame, target: Target, stamp: Stamp, *, number: int) -> Dataset:
    """Header of a file with one slice or picture.

    Args:
        frame: The slice of the source.
        target: What it becomes.
        stamp: Of its series.
        number: Its InstanceNumber.
    """
    source = frame.dataset
    several = int(source.get("NumberOfFrames") or 1) > 1
    header = _plain_header(source, target, frame=frame.index + 1 if several else None)
    if several or frame.tile is not None or "PerFrameFunctionalGroupsSequence" in source:
        _flatten(header, frame)
    instance = stamp.instance_uid(str(source.SOPInstanceUID), str(frame.index))
    stamp_instance(header, stamp, sop_class=target.sop_class, instance=instance, number=number)
    complete(header, target, series=str(source.SeriesInstanceUID))
    return header


def stack_header(frames: Sequence[Frame], target: Target, stamp: Stamp, *, number: int) -> Dataset:
    """Header of a nuclear medicine file, whose slices follow from its first and their distance.

    Args:
        frames: All of the source's, by index.
        target: The source's own class.
        stamp: Of its series.
        number: Its InstanceNumber.
    """
    source = frames[0].dataset
    header = _plain_header(source, target, frame=None)
    instance = stamp.instance_uid(str(source.SOPInstanceUID))
    stamp_instance(header, stamp, sop_class=target.sop_class, instance=instance, number=number)
    complete(header, target, series=str(source.SeriesInstanceUID))
    return header


def enhanced_header(frames: Sequence[Frame], target: Target, stamp: Stamp, *, number: int) -> Dataset:
    """Header of an enhanced file with those frames of one enhanced source, in the source's order.

    Args:
        frames: By index; a part of the source's where it held duplicates.
        target: The source's own class.
        stamp: Of its series.
        number: Its InstanceNumber.
    """
    source = frames[0].dataset
    header = cleaned(source, crossed=False)
    old = (class_of(source), str(source.SOPInstanceUID))
    kind = image_type(source, target)
    groups = list(header.PerFrameFunctionalGroupsSequence)
    header.PerFrameFunctionalGroupsSequence = [groups[frame.index] for frame in frames]
    header.NumberOfFrames = len(frames)
    header.ImageType = [*kind, *["NONE"] * (4 - len(kind))]
    for keyword in _OF_ORIGINALS:
        header.pop(keyword, None)
    header.PixelPresentation = "MONOCHROME"
    for frame, group in zip(frames, header.PerFrameFunctionalGroupsSequence, strict=True):
        derivation = Dataset()
        derivation.DerivationDescription = stamp.description
        derivation.DerivationCodeSequence = [derivation_code()]
        derivation.SourceImageSequence = [source_image(*old, frame=frame.index + 1)]
        group.DerivationImageSequence = [derivation]
        group.pop("RealWorldValueMappingSequence", None)
        _retype(group, header.ImageType)
    for group in header.get("SharedFunctionalGroupsSequence") or []:
        group.pop("DerivationImageSequence", None)
        group.pop("RealWorldValueMappingSequence", None)
        _retype(group, header.ImageType)
    header.SourceImageEvidenceSequence = [_evidence(source, old)]
    instance = stamp.instance_uid(old[1])
    stamp_instance(header, stamp, sop_class=target.sop_class, instance=instance, number=number)
    del header.DerivationDescription, header.DerivationCodeSequence  # which stand with each frame here
    header.DeviceSerialNumber = stamp.serial_number
    complete(header, target, series=str(source.get("SeriesInstanceUID")))
    return header


def is_enhanced(frame: Frame, target: Target) -> bool:
    """Whether the result is an enhanced file as its source is."""
    return target.sop_class in ENHANCED and bool(frame.dataset.get("PerFrameFunctionalGroupsSequence"))


def is_stack(frames: Sequence[Frame], target: Target) -> bool:
    """Whether the result is one file of many slices without functional groups, as its source is."""
    first = frames[0]
    whole = int(first.dataset.get("NumberOfFrames") or 1) == len(frames)
    return target.sop_class == NUCLEAR and whole and all(frame.dataset is first.dataset for frame in frames)


def instance_numbers(frames: Sequence[Frame]) -> list[int]:
    """InstanceNumber of each slice: the source's where each has its own, else their order along the normal."""
    found = [str(frame.dataset.get("InstanceNumber") or "").strip() for frame in frames]
    if all(text.isdecimal() for text in found) and len(set(found)) == len(found):
        return [int(text) for text in found]
    return list(range(1, len(frames) + 1))


def _plain_header(source: FileDataset, target: Target, *, frame: int | None) -> Dataset:
    header = cleaned(source, crossed=target.crossed)
    header.SourceImageSequence = [source_image(class_of(source), str(source.SOPInstanceUID), frame=frame)]
    header.ImageType = image_type(source, target)
    header.Modality = target.modality
    if "ContentDate" in header and not needs_content_date(target.sop_class):
        header.ContentDate, header.ContentTime = "", ""  # no clock is asked, so that a file is made twice alike
    return header


def _flatten(header: Dataset, frame: Frame) -> None:
    """Say of one frame what its file said of several."""
    for keyword in MULTI_FRAME:
        header.pop(keyword, None)
    if str(frame.dataset.get("Modality")) == "OP":
        header.NumberOfFrames, header.FrameIncrementPointer, header.FrameTime = 1, 0x00181063, "0"
    if not np.isfinite(frame.position).all():
        return
    thickness = value_of(frame.groups, "PixelMeasuresSequence", "SliceThickness")
    header.SliceThickness = decimal_text(float(thickness)) if thickness not in (None, "") else None
    if frame.thickness_mm is not None:
        header.SpacingBetweenSlices = decimal_text(frame.thickness_mm)
    header.ImagePositionPatient = [decimal_text(value) for value in frame.position]
    header.ImageOrientationPatient = [decimal_text(value) for value in frame.orientation.ravel()]
    header.PixelSpacing = [decimal_text(value) for value in frame.spacing_mm]
    header.pop("SliceLocation", None)


def _retype(group: Dataset, kind: Sequence[str]) -> None:
    for element in group:
        if element.keyword.endswith("FrameTypeSequence"):
            for item in element.value:
                item.FrameType = list(kind)
                item.PixelPresentation = "MONOCHROME"  # the colours of a supplemental palette went with the old pixels


def _evidence(source: Dataset, old: tuple[str, str]) -> Dataset:
    instance, series, study = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = old
    series.SeriesInstanceUID, series.ReferencedSOPSequence = UID(str(source.SeriesInstanceUID)), [instance]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = UID(str(source.StudyInstanceUID)), [series]
    return study
