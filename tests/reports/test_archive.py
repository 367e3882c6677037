"""Archives of reports: an entry that is no report is refused before it is unpacked."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from cxrloc.errors import CxrlocError
from cxrloc.reports.read import Report, UnreadableReport, read_reports


def packed(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """An archive whose headers may claim more than there is."""
    content = io.BytesIO()
    for info, data in members:
        content.write(info.tobuf(tarfile.PAX_FORMAT))
        content.write(data + b"\0" * (-len(data) % 512))
    path.write_bytes(gzip.compress(content.getvalue() + b"\0" * 1024))
    return path


def info(name: str, size: int, pax: dict[str, str] | None = None) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.size, found.pax_headers = size, pax or {}
    return found


REPORT = b"Small effusion."


@pytest.mark.parametrize(
    ("name", "size", "pax", "message"),
    [
        ("a.txt", 10**12, {}, "a.txt in it is of 1000000000000 bytes"),
        ("b.png", 60_000_000, {}, "b.png in it is of 60000000 bytes"),  # not skipped byte by byte
        ("a.txt", 15, {"GNU.sparse.map": "0,1", "GNU.sparse.size": "9"}, "a.txt in it is sparse"),
        ("a.txt", 15, {"GNU.sparse.map": "0,1,2"}, "header that cannot be read|is sparse"),
        ("a.txt", 15, {"GNU.sparse.map": "a,1"}, "header that cannot be read"),
        ("a.txt", 15, {"size": "-5"}, "in it is of -5 bytes|header|cannot be read"),
    ],
)
def test_sizes_and_sparse_maps_of_no_report_archive_are_refused_at_once(
    tmp_path: Path, name: str, size: int, pax: dict[str, str], message: str
) -> None:
    path = packed(tmp_path / "r.tgz", (info(name, size, pax), REPORT))
    with pytest.raises(CxrlocError, match=message) as caught:
        list(read_reports(path))
    assert "\n" not in str(caught.value)


def test_a_header_as_large_as_none_is_never_unpacked(tmp_path: Path) -> None:
    huge = info("PaxHeader", 8_000_000_000)
    huge.type = tarfile.XHDTYPE
    path = packed(tmp_path / "r.tgz", (huge, b"9 path=a\n"))
    with pytest.raises(CxrlocError, match=r"a block of 8000000\d+ bytes"):
        list(read_reports(path))


def test_an_archive_within_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    members = [(info("in.tar.gz", 15), REPORT), (info("a.txt", 15), REPORT)]
    assert list(read_reports(packed(tmp_path / "r.tgz", *members))) == [
        UnreadableReport(
            "in.tar.gz", "an archive inside the archive; unpack it and give its folder"
        ),
        Report("a", "Small effusion."),
    ]


def test_an_archive_is_known_by_its_content(tmp_path: Path) -> None:
    path = packed(tmp_path / "reports", (info("a.txt", 15), REPORT))
    assert list(read_reports(path)) == [Report("a", "Small effusion.")]
