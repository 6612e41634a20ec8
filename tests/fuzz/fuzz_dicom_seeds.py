"""Whole, tiny DICOM files, archives and compressed frames, made by code."""

import contextlib
import io
import re
import struct
import zipfile

import numpy as np
import pydicom
from fuzz_seeds import SIZE, grey, saved
from PIL import Image as Pillow
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence

CT, ENHANCED_CT, ULTRASOUND = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.6.1"
SYNTAXES = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "deflated": "1.2.840.10008.1.2.1.99",
    "big": "1.2.840.10008.1.2.2",
    "jpeg": "1.2.840.10008.1.2.4.50",
    "jpeg_extended": "1.2.840.10008.1.2.4.51",
    "jpeg_lossless": "1.2.840.10008.1.2.4.70",
    "jpeg_ls": "1.2.840.10008.1.2.4.80",
    "jpeg_ls_lossy": "1.2.840.10008.1.2.4.81",
    "j2k": "1.2.840.10008.1.2.4.90",
    "j2k_lossy": "1.2.840.10008.1.2.4.91",
    "rle": "1.2.840.10008.1.2.5",
}
COMPRESSED = [name for name in SYNTAXES if name not in ("implicit", "explicit", "deflated", "big")]


def dicom_dataset(syntax: str = "explicit", *, sop_class: str = CT, index: int = 0, **elements: object) -> FileDataset:
    """An axial CT slice of 16 x 16 pixels with 12 bits."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = f"1.2.3.{index + 1}"
    meta.TransferSyntaxUID = SYNTAXES[syntax]
    meta.ImplementationClassUID = "1.2.3"
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    values: dict[str, object] = {
        "SOPClassUID": sop_class,
        "SOPInstanceUID": f"1.2.3.{index + 1}",
        "StudyInstanceUID": "1.2.4",
        "SeriesInstanceUID": "1.2.5",
        "FrameOfReferenceUID": "1.2.6",
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SeriesDescription": "thin",
        "InstanceNumber": index + 1,
        "ImagePositionPatient": [-8.0, -8.0, 2.5 * index],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [0.7, 0.7],
        "SliceThickness": 2.5,
        "Rows": SIZE,
        "Columns": SIZE,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
        "RescaleType": "HU",
        **elements,
    }
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    if "PixelData" not in values:
        order = ">" if syntax == "big" else "<"
        dataset.PixelData = grey(int(dataset.get("NumberOfFrames", 1))).astype(f"{order}u2").tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def dicom_bytes(dataset: FileDataset) -> bytes:
    """The file that a data set makes."""
    out = io.BytesIO()
    dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


def dicom_files() -> list[bytes]:
    """Single files: every plain syntax, RLE, enhanced, colour, nested sequences, signed, a table of values."""
    files = [dicom_bytes(dicom_dataset(name)) for name in ("explicit", "implicit", "deflated", "big")]
    files.append(dicom_bytes(_enhanced()))
    files.append(dicom_bytes(dicom_dataset("rle", **pixels_of(rle_stream(grey()[0])))))
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0, "Modality": "US"}
    eight = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    picture = np.repeat(grey(bits=8)[0][..., None], 3, axis=-1).tobytes()
    files.append(dicom_bytes(dicom_dataset(sop_class=ULTRASOUND, PixelData=picture, **colour, **eight)))
    table = Dataset()
    table.LUTDescriptor, table.LUTData, table.ModalityLUTType = [4, 0, 16], [0, 10, 20, 30], "US"
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    nested = dicom_dataset(ModalityLUTSequence=Sequence([table]), PixelRepresentation=0)
    del nested.RescaleSlope, nested.RescaleIntercept, nested.RescaleType
    files.append(dicom_bytes(nested))
    files.append(
        dicom_bytes(dicom_dataset(PixelRepresentation=1, RescaleSlope="0.5", PhotometricInterpretation="MONOCHROME1"))
    )
    return files


def pixels_of(stream: bytes) -> dict[str, object]:
    """The element that holds one compressed frame."""
    return {"PixelData": encapsulate([stream], has_bot=True)}


def rle_stream(frame: np.ndarray) -> bytes:
    """One frame as RLE, by pydicom."""
    from pydicom.pixels.encoders import RLELosslessEncoder

    return bytes(
        RLELosslessEncoder.encode(
            frame.astype("<u2"),
            rows=SIZE, columns=SIZE, samples_per_pixel=1, photometric_interpretation="MONOCHROME2",
            bits_allocated=16, bits_stored=12, pixel_representation=0, number_of_frames=1, encoding_plugin="pydicom",
        )
    )  # fmt: skip


def codestreams() -> list[bytes]:
    """A byte that chooses a syntax, then one compressed frame; JPEG-LS only where its encoder is installed."""
    jpeg, wavelets = (
        saved(Pillow.fromarray(grey(bits=8)[0]), "JPEG"),
        saved(Pillow.fromarray(grey()[0]), "JPEG2000", no_jp2=True),
    )
    streams = [("rle", rle_stream(grey()[0])), ("j2k", wavelets), ("j2k_lossy", wavelets)]
    streams += [(name, jpeg) for name in ("jpeg", "jpeg_extended", "jpeg_lossless")]
    dataset = dicom_dataset()
    with contextlib.suppress(RuntimeError, ImportError):  # the encoder is an extra
        dataset.compress(SYNTAXES["jpeg_ls"], generate_instance_uid=False)
        streams.append(("jpeg_ls", next(iter(generate_frames(dataset.PixelData, number_of_frames=1)))))
    return [bytes([COMPRESSED.index(name)]) + stream for name, stream in streams]


def zip_files() -> list[bytes]:
    """Zip archives of two slices: stored, deflated, with folders and a file that is no DICOM."""
    slices = [dicom_bytes(dicom_dataset(index=index)) for index in range(2)]
    files = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            for index, data in enumerate(slices):
                archive.writestr(zipfile.ZipInfo(f"study/IM{index}"), data, method)
            archive.writestr(zipfile.ZipInfo("readme.txt"), b"a text", method)
        files.append(out.getvalue())
    return files


def dicomdir_files() -> list[bytes]:
    """A DICOMDIR of two slices, IM0 and IM1 beside it."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.1.3.10", "1.2.7"
    meta.TransferSyntaxUID, meta.ImplementationClassUID = SYNTAXES["explicit"], "1.2.3"
    index = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    kinds = [("PATIENT", {"PatientID": "P"}), ("STUDY", {"StudyInstanceUID": "1.2.4"})]
    kinds += [("SERIES", {"SeriesInstanceUID": "1.2.5", "Modality": "CT"})]
    kinds += [("IMAGE", {"ReferencedFileID": f"IM{number}", "InstanceNumber": number}) for number in range(2)]
    records = []
    for kind, elements in kinds:
        record = _item(**elements)
        record.OffsetOfTheNextDirectoryRecord, record.RecordInUseFlag = 0, 0xFFFF
        record.OffsetOfReferencedLowerLevelDirectoryEntity, record.DirectoryRecordType = 0, kind
        records.append(record)
    index.FileSetID, index.FileSetConsistencyFlag, index.DirectoryRecordSequence = "", 0, Sequence(records)
    index.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 0
    index.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = 0
    placed = dicom_bytes(index)  # offsets are those of the items, which the first writing has shown
    starts = [match.start() for match in re.finditer(b"\xfe\xff\x00\xe0", placed)]
    index.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = starts[0]
    index.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = starts[0]
    for number in range(3):
        records[number].OffsetOfReferencedLowerLevelDirectoryEntity = starts[number + 1]
    records[3].OffsetOfTheNextDirectoryRecord = starts[4]
    return [dicom_bytes(index)]


def segmentation_files() -> list[bytes]:
    """A DICOM SEG of two segments on two slices, where highdicom is installed."""
    try:
        import highdicom as hd
        from highdicom.seg import (
            SegmentAlgorithmTypeValues,
            Segmentation,
            SegmentationTypeValues,
            SegmentDescription,
        )
    except ImportError:
        return []
    from pydicom.sr.codedict import codes

    sources = [pydicom.dcmread(io.BytesIO(dicom_bytes(dicom_dataset(index=index)))) for index in range(2)]
    for source in sources:
        source.PatientID = source.PatientName = source.PatientBirthDate = source.PatientSex = ""
        source.AccessionNumber = source.StudyID = source.StudyDate = source.StudyTime = ""
    labels = np.zeros((2, SIZE, SIZE), np.uint8)
    labels[:, 2:6, 2:6], labels[1, 8:12, 8:14] = 1, 2
    described = [
        SegmentDescription(
            number, f"part {number}", codes.SCT.Tissue, codes.SCT.Organ, SegmentAlgorithmTypeValues.MANUAL
        )
        for number in (1, 2)
    ]
    made = Segmentation(
        source_images=sources, pixel_array=labels, segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=described, series_instance_uid=hd.UID("1.2.9"), series_number=9,
        sop_instance_uid=hd.UID("1.2.9.1"), instance_number=1, manufacturer="x", manufacturer_model_name="x",
        software_versions="1", device_serial_number="1",
    )  # fmt: skip
    return [dicom_bytes(made)]


def nested_sequence(depth: int, *, defined: bool) -> bytes:
    """The bytes of an explicit-VR sequence in a sequence in a sequence, as deep as told."""
    tag, item, sequence_end, item_end = (
        b"\x40\x00\x75\x02",
        b"\xfe\xff\x00\xe0",
        b"\xfe\xff\xdd\xe0",
        b"\xfe\xff\x0d\xe0",
    )
    if not defined:
        start = tag + b"SQ\0\0\xff\xff\xff\xff" + item + b"\xff\xff\xff\xff"
        return start * depth + (item_end + bytes(4) + sequence_end + bytes(4)) * depth
    body, parts = 0, []
    for _ in range(depth):
        parts.append(tag + b"SQ\0\0" + struct.pack("<I", body + 8) + item + struct.pack("<I", body))
        body += 20
    return b"".join(reversed(parts))


def _enhanced() -> FileDataset:
    frames = [
        _item(PlanePositionSequence=Sequence([_item(ImagePositionPatient=[0.0, 0.0, 2.0 * index])]))
        for index in range(2)
    ]
    shared = _item(
        PixelMeasuresSequence=Sequence([_item(PixelSpacing=[1.0, 1.0], SliceThickness=2.0)]),
        PlaneOrientationSequence=Sequence([_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]),
        PixelValueTransformationSequence=Sequence([_item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")]),
    )
    return dicom_dataset(
        sop_class=ENHANCED_CT,
        NumberOfFrames=2,
        PerFrameFunctionalGroupsSequence=Sequence(frames),
        SharedFunctionalGroupsSequence=Sequence([shared]),
    )


def _item(**elements: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset
