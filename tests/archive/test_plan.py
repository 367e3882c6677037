"""A manifest is cut into parts, and shards share them out."""

from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem

from cxrloc.archive.plan import Part, make_plan, shard_of, uris_of
from cxrloc.errors import CxrlocError, UsageError
from tests.archive.stub_steps import write_uris

URIS = [f"image-{n}" for n in range(10)]


@pytest.mark.parametrize("group", [1, 3, 4, 10])
def test_the_parts_list_every_image_once_in_the_order_of_the_manifest(
    group: int, tmp_path: Path
) -> None:
    manifest = str(write_uris(tmp_path / "m.parquet", URIS, group))
    parts = [*make_plan(manifest, 4).parts()]
    assert parts == [Part(0, 0, 4), Part(1, 4, 4), Part(2, 8, 2)]
    assert [uris_of(manifest, part) for part in parts] == [URIS[:4], URIS[4:8], URIS[8:]]


def test_shards_share_the_parts_out(tmp_path: Path) -> None:
    manifest = str(write_uris(tmp_path / "m.parquet", URIS))
    shares = [[*make_plan(manifest, 3, shard_of(f"{i}/3")).parts()] for i in range(3)]
    assert [[part.number for part in share] for share in shares] == [[0, 3], [1], [2]]


@pytest.mark.parametrize("text", ["3/3", "1", "a/b", "-1/2", "/", "0/0"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--shard"):
        shard_of(text)


def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    damaged = b"PAR1" + b"\xff" * 40 + b"\x28\0\0\0PAR1"
    for content in (b"no Parquet", damaged):
        (tmp_path / "text.parquet").write_bytes(content)
        with pytest.raises(UsageError, match=r"no Parquet file \(\w+.*\)"):
            make_plan(str(tmp_path / "text.parquet"), 4)
    with pytest.raises(UsageError, match="no such file"):
        make_plan(str(tmp_path / "none.parquet"), 4)
    with pytest.raises(UsageError, match="lists no image"):
        make_plan(str(write_uris(tmp_path / "empty.parquet", [])), 4)


@pytest.mark.parametrize("error", [PermissionError("Access Denied"), TimeoutError("too slow")])
def test_a_manifest_that_a_store_does_not_give_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    manifest = str(write_uris(tmp_path / "m.parquet", URIS))

    def refuse(*_: object, **__: object) -> None:
        raise error  # without a number, as s3fs does

    monkeypatch.setattr(LocalFileSystem, "open", refuse)
    with pytest.raises(CxrlocError, match=rf"m.parquet: cannot be read \({error}\)"):
        make_plan(manifest, 4)


def test_damaged_rows_are_no_parquet(tmp_path: Path) -> None:
    path = write_uris(tmp_path / "m.parquet", URIS)
    content = bytearray(path.read_bytes())
    content[4:40] = b"\xff" * 36
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"m.parquet: no Parquet file"):
        uris_of(str(path), Part(0, 0, 4))
