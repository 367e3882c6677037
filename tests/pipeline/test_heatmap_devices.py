"""Commands on several devices: two processes of the CPU stand for two GPUs."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cxrloc.cli import app
from cxrloc.phantom import write_phantoms

RESULTS = (".csv", ".json", ".npz", ".png")


def results(folder: Path) -> dict[str, bytes]:
    """What a run wrote, but the times in its JSON files."""
    return {
        path.name: re.sub(rb'"time": "[^"]*"', b"", path.read_bytes())
        for path in sorted(folder.rglob("[!.]*"))
        if path.suffix in RESULTS and path.name != "run.json"
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("heatmap", ("--save-maps",)),
        ("bench", ("--resamples", "20")),
        ("classify", ("--resamples", "20")),
    ],
)
def test_two_devices_write_the_bytes_of_one(
    command: str, options: tuple[str, ...], untrained_model: Path, tmp_path: Path
) -> None:
    write_phantoms(tmp_path / "chests", n=6, seed=3, size=96)
    if command == "heatmap":
        (tmp_path / "chests/images/broken.png").write_bytes(b"no image")
    data = tmp_path / "chests" / ("images" if command == "heatmap" else "")
    ended = []
    for name, devices in (("one", "cpu"), ("two", "cpu,cpu")):
        words = [command, str(data), "--model", str(untrained_model), "--device", devices, *options]
        ended.append(CliRunner().invoke(app, [*words, "--out", str(tmp_path / name)]).exit_code)
    assert ended == [command == "heatmap"] * 2
    one, two = results(tmp_path / "one"), results(tmp_path / "two")
    assert one.keys() == two.keys()
    assert len(one) >= 4
    assert [name for name in one if one[name] != two[name]] == []
