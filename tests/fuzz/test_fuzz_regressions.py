"""Inputs that once broke the law, and those that are hostile by design: each is read, or refused with a code."""

import contextlib
import gzip
import json
import random
import struct
import time
import zlib

import numpy as np
import pytest
from fuzz_dicom_seeds import dicom_bytes, dicom_dataset, nested_sequence, pixels_of, zip_files
from fuzz_harness import Harness
from fuzz_mutations import mutated
from fuzz_seeds import SIZE, jpeg_files, nifti_files, png_files
from fuzz_targets import targets

from medgan.errors import GeometryError, ManifestError, MedganError, ReadError, SettingsError
from medgan.imaging.read import read_image
from medgan.manifests.manifest import read_manifest
from medgan.settings.study import read_study

HEADER = "case_id,subject_id,domain,image\n"


@pytest.fixture
def read(tmp_path):
    """Write bytes under a name, and read them."""

    def reading(data, name, **options):
        path = tmp_path / name
        path.write_bytes(data)
        return read_image(path, **options)

    return reading


@pytest.fixture
def study(tmp_path):
    def reading(text, name="s.yaml", **options):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return read_study(path, **options)

    return reading


def patched(data, code, *places):
    """Bytes with numbers set: pairs of offset and value."""
    out = bytearray(data)
    for offset, value in zip(places[::2], places[1::2], strict=True):
        struct.pack_into(code, out, offset, value)
    return bytes(out)


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_element(raw):
    """A sound slice with more elements in front of its pixels."""
    data = dicom_bytes(dicom_dataset())
    at = data.index(b"\xe0\x7f\x10\x00OW")
    return data[:at] + raw + data[at:]


class TestVolumes:
    def test_an_error_about_an_affine_is_one_line(self, read):
        with pytest.raises(GeometryError, match="G011") as caught:
            read(patched(nifti_files()[0], "<f", 300, 0.0, 304, 0.0, 316, 0.0, 320, 0.0), "a.nii")
        assert "\n" not in str(caught.value)

    def test_an_affine_whose_squares_overflow(self, read):
        with pytest.raises(MedganError, match="G01"):
            read(patched(nifti_files()[0], "<f", 280, 1e38), "a.nii")

    def test_a_voxel_type_that_nobody_defined(self, read):
        with pytest.raises(ReadError, match="R010"):
            read(patched(nifti_files()[0], "<h", 70, 191), "a.nii")

    def test_a_gzip_bomb_is_left_early(self, read):
        bomb = gzip.compress(nifti_files()[0] + bytes(2**27), compresslevel=1)
        began = time.process_time()
        with pytest.raises(ReadError, match="R006"):
            read(bomb, "a.nii.gz")
        assert time.process_time() - began < 2


class TestDicom:
    @pytest.mark.parametrize("defined", [True, False])
    @pytest.mark.parametrize("tag", [b"\x40\x00\x75\x02", b"\x28\x00\x00\x30"], ids=["unused", "used"])
    def test_sequences_nested_without_end(self, read, tag, defined):
        raw = nested_sequence(5000, defined=defined).replace(b"\x40\x00\x75\x02", tag)
        try:
            image = read(with_element(raw), "a.dcm")
        except ReadError as error:
            assert error.code in ("R010", "R022")  # noqa: PT017 - skipping what is not used is as good
        else:
            assert np.isfinite(image.pixels).all()

    def test_a_million_elements_take_no_square_time(self, read):
        few, many = (
            self._seconds(read, with_element(b"\x40\x00\x75\x02LO\x00\x00" * count)) for count in (50_000, 200_000)
        )
        assert many < 10 * few + 0.5

    def _seconds(self, read, data):
        began = time.process_time()
        with contextlib.suppress(ReadError):
            read(data, "a.dcm")
        return time.process_time() - began

    @pytest.mark.parametrize(("keyword", "value"), [("Rows", 65535), ("NumberOfFrames", 2**31 - 1)])
    def test_sizes_beyond_the_file_are_told_before_they_are_allocated(self, read, keyword, value):
        dataset = dicom_dataset()
        setattr(dataset, keyword, value)
        with pytest.raises(ReadError, match=r"R004|R006|R022"):
            read(dicom_bytes(dataset), "a.dcm")

    def test_a_zip_member_without_a_name(self, read):
        image = read(zip_files()[0].replace(b"readme.txt", b"\0eadme.txt"), "a.zip")
        assert image.pixels.shape == (1, 2, SIZE, SIZE)

    def test_a_zip_whose_names_are_no_utf8(self, read):
        data = zip_files()[0]
        at = data.rindex(b"PK\x01\x02")
        damaged = patched(data, "<H", at + 8, 0x800)[: at + 46] + b"\x88" + data[at + 47 :]
        with pytest.raises(ReadError, match="R031"):
            read(damaged, "a.zip")

    def test_a_name_in_a_zip_moves_no_cursor(self, read):
        data = zip_files()[0].replace(b"study/IM0", b"s\x1b[2J\nIM0").replace(b"thin", b"thik", 1)
        with pytest.raises(ReadError, match=r"R031.*damaged") as caught:
            read(data, "a.zip")
        assert str(caught.value).isprintable()

    def test_rle_of_no_segments(self, read):
        """GDCM divides by their number, which ends the process."""
        stream = bytes(64) + b"\xf1\x00" * 8
        with pytest.raises(ReadError, match="R030"):
            read(dicom_bytes(dicom_dataset("rle", **pixels_of(stream))), "a.dcm")

    @pytest.mark.parametrize("syntax", ["jpeg", "jpeg_extended", "jpeg_lossless", "jpeg_ls"])
    @pytest.mark.parametrize("start", [b"\xff\xd8\xff\xe0\x00\x73", b""])
    def test_a_stream_without_a_frame_header(self, read, syntax, start):
        """GDCM reads such a JPEG for ever."""
        stream = start + bytes.fromhex("74d6d73ab26366756667ffd97a")
        with pytest.raises(ReadError, match=r"R030.*without a frame header"):
            read(dicom_bytes(dicom_dataset(syntax, **pixels_of(stream))), "a.dcm")

    def test_a_uid_that_swallows_the_header(self, tmp_path):
        for index in range(2):
            data = dicom_bytes(dicom_dataset(index=index))
            at = data.index(b"\x20\x00\x0e\x00UI") + 6
            (tmp_path / f"{index}.dcm").write_bytes(patched(data, "<H", at, 300) if index else data)
        with pytest.raises(ReadError, match="R0") as caught:
            read_image(tmp_path)
        assert len(str(caught.value)) < 700

    def test_a_zip_whose_members_lie_before_its_start(self, read):
        data = zip_files()[0]
        at = data.index(b"PK\x01\x02")
        size, offset = struct.unpack_from("<II", data, len(data) - 10)
        with pytest.raises(ReadError, match="R031"):
            read(patched(data, "<I", len(data) - 6, offset + 200, at + 42, 0), "a.zip")
        assert size

    def test_a_zip_bomb(self, read):
        data = zip_files()[1]
        at = data.rindex(b"PK\x01\x02")
        with pytest.raises(ReadError, match=r"R031.*at most"):
            read(patched(data, "<I", at + 24, 2**30), "a.zip")


class TestPhotographs:
    def test_tiny_chunks_without_end(self, read):
        data = png_files()[0]
        many = data[:33] + png_chunk(b"teSt", b"") * 100_000 + data[33:]
        began = time.process_time()
        try:
            read(many, "a.png")
        except ReadError as error:
            assert error.code == "R005"  # noqa: PT017
        assert time.process_time() - began < 3

    @pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
    def test_a_bomb_in_a_text_or_a_profile(self, read, kind):
        data = png_files()[0]
        bomb = png_chunk(kind, b"k\0\0" + zlib.compress(bytes(2**27), 1))
        began = time.process_time()
        try:
            read(data[:33] + bomb + data[33:], "a.png")
        except ReadError as error:
            assert error.code == "R005"  # noqa: PT017
        assert time.process_time() - began < 2

    def test_a_progressive_jpeg_of_endless_scans(self, read):
        data = jpeg_files()[2]
        last = data.rindex(b"\xff\xda")
        began = time.process_time()
        with pytest.raises(ReadError, match="R005"):
            read(data[:last] + data[last:-2] * 50_000 + data[-2:], "a.jpg")
        assert time.process_time() - began < 3

    @pytest.mark.parametrize("loops", [True, False])
    def test_a_tiff_whose_pages_run_in_a_circle_or_without_end(self, read, loops):
        tags = {256: SIZE, 257: SIZE, 258: 8, 259: 1, 262: 1, 273: 300, 277: 1, 278: SIZE, 279: SIZE * SIZE}
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
        directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 8 if loops else 600)
        body = (b"II*\0" + struct.pack("<I", 8) + directory).ljust(300, b"\0") + bytes(SIZE * SIZE)
        chain = b"".join(struct.pack("<HI", 0, 600 + 6 * (index + 1)) for index in range(20_000))
        began = time.process_time()
        try:
            read(body.ljust(600, b"\0") + (b"" if loops else chain), "a.tif")
        except ReadError as error:
            assert error.code in ("R005", "R012")  # noqa: PT017
        assert time.process_time() - began < 3


class TestStudies:
    @pytest.mark.parametrize(
        "text",
        [
            "a: " + "[" * 1200,
            "".join(" " * depth + "a:\n" for depth in range(700)),
            "&a\nname: *a\nprofiles: {quick: *a}\n",
            "name: 2020-99-99",
            "name: 2001-12-14t21:59:43.10-99:99",
            "folds: " + "9" * 5000,
            'output: "\\ud800"',
            'output: "a\\0b"',
        ],
        ids=["flow", "block", "itself", "date", "zone", "number", "surrogate", "nul"],
    )
    def test_no_yaml_ends_in_another_error(self, study, text):
        with pytest.raises(SettingsError, match="S001") as caught:
            study(text, profile="quick")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("step", ["[{}]", "{{<<: [{}]}}"], ids=["references", "merges"])
    def test_references_that_unfold_to_a_billion(self, study, step):
        lines = ["a0: &a0 {x: 1}"]
        lines += [f"a{n}: &a{n} " + step.format(",".join([f"*a{n - 1}"] * 9)) for n in range(1, 12)]
        began = time.process_time()
        with pytest.raises(SettingsError, match="S001"):
            study("\n".join(lines) + "\nname: *a11\n")
        assert time.process_time() - began < 5

    def test_references_that_a_study_needs_are_followed(self, study):
        with pytest.raises(SettingsError, match=r"S002.*question: Field required") as caught:
            study("x: &x {name: a}\ntranslators: [{<<: *x, method: identity}]\ntasks: []\n")
        assert "translators" not in str(caught.value)

    def test_a_profile_whose_name_is_a_list(self, study):
        with pytest.raises(SettingsError, match="S002"):
            study("tasks: [{name: [1]}]\nprofiles: {quick: {tasks: [{name: [1]}]}}", profile="quick")

    @pytest.mark.parametrize("text", ["[" * 5000, '{"folds": ' + "9" * 5000 + "}"], ids=["deep", "number"])
    def test_no_json_ends_in_another_error(self, study, text):
        with pytest.raises(SettingsError, match="S001"):
            study(text, name="s.json")


class TestManifests:
    def manifest(self, folder, table, origin=None):
        (folder / "m.csv").write_text(table, encoding="utf-8")
        if origin is not None:
            (folder / "m.json").write_text(origin, encoding="utf-8")
        return read_manifest(folder / "m.csv", root=folder)

    @pytest.mark.parametrize(
        "origin",
        ["[" * 5000, '{"run": ["a"]}', '{"parent": 1}', '{"digest": 9e9}', "[]", '{"run": ' + "9" * 5000 + "}"],
    )
    def test_a_json_that_is_no_origin(self, tmp_path, origin):
        with pytest.raises(ManifestError, match="M008"):
            self.manifest(tmp_path, HEADER + "c,s,d,i\n", origin)

    def test_a_json_that_is_one(self, tmp_path):
        assert self.manifest(tmp_path, HEADER + "c,s,d,i\n", json.dumps({"parent": "p", "run": "r"})).run == "r"

    @pytest.mark.parametrize(
        "row", ['c,s,d,"' + "x" * 200_000 + '"', '"' * 100_001, "c\0,s,d,i"], ids=["field", "quotes", "nul"]
    )
    def test_rows_beyond_measure(self, tmp_path, row):
        with pytest.raises(ManifestError, match=r"M002|M006"):
            self.manifest(tmp_path, HEADER + row + "\n")


@pytest.mark.parametrize("name", ["nifti_gz", "dicom", "png", "jpeg", "tiff", "dicom_zip"])
def test_a_hundred_damages_in_this_process(name):
    """Without a process of its own, so that coverage and the warnings of tests see it."""
    target, rng = targets()[name], random.Random(f"damage {name}")  # noqa: S311
    seeds = target.seeds()
    with Harness(target, findings=None, interrupts=True) as harness:
        found = [harness.one(mutated(rng.choice(seeds), seeds, rng)) for _ in range(100)]
    assert set(found) == {None}
