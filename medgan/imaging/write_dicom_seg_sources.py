"""Headers of a source, as short as a segmentation of it needs them."""

from collections.abc import Sequence

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from medgan.imaging.dicom_files import Frame
from medgan.imaging.write_dicom_clean import cleaned
from medgan.imaging.write_dicom_target import SECONDARY_CAPTURE, Target, class_of, complete
from medgan.imaging.write_dicom_values import decimal_text


def source_headers(frames: Sequence[Frame]) -> list[Dataset]:
    """One short header for each file of a source: what a segmentation takes over and refers to.

    Args:
        frames: Of the source, in order.
    """
    unique = {id(frame.dataset): frame for frame in reversed(frames)}
    found: list[Dataset] = []
    for frame in reversed(unique.values()):
        dataset = frame.dataset
        header = cleaned(dataset, crossed=True)
        header.SOPClassUID, header.SOPInstanceUID = class_of(dataset), dataset.SOPInstanceUID
        header.SeriesInstanceUID, header.Modality = dataset.SeriesInstanceUID, str(dataset.get("Modality") or "OT")
        header.Rows, header.Columns = frame.size_px
        if "PerFrameFunctionalGroupsSequence" in dataset:
            _place_groups(header, frame)
        elif np.isfinite(frame.position).all():
            _place(header, header, frame)
            header.ImagePositionPatient = [decimal_text(value) for value in frame.position]
        else:
            header.SOPClassUID = SECONDARY_CAPTURE  # until it is named: any class of one picture without a place
        target = Target(sop_class=header.SOPClassUID, modality=header.Modality, crossed=False)
        complete(header, target, series=str(dataset.SeriesInstanceUID))
        found.append(header)
    return found


def _place(orientation: Dataset, measures: Dataset, frame: Frame) -> None:
    orientation.ImageOrientationPatient = [decimal_text(value) for value in frame.orientation.ravel()]
    measures.PixelSpacing = [decimal_text(value) for value in frame.spacing_mm]
    measures.SliceThickness = decimal_text(frame.thickness_mm) if frame.thickness_mm else None


def _place_groups(header: Dataset, frame: Frame) -> None:
    """Functional groups of an enhanced source: what all frames share in the shared ones, whoever held it before."""
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    _place(orientation, measures, frame)
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    header.NumberOfFrames = frame.dataset.get("NumberOfFrames") or 1
    header.SharedFunctionalGroupsSequence = [shared]
    header.PerFrameFunctionalGroupsSequence = frame.dataset.PerFrameFunctionalGroupsSequence


def name_picture(made: Dataset, frame: Frame) -> None:
    """Refer to a picture by its own class, and by its number in a file of several.

    Args:
        made: A segmentation of it, changed in place.
        frame: The picture.
    """
    dataset = frame.dataset
    several = int(dataset.get("NumberOfFrames") or 1) > 1

    def name(item: Dataset, element: DataElement) -> None:
        if element.keyword == "ReferencedSOPInstanceUID" and element.value == dataset.SOPInstanceUID:
            item.ReferencedSOPClassUID = class_of(dataset)
            if several and "PurposeOfReferenceCodeSequence" in item:
                item.ReferencedFrameNumber = frame.index + 1

    made.walk(name)
