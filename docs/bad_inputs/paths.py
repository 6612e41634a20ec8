"""Row 31: paths that leave the data root, in a manifest, a link, a zip or a DICOMDIR."""

import io
import zipfile
from pathlib import Path

from bad_inputs.dicom_making import ct_slice, directory, save, series, stored
from bad_inputs.making import ROWS, alone, findings, found, picture, study
from bad_inputs.trial import Seen, bad_input, refused, require
from medgan.imaging.read import read_image
from medgan.manifests.manifest import read_manifest


@bad_input(31, gives="M006")
def climbing_paths(folder: Path) -> Seen:
    """`..`, absolute, Windows and UNC paths in a manifest, also hidden in the middle."""

    def with_path(text: str) -> None:
        (folder / "manifest.csv").write_text(f"case_id,subject_id,domain,image\na,A,day,{text}\n")
        read_manifest(folder / "manifest.csv", root=folder)

    texts = ["../x.png", "/etc/passwd", "a/../../x.png", "C:\\x.png", "..\\x.png", "\\\\host\\x.png", "c:x.png"]
    return refused([lambda text=text: with_path(text) for text in texts], codes="M006")


@bad_input(31, gives="M006")
def climbing_mask(folder: Path) -> Seen:
    """A `..` in the column mask."""
    rows = [dict(row) for row in ROWS]
    rows[2]["mask"] = "../mask.png"
    return alone(study(folder, rows), "M006")


@bad_input(31, gives="M041")
def leaving_link(folder: Path) -> Seen:
    """A link below the data root that leads out of it: to a file, and to a folder."""
    for seed, name in enumerate("xy"):
        picture(folder / "elsewhere" / f"{name}.png", seed=seed + 90)
    root = folder / "root"
    root.mkdir()
    (root / "day0.png").symlink_to(folder / "elsewhere" / "x.png")
    (root / "linked").symlink_to(folder / "elsewhere")
    rows = [dict(row) for row in ROWS]
    rows[1]["image"] = "linked/y.png"
    errors = [one for one in findings(study(root, rows)) if one.severity == "error"]
    require([one.code for one in errors] == ["M041", "M041"], f"two links found; {[str(one) for one in errors]}")
    return Seen("error", "M041", str(errors[0]))


def _slice_bytes() -> bytes:
    out = io.BytesIO()
    ct_slice(stored(1)[0], 0).save_as(out, enforce_file_format=True)
    return out.getvalue()


@bad_input(31, gives="R019")
def zip_slip(folder: Path) -> Seen:
    """A zip whose members are named `../x.dcm`, `/x.dcm` or `C:/x.dcm`, or are links."""
    paths = []
    for index, name in enumerate(("../x.dcm", "/etc/x.dcm", "a/../../x.dcm", "C:/x.dcm", "..\\x.dcm", "link.dcm")):
        paths.append(folder / f"scan{index}.zip")
        with zipfile.ZipFile(paths[-1], "w") as archive:
            member = zipfile.ZipInfo(name)
            if name == "link.dcm":
                member.create_system, member.external_attr = 3, 0o120777 << 16
            archive.writestr(member, "/etc/passwd" if name == "link.dcm" else _slice_bytes())
    before = sorted(folder.parent.iterdir())
    seen = refused([lambda path=path: read_image(path) for path in paths], codes="R019")
    require(sorted(folder.parent.iterdir()) == before, "nothing was written beside it")
    return seen


@bad_input(31, gives="R019")
def climbing_directory(folder: Path) -> Seen:
    """A DICOMDIR whose record names a file with `..`, absolutely, or by a link that leaves."""
    save(ct_slice(stored(1)[0], 0), folder / "secret" / "x.dcm")
    tries = []
    for index, parts in enumerate((["..", "secret", "x.dcm"], ["/etc", "passwd"], ["LINK"])):
        place = folder / f"disc{index}"
        series(place / "IMAGES")
        (place / "LINK").symlink_to(folder / "secret" / "x.dcm")
        directory(place / "DICOMDIR", [["IMAGES", "1_001.dcm"], parts])
        tries.append(lambda place=place: read_image(place / "DICOMDIR"))
    return refused(tries, codes="R019")


@bad_input(31, gives="M041")
def linked_slice(folder: Path) -> Seen:
    """A folder of DICOM with a link to a slice elsewhere."""
    series(folder / "elsewhere")
    root = folder / "root"
    series(root / "scan", skip=(2,))
    (root / "scan" / "1_004.dcm").symlink_to(folder / "elsewhere" / "1_004.dcm")
    rows = [dict(row) for row in ROWS]
    rows[1]["image"] = "scan"
    return found(study(root, rows), "M041")
