from pathlib import Path

import pandas as pd
import pytest

from cxrloc.errors import UsageError
from cxrloc.evaluation.beside import write_beside

WANG = "Wang et al. 2017, Table 4: ChestX-ray8"
MEASURED = pd.DataFrame(
    {
        "finding": ["Mass", "Mass", "Mass", "Hernia"],
        "criterion": ["iobb", "iou", "iobb", "iobb"],
        "threshold": [0.1, 0.1, 0.3, 0.1],
        "annotated": [85, 85, 85, 1],
        "accuracy": [0.5, 0.4, 0.3, 0.2],
        "accuracy_low": [0.4, 0.3, 0.2, 0.1],
        "afp": [1.0, 1.1, 1.2, 1.3],
    }
)


def test_only_rows_of_the_table_are_shown_with_all_its_numbers(tmp_path: Path) -> None:
    shown = write_beside(MEASURED, ["wang2017:4"], tmp_path)
    assert shown is not None
    (row,) = shown.to_dict("records")  # no IoU, no T 0.3 and no Hernia in table 4
    assert (row["finding"], row["criterion"], row["threshold"]) == ("Mass", "iobb", 0.1)
    assert (row["accuracy"], row[f"accuracy ({WANG})"]) == (0.5, 0.4352)
    assert f"afp ({WANG})" in row
    assert len(pd.read_csv(tmp_path / "table_beside.csv")) == 1


def test_several_tables_stand_beside_each_other(tmp_path: Path) -> None:
    shown = write_beside(MEASURED, ["wang2017:4", "wang2017:7"], tmp_path)
    assert shown is not None
    assert shown["criterion"].tolist() == ["iobb", "iou"]
    assert (tmp_path / "table_beside.md").read_text().count("Wang X") == 2


def test_without_a_table_nothing_is_written(tmp_path: Path) -> None:
    assert write_beside(MEASURED, [], tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_a_table_none_of_whose_rows_was_measured_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none of its rows was measured"):
        write_beside(MEASURED[2:], ["wang2017:4"], tmp_path)


def test_the_page_says_how_both_numbers_were_made(tmp_path):
    own = {"table": "this run", "setting": "mine", "tuned_on_boxed_images": "no"}
    measured = MEASURED.assign(prior_medoid_accuracy=0.1)
    shown = write_beside(measured, ["wang2017:4"], tmp_path, protocol=own)
    assert "prior_medoid_accuracy" in shown
    page = (tmp_path / "table_beside.md").read_text()
    assert "all regions above 60 and above 180" in page
    protocols = pd.read_csv(tmp_path / "protocols_beside.csv")
    assert protocols["setting"].tolist() == ["mine", "ChestX-ray8"]
