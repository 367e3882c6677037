"""When an image counts as done, and of which images results are removed."""

import json
import os
from pathlib import Path

import pytest

from cxrloc.image_results.report import SCHEMA_VERSION
from cxrloc.image_results.writers import (
    WRITERS,
    check_sources,
    finished_report,
    remove_results,
    written_file,
)


def report_file(folder: Path, source: Path, **other: object) -> Path:
    """A report of the image as it is now, at the place of its results."""
    found = source.stat()
    report = {
        "schema_version": SCHEMA_VERSION,
        "image": str(source),
        "image_bytes": found.st_size,
        "image_modified_ns": found.st_mtime_ns,
        **other,
    }
    (folder / "a.json").write_text(json.dumps(report))
    (folder / "a.png").touch()
    return folder / "a"


@pytest.mark.parametrize(
    ("other", "done"),
    [
        ({}, True),
        ({"image": "elsewhere/a.dcm"}, False),
        ({"image_bytes": 1}, False),
        ({"image_modified_ns": 1}, False),
        ({"schema_version": 0}, False),
    ],
)
def test_an_image_is_done_while_its_file_is_as_it_was(
    tmp_path: Path, other: dict[str, object], done: bool
) -> None:
    image = tmp_path / "chest.dcm"
    image.write_bytes(b"pixels")
    stem = report_file(tmp_path, image, **other)
    assert (finished_report(image, stem, ("png", "json")) is not None) == done
    assert finished_report(image, stem, ("npz", "json")) is None


@pytest.mark.parametrize("content", ["", "[]", "[" * 9999, '{"schema_version": 1}'])
def test_what_is_no_report_is_not_taken_for_one(tmp_path: Path, content: str) -> None:
    image = tmp_path / "chest.dcm"
    image.touch()
    (tmp_path / "a.json").write_text(content)
    assert finished_report(image, tmp_path / "a", ("json",)) is None
    remove_results(str(image), tmp_path / "a", ("json",))
    assert (tmp_path / "a.json").exists()


def test_only_results_of_the_image_itself_are_removed(tmp_path: Path) -> None:
    image = tmp_path / "chest.dcm"
    image.touch()
    stem = report_file(tmp_path, image)
    remove_results("other.dcm", stem, ("png", "json"))
    assert (tmp_path / "a.png").exists()
    remove_results(str(image), stem, ("png", "json"))
    assert [*tmp_path.iterdir()] == [image]


def test_all_parts_of_a_uid_stay_in_the_name() -> None:
    assert written_file(Path("out/1.2.840.113"), "png") == Path("out/1.2.840.113.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a thing of Unix")
def test_a_pipe_is_left_to_the_reader_which_refuses_it(tmp_path: Path) -> None:
    """Opening it to look at its first bytes would wait for a writer forever."""
    os.mkfifo(tmp_path / "pipe")
    check_sources([tmp_path / "pipe"], ("sc",))


def test_the_report_is_written_last() -> None:
    assert [*WRITERS][-1] == "json"
