"""Each image in a folder is found once; other files are skipped."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrloc.images.folders import find_images, output_stem
from tests.images.dicom_files import write_dicom

GREY = np.zeros((8, 8), dtype=np.uint8)


def test_folders_are_searched_to_the_bottom_by_content(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    write_dicom(below / "1.2.840", GREY, 8)
    Image.fromarray(GREY).save(tmp_path / "z.png")
    (tmp_path / "notes.txt").write_text("no image")
    found = find_images([tmp_path, tmp_path / "z.png", tmp_path / "none.png"])
    assert found == [below / "1.2.840", tmp_path / "z.png", tmp_path / "none.png"]


@pytest.mark.parametrize(
    "name",
    [".hidden.png", "._a.png", ".DS_Store", "Thumbs.db", "THUMBS.DB", "DICOMDIR", "dicomdir"],
)
def test_hidden_files_and_indexes_are_passed_over(tmp_path: Path, name: str) -> None:
    write_dicom(tmp_path / name, GREY, 8)
    assert find_images([tmp_path]) == []


def test_hidden_folders_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".cache").mkdir()
    write_dicom(tmp_path / ".cache" / "a.dcm", GREY, 8)
    assert find_images([tmp_path]) == []


def test_a_broken_file_that_claims_to_be_an_image_is_found_so_that_it_is_named(
    tmp_path: Path,
) -> None:
    for name in ("text.dcm", "empty.PNG", "notes.txt", "empty"):
        (tmp_path / name).write_text("words" if "t.d" in name else "")
    assert find_images([tmp_path]) == [tmp_path / "empty.PNG", tmp_path / "text.dcm"]


def test_linked_folders_are_searched_once_and_loops_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir()
    elsewhere.mkdir()
    write_dicom(elsewhere / "a.dcm", GREY, 8)
    for name, target in (("one", elsewhere), ("two", elsewhere), ("up", tmp_path), ("self", data)):
        (data / name).symlink_to(target)
    with caplog.at_level(logging.WARNING):
        found = find_images([data])
    assert found == [data / "one" / "a.dcm"]
    said = [record.getMessage() for record in caplog.records]
    assert any(line.startswith(f"{data / 'self'}: a link to a folder") for line in said)


def test_links_that_point_at_each_other_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert find_images([tmp_path]) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a thing of Unix")
def test_a_named_pipe_never_blocks_a_search(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert find_images([tmp_path]) == []


@pytest.mark.parametrize(
    "name",
    ["a\nb.png", "a\tb.png", "\x1b[31m.png", os.fsdecode(b"\xff\xfe.png"), "a" * 251 + ".png"],
)
def test_odd_file_names_are_found(tmp_path: Path, name: str) -> None:
    write_dicom(tmp_path / "a", GREY, 8).rename(tmp_path / name)
    assert find_images([tmp_path]) == [tmp_path / name]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("chest.DCM", "chest"),
        ("00000001_000.png", "00000001_000"),
        ("1.2.840.113619", "1.2.840.113619"),
        ("1.2.840.113619.dcm", "1.2.840.113619"),
        ("chest.v2", "chest.v2"),
    ],
)
def test_only_known_suffixes_are_cut(name: str, stem: str) -> None:
    assert output_stem(Path("folder.png") / name) == stem
