import gzip
from pathlib import Path

import pytest

from cxrloc.errors import CxrlocError
from cxrloc.files import encodings, tables
from cxrloc.files.frames import frame_of
from cxrloc.files.tables import number_in, read_table, row_name, rows_of


def table_of(folder: Path, content: str | bytes, **options: list[str]) -> tables.Table:
    path = folder / "t.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(path, **options)


PLAIN = "image,Pleural Effusion,x\na,1,0.5\nb,,2\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        "\ufeff" + PLAIN,
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "|"),
        PLAIN.replace(",", ";").replace("0.5", "0,5"),
        "sep=;\n" + PLAIN.replace(",", ";"),
        '"image","Pleural Effusion","x"\n"a","1","0.5"\n"b","","2"\n',
        "image, Pleural Effusion ,x \n a ,1, 0.5\nb,,2",
        "\n" + PLAIN.replace("b,", "\n,,\nb,"),
        "image,Pleural Effusion,x,,\na,1,0.5,,\nb,,2\n",
        "image,Pleural Effusion,x\na,1,0.5,,\nb,,2\n",
        gzip.compress(PLAIN.encode(), mtime=0),
    ],
    ids=[
        "plain",
        "bom",
        "utf16",
        "utf16-unmarked",
        "crlf",
        "cr",
        "tabs",
        "semicolons",
        "bars",
        "decimal-comma",
        "sep-line",
        "quoted",
        "blanks",
        "blank-rows",
        "nameless-columns",
        "trailing-separators",
        "gzip",
    ],
)
def test_one_table_of_any_make_reads_the_same(tmp_path: Path, content: str | bytes) -> None:
    table = table_of(tmp_path, content, needed=["image", "Pleural Effusion"])
    assert dict(table.columns) == {
        "image": ("a", "b"),
        "Pleural Effusion": ("1", ""),
        "x": ("0.5", "2"),
    }


def test_text_that_a_spreadsheet_wrote_as_a_formula_is_text(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('id,note\n="007",a="b"\n"=""008""",x\n')
    columns = read_table(path).columns
    assert [*columns["id"]] == ["007", "008"]
    assert [*columns["note"]] == ['a="b"', "x"]


def test_windows_1252_is_read(tmp_path: Path) -> None:
    assert table_of(tmp_path, "image,m\xfcde\na,\xe9\n".encode("cp1252")).columns["m\xfcde"] == (
        "\xe9",
    )


def test_columns_are_found_as_r_and_pandas_write_their_names(tmp_path: Path) -> None:
    table = table_of(tmp_path, '"","Image.Index","finding_label"\n"1","a.png","Mass"\n',
                     needed=["Image Index"], optional=["Finding Label"])  # fmt: skip
    assert list(table.columns) == ["Image Index", "Finding Label"]


def test_rows_are_numbered_as_in_a_spreadsheet(tmp_path: Path) -> None:
    table = table_of(tmp_path, 'a,b\n\n"two\nlines",1\nx,2\n')
    assert list(table.numbers) == [3, 4]
    assert [cells["b"] for _, cells in rows_of(table)] == ["1", "2"]
    assert row_name(table, 1).endswith("t.csv, row 4")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no column image"),
        ("img,x\na,1\n", "no column image"),
        ("image,x,x\na,1,2\n", "x is there twice"),
        ("image,x\na,1\nb\n", "row 3: 1 cells"),
        ("image,x\na,1\nb", "row 3: 1 cells"),
        ("image,x\na,1,Mass\n", "row 2: 3 cells"),
        ('image,x\na,1\nb,"open\n', "row 3: cannot be read"),
        ("image,x\n" + "a" * 1_000_001 + ",1\n", "field larger"),
        ("image,x\na\0,1\n", "NUL"),
        ("PK\x03\x04", "Excel workbook"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:a\n", "a pointer of Git LFS"),
        ("<!DOCTYPE html>\n<html><body>Sign in</body></html>\n", "a web page"),
        (gzip.compress(PLAIN.encode(), mtime=0)[:-12], "cannot be read"),
    ],
)
def test_what_would_become_a_wrong_number_is_refused_with_its_place(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    with pytest.raises(CxrlocError, match=message) as error:
        table_of(tmp_path, content, needed=["image"])
    assert "t.csv" in str(error.value)
    assert len(str(error.value)) < 600


def test_a_packed_table_that_unpacks_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encodings, "MAX_CHARACTERS", 2_000_000)
    with pytest.raises(CxrlocError, match="unpacked"):
        table_of(tmp_path, gzip.compress(b"a,b\n" * 1_000_000))
    monkeypatch.setattr(tables, "MAX_CELLS", 100)
    with pytest.raises(CxrlocError, match="cells; divide"):
        table_of(tmp_path, "a,b\n" * 100)


def test_a_folder_or_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CxrlocError, match="not a regular file"):
        read_table(tmp_path)
    with pytest.raises(CxrlocError, match="no such file"):
        read_table(tmp_path / "absent.csv")


@pytest.mark.parametrize("text", ["", "nan", "inf", "1e999", "12,5", "0_9", "x"])
def test_only_finite_numbers_are_numbers(text: str) -> None:
    with pytest.raises(CxrlocError, match="row 2: x is"):
        number_in("row 2", "x", text)


def test_a_frame_has_numbers_where_all_cells_are(tmp_path: Path) -> None:
    table = table_of(tmp_path, "id,n,value,leaks,word\n01,1,0.1,True,a\n02,2,,False,\n")
    frame = frame_of(table, text=["id"])
    assert [kind.kind for kind in frame.dtypes] == ["O", "i", "f", "b", "O"]
    assert frame["id"].tolist() == ["01", "02"]
    assert frame["word"].isna().tolist() == [False, True]
