"""The tables beside the pictures."""

import json
from pathlib import Path
from typing import Any

import pytest

from cxrloc.image_results.run_tables import RunTables
from cxrloc.inference.prepared import Failure


def report(finding: str, boxes: int, warnings: list[str], status: str = "ok") -> dict[str, Any]:
    corners = {"x_min": 1.0, "y_min": 2.0, "x_max": 3.0, "y_max": 4.0}
    row = {
        "finding": finding,
        "probability": 0.7,
        "raw_probability": 0.8,
        "operating_point": None,
        "above_operating_point": None,
        "degenerate": False,
        "boxes": [{**corners, "threshold": 60.0, "score": 0.5}] * boxes,
    }
    return {"image": "in/a.png", "status": status, "warnings": warnings, "findings": [row]}


def test_done_skipped_and_failed_images_are_all_told_of(tmp_path: Path) -> None:
    with RunTables(tmp_path, {"versions": {"cxrloc": "1"}}) as tables:
        tables.add(Path("sub/a"), report("Mass", 2, ["dark"]), skipped=False)
        tables.add(Path("b"), report("Mass", 0, ["dark"], "outside"), skipped=True)
        tables.add(Path("c"), Failure("in/c.png", "in/c.png: cut short"), skipped=False)
    assert (tmp_path / "findings.csv").read_text().splitlines()[1:] == [
        "sub/a,in/a.png,ok,Mass,0.7,0.8,,,False",
        "b,in/a.png,outside,Mass,0.7,0.8,,,False",
    ]
    assert (tmp_path / "detections.csv").read_text().splitlines() == [
        "image,finding,x_min,y_min,x_max,y_max,threshold,score",
        *["sub/a,Mass,1.0,2.0,3.0,4.0,60.0,0.5"] * 2,
    ]
    assert (tmp_path / "failures.csv").read_text().splitlines()[1:] == [
        "c,in/c.png,in/c.png: cut short"
    ]
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["images"] == {"done": 1, "skipped": 1, "failed": 1, "outside": 1}
    assert run["warnings"] == {"dark": 2}
    assert run["versions"] == {"cxrloc": "1"}


def test_an_interrupted_run_leaves_no_table(tmp_path: Path) -> None:
    def interrupted() -> None:
        with RunTables(tmp_path, {}) as tables:
            tables.add(Path("a"), report("Mass", 1, []), skipped=False)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [*tmp_path.iterdir()] == []
