"""Results say whose they are and how far they have come, on a disk and in an object store."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from fsspec import filesystem

from cxrloc.archive.isolation import Item, Lost
from cxrloc.archive.plan import Part
from cxrloc.archive.results import claim_results, complete_parts, status_of
from cxrloc.archive.store import local_copy, read_bytes
from cxrloc.archive.tables import PartWriter, Rows
from cxrloc.errors import CxrlocError, UsageError

RUN = {"command": "archive", "parts": 2, "images": 3, "settings": {"part_size": 2, "write": ()}}
FINDING = ("a", "Mass", 0.5, 0.25, None, True, False, "ok", ["w"])
BOX = ("a", "Mass", 1.0, 2.0, 3.0, 4.0, 60.0, 0.1)
MAP = ("a", "Mass", 0.25, 20, 10, 1, 2, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0], [0.5, 65504.0])
ITEMS = [
    Item(0, "a", 100.0, Rows([FINDING], [BOX], [MAP])),
    Item(1, "b", 100.0, Lost("read", "no")),
]


@pytest.fixture(params=["disk", "memory"])
def out(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "disk":
        yield str(tmp_path / "results")
        return
    yield "memory://results"
    filesystem("memory").rm("/results", recursive=True)


def test_a_part_is_read_back_as_it_was_written(out: str) -> None:
    claim_results(out, RUN)
    assert complete_parts(out) == set()
    assert PartWriter(out, maps=True)(Part(0, 0, 2), ITEMS) == (0, 2, 1)
    rows = {"findings": FINDING, "boxes": BOX, "maps": MAP, "failures": ("b", "read", "no")}
    card = json.loads(read_bytes(f"{out}/part-000000/_part.json") or b"")
    assert (card["images"], card["failed"], card["first_row"]) == (2, 1, 0)
    for name, row in rows.items():
        content = read_bytes(f"{out}/part-000000/{name}.parquet") or b""
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(content))
        assert [tuple(each.values()) for each in table.to_pylist()] == [row]
        assert card["tables"][name]["sha256"] == hashlib.sha256(content).hexdigest()
    assert complete_parts(out) == {0}


def test_maps_are_written_only_if_asked_for(out: str) -> None:
    claim_results(out, RUN)
    PartWriter(out)(Part(1, 2, 1), ITEMS[:1])
    assert read_bytes(f"{out}/part-000001/maps.parquet") is None


def test_status_counts_what_is_done_and_why_images_failed(out: str) -> None:
    claim_results(out, RUN)
    PartWriter(out)(Part(0, 0, 2), ITEMS)
    status = status_of(out)
    assert status[:5] == (1, 2, 2, 3, 1)
    assert status.reasons == [("read: no", 1)]
    assert status.seconds_left is not None
    assert status.seconds_left * status.images_per_second == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("_part.json", b"{}"),
        ("_part.json", b""),
        ("_part.json", b'{"images": "many"}'),
        ("failures.parquet", b"PAR1" + b"\xff" * 40 + b"\x28\0\0\0PAR1"),  # damaged metadata
        ("failures.parquet", b""),
        ("failures.parquet", None),
    ],
)
def test_status_names_the_file_of_a_damaged_part(
    name: str, content: bytes | None, tmp_path: Path
) -> None:
    claim_results(str(tmp_path), RUN)
    PartWriter(str(tmp_path))(Part(0, 0, 2), ITEMS)
    path = tmp_path / "part-000000" / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CxrlocError, match=f"part-000000/{name}"):
        status_of(str(tmp_path))


def test_another_run_is_refused_and_the_same_one_goes_on(out: str) -> None:
    claim_results(out, RUN)
    claim_results(out, RUN)
    other = {**RUN, "settings": {"part_size": 3, "write": ()}}
    with pytest.raises(UsageError, match="part_size is 2 there and 3 here"):
        claim_results(out, other)
    assert json.loads(read_bytes(f"{out}/run.json") or b"")["settings"]["part_size"] == 2


def test_a_folder_of_another_command_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"command": "heatmap"}')
    with pytest.raises(UsageError, match="another command"):
        claim_results(str(tmp_path), RUN)
    with pytest.raises(UsageError, match="no results"):
        status_of(str(tmp_path))
    assert (tmp_path / "run.json").read_text() == '{"command": "heatmap"}'


def test_an_object_is_copied_only_while_it_is_read() -> None:
    filesystem("memory").pipe_file("/bucket/a.dcm", b"content")
    with local_copy("memory://bucket/a.dcm") as path:
        assert path.read_bytes() == b"content"
        assert path.name == "a.dcm"
    assert not path.exists()
    with pytest.raises(CxrlocError, match="cannot be fetched"), local_copy("memory://bucket/none"):
        pass
