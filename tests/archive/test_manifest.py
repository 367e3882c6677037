"""A manifest has one row per image and is made from headers alone."""

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pydicom
import pytest
from fsspec import filesystem
from PIL import Image

from cxrloc.archive.header_rows import COLUMNS
from cxrloc.archive.manifest import ManifestOptions, id_key, write_manifest
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.phantom import write_phantoms

CLEAR = ManifestOptions(clear_ids=True, workers=2)


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chests")
    write_phantoms(folder, 3, 0, "dicom", size=64)
    return folder / "images"


def rows(path: Path) -> list[dict[str, Any]]:
    return pyarrow.parquet.read_table(path).to_pylist()


def test_a_row_says_what_the_header_says(chests: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.parquet"
    assert write_manifest([str(chests)], out, CLEAR) == (3, 0, 0)
    table = rows(out)
    assert list(table[0]) == list(COLUMNS)
    for row, path in zip(table, sorted(chests.glob("*.dcm")), strict=True):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        assert row["uri"] == path.as_uri()
        assert row["size"] == path.stat().st_size
        assert (row["rows"], row["columns"]) == (header.Rows, header.Columns)
        assert (row["modality"], row["view"]) == ("DX", header.ViewPosition)
        assert row["sop_instance"] == header.SOPInstanceUID
        assert row["patient"] == header.PatientID
        assert row["transfer_syntax"] == header.file_meta.TransferSyntaxUID
        assert row["acquisition_date"] is None


def test_identifiers_are_keyed_hashes_and_without_a_key_nothing_is_written(
    chests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CXRLOC_ID_KEY", raising=False)
    out = tmp_path / "m.parquet"
    with pytest.raises(UsageError, match="CXRLOC_ID_KEY"):
        write_manifest([str(chests)], out, ManifestOptions(id_key(None)))
    assert not out.exists()
    hashes = []
    for key in (b"one", b"one", b"other"):
        write_manifest([str(chests)], out, ManifestOptions(key))
        hashes.append([row["patient"] for row in rows(out)])
        assert b"phantom-" not in out.read_bytes()
    assert hashes[0] == hashes[1] != hashes[2]
    assert all(len(value) == 32 for value in hashes[0])


def test_the_same_image_twice_is_marked(chests: Path, tmp_path: Path) -> None:
    first = min(chests.glob("*.dcm"))
    (tmp_path / "a.dcm").write_bytes(first.read_bytes())
    (tmp_path / "b.dcm").write_bytes(first.read_bytes())
    out = tmp_path / "m.parquet"
    assert write_manifest([str(tmp_path)], out, CLEAR) == (2, 1, 0)
    assert [row["duplicate"] for row in rows(out)] == [False, True]


def test_what_cannot_be_read_has_its_reason_and_the_others_go_on(
    chests: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    Image.new("L", (30, 20)).save(folder / "good.png")
    (folder / "bad.dcm").write_text("no DICOM")
    (folder / "cut.dcm").write_bytes(min(chests.glob("*.dcm")).read_bytes()[:300])
    (folder / "notes.txt").write_text("no image, and none that claims to be one")
    (folder / "._good.png").write_text("of the system")
    out = tmp_path / "m.parquet"
    assert write_manifest([str(folder)], out, CLEAR) == (1, 0, 2)
    assert [(row["rows"], row["columns"], row["format"]) for row in rows(out)] == [(20, 30, "PNG")]
    failed = rows(tmp_path / "m.failures.parquet")
    assert [Path(row["uri"]).name for row in failed] == ["bad.dcm", "cut.dcm"]
    assert all(row["reason"] and "\n" not in row["reason"] for row in failed)


def test_a_condition_keeps_rows(chests: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.parquet"
    write_manifest([str(chests)], out, CLEAR)
    views = [row["view"] for row in rows(out)]
    kept = ManifestOptions(clear_ids=True, where="view = 'PA' and modality in ('CR', 'DX')")
    assert write_manifest([str(chests)], out, kept).images == views.count("PA")
    assert {row["view"] for row in rows(out)} <= {"PA"}
    for wrong in ("nonsense", "uri in (select uri from 'absent.parquet')"):
        with pytest.raises(UsageError, match=f"--where .*{wrong[-12:-2]}"):
            write_manifest([str(chests)], out, ManifestOptions(clear_ids=True, where=wrong))
    assert len(rows(out)) == views.count("PA")  # the table of before is whole


def test_object_stores_are_walked_as_folders_are(chests: Path, tmp_path: Path) -> None:
    store = filesystem("memory")
    for path in chests.glob("*.dcm"):
        store.pipe(f"/chests/2026/{path.name}", path.read_bytes())
    out = tmp_path / "m.parquet"
    assert write_manifest(["memory://chests"], out, CLEAR).images == 3
    assert all(row["uri"].startswith("memory://") for row in rows(out))


def test_a_pipe_a_dead_link_and_a_link_to_a_parent_stop_no_walk(
    chests: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "archive/2026"
    folder.mkdir(parents=True)
    (folder / "a.dcm").write_bytes(min(chests.glob("*.dcm")).read_bytes())
    os.mkfifo(folder / "b.dcm")
    (folder / "c.dcm").symlink_to(tmp_path / "nothing")
    (folder / "parent").symlink_to(folder.parent)
    out = tmp_path / "m.parquet"
    assert write_manifest([str(folder.parent)], out, CLEAR) == (1, 0, 2)
    failed = {Path(row["uri"]).name: row["reason"] for row in rows(tmp_path / "m.failures.parquet")}
    assert failed == {
        "b.dcm": "a pipe, socket or device, no regular file",
        "c.dcm": "No such file or directory",
    }
    assert "a link to a folder that is searched already" in caplog.text


def test_a_name_that_is_not_utf8_fails_alone(chests: Path, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    content = min(chests.glob("*.dcm")).read_bytes()
    for name in ("a.dcm", os.fsdecode(b"\xff.dcm"), os.fsdecode(b"\xfe.txt")):
        (folder / name).write_bytes(content if name.endswith("dcm") else b"text")
    assert write_manifest([str(folder)], tmp_path / "m.parquet", CLEAR) == (1, 0, 1)
    (row,) = rows(tmp_path / "m.failures.parquet")
    assert row["uri"].endswith("\\udcff.dcm")
    assert row["reason"].startswith("its name is not UTF-8")


def test_an_interrupted_walk_leaves_nothing(chests: Path, tmp_path: Path) -> None:
    def stop(items: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        yield next(iter(items))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_manifest([str(chests)], tmp_path / "m.parquet", CLEAR, stop)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_made_or_named_before_any_file_is_read(chests: Path, tmp_path: Path) -> None:
    write_manifest([str(chests)], tmp_path / "new/m.parquet", CLEAR)
    taken = tmp_path / "new/m.parquet"
    with pytest.raises(UsageError, match=f"--out {taken}: "):
        write_manifest(["absent"], taken / "m.parquet", CLEAR)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_on_a_full_disk_the_manifest_is_named_and_not_the_table_of_failures(
    chests: Path, tmp_path: Path
) -> None:
    (tmp_path / "m.parquet").symlink_to("/dev/full")
    (tmp_path / "m.failures.parquet").symlink_to("/dev/full")
    with pytest.raises(CxrlocError, match=r"m\.parquet: cannot be written: .*No space left"):
        write_manifest([str(chests)], tmp_path / "m.parquet", CLEAR)


@pytest.mark.parametrize("moment", ["write_table", "close"])
def test_on_a_disk_that_fills_up_the_manifest_is_named(
    chests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def full(*arguments: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "Error writing bytes to .cxrloc-part-m.parquet. Detail: ...")

    monkeypatch.setattr(pyarrow.parquet.ParquetWriter, moment, full)
    with pytest.raises(CxrlocError, match=r"/m\.parquet: cannot be written: No space left"):
        write_manifest([str(chests)], tmp_path / "m.parquet", CLEAR)
    assert not list(tmp_path.iterdir())


def test_a_place_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        write_manifest([str(tmp_path / "absent")], tmp_path / "m.parquet", CLEAR)
    with pytest.raises(UsageError, match="cannot be opened"):
        write_manifest(["nosuch://bucket"], tmp_path / "m.parquet", CLEAR)
    with pytest.raises(UsageError, match="must be a path on a disk, not a URI"):
        write_manifest([str(tmp_path)], Path("s3://bucket/m.parquet"), CLEAR)


def test_a_long_header_is_read_to_its_end(chests: Path, tmp_path: Path) -> None:
    header = pydicom.dcmread(min(chests.glob("*.dcm")))
    header.add_new(0x00190010, "LO", "LONG")
    header.add_new(0x00191001, "OB", bytes(200_000))
    header.save_as(tmp_path / "long.dcm")
    out = tmp_path / "m.parquet"
    assert write_manifest([str(tmp_path / "long.dcm")], out, CLEAR) == (1, 0, 0)
    assert rows(out)[0]["rows"] == header.Rows
