"""`counts` from end to end, beside published tables."""

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from cxrloc.cli import app
from cxrloc.errors import UsageError
from cxrloc.files.run_folder import held_folder
from cxrloc.pipeline.counts import CountOptions, count

LABELS = """Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,\
View Position
1_000.png,Mass|Hernia,0,1,50,M,PA
2_000.png,Hernia,0,2,50,F,AP
3_000.png,No Finding,0,3,50,F,PA
"""


@pytest.fixture
def chests(tmp_path: Path) -> Path:
    folder = tmp_path / "chests"
    folder.mkdir()
    (folder / "Data_Entry_2017.csv").write_text(LABELS)
    return folder


def test_each_published_table_is_counted_on_its_own_findings(chests: Path, tmp_path: Path) -> None:
    beside = ("wang2017:1", "wang2017:16", "rubin2018:1")
    frames = count(chests, tmp_path / "out", CountOptions(beside=beside)).frames
    eight = frames["beside_wang2017_1"].set_index("finding")
    assert eight.loc["No Finding", "images"] == 2  # Hernia is none of the eight
    assert eight.loc["No Finding", "images (Wang et al. 2017, Table 1: ChestX-ray8)"] == 84312
    fourteen = frames["beside_wang2017_16"].set_index("finding")
    assert fourteen.loc[["Mass", "Hernia", "No Finding"], "overlap"].tolist() == [1, 1, 0]
    views = frames["beside_rubin2018_1"].set_index("finding")
    assert views.loc["PA", ["images", "images (Rubin et al. 2018, Table 1: test)"]].tolist() == [
        2, 20426,
    ]  # fmt: skip
    assert len(pd.read_csv(tmp_path / "out/beside_wang2017_16.csv")) == 15
    assert "84312" in (tmp_path / "out/table.md").read_text()


def test_a_table_of_scores_is_no_table_of_counts(chests: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"wang2017:17: the tables of counts are wang2017:1, "):
        count(chests, tmp_path / "out", CountOptions(beside=("wang2017:17",)))
    done = CliRunner().invoke(app, ["counts"])
    assert (done.exit_code, "name a data set to count" in done.stderr) == (2, True)


def test_two_counts_do_not_write_into_one_folder(chests: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with (
        held_folder(out),
        pytest.raises(UsageError, match="another run is writing there"),
    ):
        count(chests, out, CountOptions())
    assert not (out / "run.json").exists()
