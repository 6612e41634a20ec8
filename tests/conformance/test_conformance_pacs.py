"""A real PACS on the loopback interface takes what was written, and gives the same back."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import dicom_objects as objects
import numpy as np
import pydicom
import pytest

from medgan.imaging.derivation import Derivation
from medgan.imaging.read import read_image, read_label
from medgan.imaging.write import write_image
from medgan.imaging.write_dicom_seg import write_segmentation

ORTHANC = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
pytest.importorskip("pynetdicom", reason="pynetdicom is not installed: it speaks to the PACS")
pytest.importorskip("highdicom", reason='highdicom is not installed: pip install "medgan[dicom]"')
pytestmark = [
    pytest.mark.pacs,
    pytest.mark.skipif(ORTHANC is None, reason="Orthanc is not installed: apt install orthanc"),
]
OWN_TITLE, PACS_TITLE, GET = "MEDGANTEST", "TESTPACS", "1.2.840.10008.5.1.4.1.2.2.3"
UNCOMPRESSED = "1.2.840.10008.1.2.1"
SECONDS = 15.0


@dataclass(frozen=True)
class Pacs:
    port: int

    def store(self, paths: list[Path]) -> None:
        datasets = [pydicom.dcmread(path) for path in paths]
        entity = _entity({str(dataset.SOPClassUID) for dataset in datasets})
        association = entity.associate("127.0.0.1", self.port, ae_title=PACS_TITLE)
        assert association.is_established
        try:
            assert [association.send_c_store(dataset).Status for dataset in datasets] == [0] * len(datasets)
        finally:
            association.release()

    def fetch(self, study: str, series: str, sop_class: str, folder: Path) -> Path:
        """C-GET a series into a folder."""
        from pynetdicom import build_role, evt

        folder.mkdir()

        def keep(event: evt.Event) -> int:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            dataset.save_as(folder / f"{dataset.SOPInstanceUID}.dcm", enforce_file_format=True)
            return 0

        query = pydicom.Dataset()
        query.QueryRetrieveLevel, query.StudyInstanceUID, query.SeriesInstanceUID = "SERIES", study, series
        association = _entity({GET, sop_class}).associate(
            "127.0.0.1",
            self.port,
            ae_title=PACS_TITLE,
            ext_neg=[build_role(sop_class, scp_role=True)],
            evt_handlers=[(evt.EVT_C_STORE, keep)],
        )
        assert association.is_established
        try:
            statuses = [status.Status for status, _ in association.send_c_get(query, GET)]
        finally:
            association.release()
        assert statuses[-1] == 0
        return folder


def _entity(classes: set[str]):
    from pynetdicom import AE

    entity = AE(ae_title=OWN_TITLE)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = SECONDS
    for sop_class in sorted(classes):
        entity.add_requested_context(sop_class, UNCOMPRESSED)
    return entity


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture(scope="module")
def pacs(tmp_path_factory) -> Iterator[Pacs]:
    folder = tmp_path_factory.mktemp("pacs")
    port, http_port = _free_ports()
    settings = {
        "Name": "test", "StorageDirectory": str(folder / "store"), "IndexDirectory": str(folder / "store"),
        "DicomAet": PACS_TITLE, "DicomPort": port, "DicomCheckCalledAet": True, "DicomCheckModalityHost": True,
        "DicomAlwaysAllowEcho": False, "DicomAlwaysAllowStore": False,
        "DicomModalities": {"test": [OWN_TITLE, "127.0.0.1", 104]},
        "HttpServerEnabled": True, "HttpPort": http_port, "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False, "Plugins": [], "StorageCompression": False,
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(settings))
    log = (folder / "log.txt").open("w")
    process = subprocess.Popen([str(ORTHANC), str(folder / "orthanc.json")], stdout=log, stderr=log, cwd=folder)
    try:
        _wait_for(port, process, folder / "log.txt")
        yield Pacs(port)
    finally:
        process.terminate()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def _wait_for(port: int, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"the PACS did not start: {log.read_text()[-800:]}")


def _there_and_back(pacs: Pacs, sent: Path, back: Path) -> list[tuple[pydicom.Dataset, pydicom.Dataset]]:
    """Store a folder, fetch its series, and pair what was sent with what came back."""
    paths = sorted(sent.iterdir())
    pacs.store(paths)
    first = pydicom.dcmread(paths[0])
    pacs.fetch(first.StudyInstanceUID, first.SeriesInstanceUID, first.SOPClassUID, back)
    wanted = {dataset.SOPInstanceUID: dataset for dataset in map(pydicom.dcmread, paths)}
    found = {dataset.SOPInstanceUID: dataset for dataset in map(pydicom.dcmread, back.iterdir())}
    assert wanted.keys() == found.keys()
    return [(wanted[uid], found[uid]) for uid in wanted]


def test_derived_series_come_back_the_same(pacs, rng, tmp_path):
    stored = rng.integers(0, 4096, size=(3, 6, 5)).astype(np.uint16)
    colour = rng.integers(0, 256, size=(6, 5, 3)).astype(np.uint8)
    sources = [
        objects.ct(tmp_path / "ct", stored),
        objects.mr(tmp_path / "mr", stored),
        objects.pet(tmp_path / "pet", stored.astype(np.int16)),
        objects.enhanced_mr(tmp_path / "enhanced", stored, order=[2, 0, 1]),
        objects.picture(tmp_path / "cr", "CR", stored[0], shown="MONOCHROME1"),
        objects.picture(tmp_path / "op", "OP", colour, shown="RGB"),
    ]
    derivation = Derivation(method="cyclegan", run="0a1b2c", weights_sha256="ab" * 32)
    for source in sources:
        image = read_image(source)
        write_image(image, tmp_path / "out" / source.name, like=image, derivation=derivation)
        sent, back = tmp_path / "out" / source.name, tmp_path / f"back {source.name}"
        for one, other in _there_and_back(pacs, sent, back):
            assert one == other, source.name
            assert one.PixelData == other.PixelData
        again = read_image(back)
        np.testing.assert_array_equal(again.pixels, image.pixels)
        assert again.geometry == image.geometry


def test_a_ct_made_of_an_mr_comes_back_in_hu(pacs, rng, tmp_path):
    image = read_image(objects.mr(tmp_path / "mr", rng.integers(0, 3000, size=(3, 6, 5)).astype(np.uint16)))
    hu = image.pixels.astype(np.int32) - 1000
    result = replace(image.with_pixels(hu), stored=replace(image.stored, unit="HU"))
    write_image(result, tmp_path / "ct", like=image)
    pairs = _there_and_back(pacs, tmp_path / "ct", tmp_path / "back")
    again = read_image(tmp_path / "back")
    np.testing.assert_array_equal(again.pixels, hu)
    assert (again.stored.modality, again.stored.unit, again.geometry) == ("CT", "HU", image.geometry)
    source = pydicom.dcmread(next((tmp_path / "mr").iterdir()))
    for _, found in pairs:
        assert (found.StudyInstanceUID, found.FrameOfReferenceUID) == (
            source.StudyInstanceUID,
            source.FrameOfReferenceUID,
        )


def test_a_segmentation_comes_back_the_same(pacs, rng, tmp_path):
    image = read_image(objects.mr(tmp_path / "mr", rng.integers(0, 4096, size=(3, 6, 5)).astype(np.uint16)))
    labels = rng.choice([0, 0, 1, 2, 300], size=image.pixels.shape[1:])
    write_segmentation(labels, tmp_path / "seg" / "1.dcm", like=image, names={1: "liver", 2: "lesion", 300: "cyst"})
    for one, other in _there_and_back(pacs, tmp_path / "seg", tmp_path / "back"):
        assert one == other
    np.testing.assert_array_equal(read_label(tmp_path / "back", like=image), labels)


def test_an_unknown_caller_is_turned_away(pacs, tmp_path, rng):
    """So that the tests above speak to a PACS that looks who calls."""
    from pynetdicom import AE

    entity = AE(ae_title="STRANGER")
    entity.add_requested_context(objects.BASE + "2", UNCOMPRESSED)
    association = entity.associate("127.0.0.1", pacs.port, ae_title=PACS_TITLE)
    (path, *_) = objects.ct(tmp_path / "ct", rng.integers(0, 9, size=(1, 4, 4)).astype(np.uint16)).iterdir()
    try:
        assert not association.is_established or association.send_c_store(pydicom.dcmread(path)).get("Status") != 0
    finally:
        if association.is_established:
            association.release()
