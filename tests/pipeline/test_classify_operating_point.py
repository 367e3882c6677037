"""`classify --operating-point`: several labels per image, and the quality of these lists."""

import json
from pathlib import Path

import pandas as pd
import pytest

from cxrloc.evaluation.resampling import Resampling
from cxrloc.phantom import write_phantoms
from cxrloc.pipeline.classify import classify
from cxrloc.pipeline.classify_options import ClassifyOptions
from cxrloc.reports.label_file import read_labels

TRUTH = "report_id,Mass,Nodule,Effusion\n{0},1,1,\n{1},1,1,\n{2},,,1\n"
GIVEN = "image,Mass,Nodule,Effusion\n{0},0.6,0.4,0.1\n{1},0.9,0.1,0.5\n{2},0.1,0.2,0.3\n"


def test_labels_are_those_above_the_operating_point_and_are_scored(
    tmp_path: Path,
) -> None:
    names = [record.image_id for record in write_phantoms(tmp_path / "chests", 3, seed=3, size=64)]
    (tmp_path / "truth.csv").write_text(TRUTH.format(*names))
    (tmp_path / "given.csv").write_text(GIVEN.format(*names))
    options = ClassifyOptions(
        (),
        tmp_path / "given.csv",
        labels=tmp_path / "truth.csv",
        operating_point=0.3,
        beside=("dong2017:text",) * 2,
        resampling=Resampling(resamples=5),
    )
    shown = classify(tmp_path / "chests", tmp_path / "out", options).beside
    listed = read_labels(tmp_path / "out/labels.csv")
    assert {name: [f for f, here in said.items() if here] for name, said in listed.items()} == {
        names[0]: ["Mass", "Nodule"],
        names[1]: ["Mass", "Effusion"],
        names[2]: [],  # 0.3 is not above 0.3
    }
    # Ranks 1 and 2: 1. Rank 1, and one that is not on the list: (1 + 0) / 2. Not on the list: 0.
    per_image = pd.read_csv(tmp_path / "out/image_precision.csv").set_index("unit")
    assert per_image["image_list_precision"].to_dict() == {names[0]: 1, names[1]: 0.5, names[2]: 0}
    rows = pd.read_csv(tmp_path / "out/classification.csv").query("group == 'all'")
    row = rows.set_index("metric").loc["image_list_precision"]
    assert (row["value"], row["divisor"], row["threshold"]) == (pytest.approx(0.75), 2, 0.3)
    assert "Threshold of the lists: 0.3." in (tmp_path / "out/table.md").read_text()
    assert json.loads((tmp_path / "out/run.json").read_text())["protocol"]["operating_point"] == 0.3
    assert shown is not None
    assert shown.iloc[:, -1].tolist() == [0.829]
