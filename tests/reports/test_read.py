"""Reports of any file and encoding; one that is broken never stops the others."""

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from cxrloc.errors import CxrlocError
from cxrloc.reports.archive import MAX_REPORT
from cxrloc.reports.read import Report, UnreadableReport, read_reports

XML = (
    '<?xml version="1.0" encoding="{0}"?>'
    '<r><uId id="{1}"/><AbstractText Label="FINDINGS">{2}</AbstractText></r>'
)


def texts(found: Iterable[Report | UnreadableReport]) -> dict[str, str]:
    return {r.report_id: r.text if isinstance(r, Report) else f"! {r.reason}" for r in found}


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_an_archive_is_read_without_being_unpacked_and_bad_members_are_reported(
    tmp_path: Path,
) -> None:
    bomb = '<!DOCTYPE r [<!ENTITY a "aaaa">]>' + XML.format("utf-8", "X", "&a;").partition("?>")[2]
    path = archive(
        tmp_path / "reports.tgz",
        {
            "r/1.xml": XML.format("utf-8", "CXR1", "Small&nbsp;effusion &amp;lt; 1").encode(),
            "r/2.xml": b"<r><AbstractText>never closed",
            "r/3.xml": bomb.encode(),
            "../4.xml": XML.format("utf-16", "CXR4", "Größe").encode("utf-16"),
            "r/5.xml": b"",
            "r/6.xml": b"x" * (MAX_REPORT + 1),
            "r/readme.md": b"not a report",
            "7.txt": "肺炎".encode("gb18030") + "\uff0c双肺纹理增多".encode("gb18030"),
        },
    )
    found = texts(read_reports(path))
    assert found["CXR1"] == "FINDINGS: Small\xa0effusion &lt; 1"
    assert found["CXR4"] == "FINDINGS: Größe"
    assert found["7"] == "肺炎\uff0c双肺纹理增多"
    assert {k for k, text in found.items() if text.startswith("!")} == {"2", "3", "5", "6.xml"}
    assert "entities" in found["3"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_broken_archive_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "reports.tgz"
    path.write_bytes(b"not an archive at all")
    with pytest.raises(CxrlocError, match="archive cannot be read"):
        list(read_reports(path))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"study_id,Report\n7,Clear lungs.\n8,\n", {"7": "Clear lungs.", "8": ""}),
        (b"Study ID,Report Text\n7,Clear lungs.\n", {"7": "Clear lungs."}),
        (b"findings,impression\nMass.,Edema.\n", {"row 2": "findings: Mass.\nimpression: Edema."}),
        (b"id,Report Impression\n7,Mass.\n", {"7": "impression: Mass."}),  # CheXpert's labeler
        (b'"Clear, dry lungs."\n"Mass."\n', {"row 1": "Clear, dry lungs.", "row 2": "Mass."}),
        (b"radiology_report\nMass.\n", {"row 2": "Mass."}),
        (b"No mass as in the last report.\n", {"row 1": "No mass as in the last report."}),
        (b"No reportable mass\n", {"row 1": "No reportable mass"}),
        (b"Note effusion.\n", {"row 1": "Note effusion."}),
        (b"Unclear context.\n", {"row 1": "Unclear context."}),
        (b"id|text\na|No mass; old, small\n", {"a": "No mass; old, small"}),
        (b"\xef\xbb\xbfid,text\na,caf\xc3\xa9\n", {"a": "caf\u00e9"}),
        (b"id,text\na,caf\xe9\n", {"a": "caf\u00e9"}),
        (b'report_id;text\nr1;"No mass. Edema."\nr2;"Mass, large"\n',
         {"r1": "No mass. Edema.", "r2": "Mass, large"}),
        (b"id\ttext\nr1\tMass, large; old\n", {"r1": "Mass, large; old"}),
        ("sep=;\nid;text\nr1;Mass".encode("utf-16"), {"r1": "Mass"}),
        (b"id,text\nr1,nan\nr2,\nr3,NaN\nr4,#N/A\n", dict.fromkeys(("r1", "r2", "r3", "r4"), "")),
        (b"id,text\nr1,None.\nr2,Not available\nr3,--\n", dict.fromkeys(("r1", "r2", "r3"), "")),
    ],
)  # fmt: skip
def test_tables_of_any_make(tmp_path: Path, content: bytes, expected: dict[str, str]) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(content)
    assert texts(read_reports(path)) == expected


@pytest.mark.parametrize(
    ("rows", "refused"),
    [
        (["b"], {"b": "r.csv, row 3: 1 cells where the heading has 2"}),
        (["b,No mass, small effusion."], {"b": "r.csv, row 3: 3 cells where the heading has 2"}),
        (['b,"No mass. Edema'], {"r.csv, row 3": "cannot be read as CSV"}),  # never closed
        (['b,"No mass. Edema', 'd,"No mass"'], {"r.csv, row 3": "cannot be read as CSV"}),
        (["a,Mass."], {"a": "the id of an earlier report"}),
    ],
)
def test_a_broken_row_is_named_and_the_others_are_read(
    tmp_path: Path, rows: list[str], refused: dict[str, str]
) -> None:
    path = tmp_path / "r.csv"
    path.write_text(
        "\n".join(["id,text", 'a,"One\nmore"', *rows, "c,Three"]).replace("\nmore", " more")
    )
    found = list(read_reports(path))
    said = {one.report_id: one.reason for one in found if isinstance(one, UnreadableReport)}
    assert {
        name: said[name].startswith(reason) for name, reason in refused.items()
    } == dict.fromkeys(refused, True)
    assert len(said) == len(refused)
    read = [one.report_id for one in found if isinstance(one, Report)]
    assert (read[0], read[-1]) == ("a", "c")


def test_a_cell_that_never_ends_costs_its_row_only(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    lines = ["id,text", 'a,"open', *["x" * 1000] * (MAX_REPORT // 1000 + 1), "z,Mass."]
    path.write_text("\n".join(lines))
    found = list(read_reports(path))
    assert any(isinstance(one, UnreadableReport) for one in found)
    assert found[-1] == Report("z", "Mass.")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pdf", b"%PDF-1.4 x", "is a PDF; save its reports as text"),
        ("a.docx", b"PK\x03\x04" + bytes(80), "is a Word or Excel file"),
        ("a.txt", b"PK\x03\x04" + bytes(80), "is a Word or Excel file"),
        ("a.csv", b"PK\x03\x04" + bytes(80), "is an Excel workbook"),
        ("a.txt", b"version https://git-lfs.github.com/spec/v1\noid x", "is a pointer of Git LFS"),
        ("a.doc", b"\xd0\xcf\x11\xe0" + bytes(80), "is an old Word or Excel file"),
        ("a.txt", b"{\\rtf1 Mass.}", "is an RTF document"),
        ("a.txt", b'[{"id": "1", "text": "No mass."}]', "is JSON; save its reports"),
        ("a.txt", bytes(range(256)), "is a binary file"),
    ],
)
def test_files_that_hold_no_plain_text_are_refused_by_content(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CxrlocError, match=message):
        list(read_reports(path))
    (tmp_path / "b.txt").write_text("Mass.")
    bad, good = read_reports(tmp_path)  # in a folder, the other report is read
    assert isinstance(bad, UnreadableReport)
    assert good == Report("b", "Mass.")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"age,sex\n1,F\n", "no column text"),
        ("a.csv", b"", "empty"),
        (None, b"", "no such file"),
    ],
)
def test_wrong_input_is_one_clear_error(
    tmp_path: Path, name: str | None, content: bytes, message: str
) -> None:
    path = tmp_path / (name or "missing")
    if name:
        path.write_bytes(content)
    with pytest.raises(CxrlocError, match=message):
        list(read_reports(path))


def test_a_folder_is_read_in_order_and_an_empty_one_refused(tmp_path: Path) -> None:
    with pytest.raises(CxrlocError, match="no report in it"):
        list(read_reports(tmp_path))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.txt").write_text("Two")
    (tmp_path / "1.TXT").write_text("One")
    assert texts(read_reports(tmp_path)) == {"1": "One", "2": "Two"}
