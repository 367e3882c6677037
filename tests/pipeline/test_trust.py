"""`trust` from end to end, on phantoms and an untrained model."""

import json
from pathlib import Path

import pandas as pd
import pytest

from cxrloc.errors import UsageError
from cxrloc.evaluation.resampling import Resampling
from cxrloc.evaluation.trust.cases import TrustOptions
from cxrloc.evaluation.trust.table import TESTS
from cxrloc.inference.prepared import InferenceSettings
from cxrloc.phantom import write_phantoms
from cxrloc.pipeline.trust import trust

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def result(
    untrained_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pd.DataFrame, Path]:
    folder = tmp_path_factory.mktemp("trust")
    write_phantoms(folder / "chests", 6, seed=7, size=96)
    name = str(untrained_model)
    options = TrustOptions(name, None, (name,), images=2, resampling=Resampling(20))
    return trust(folder / "chests", folder / "out", options).frame, folder / "out"


def rows(frame: pd.DataFrame, test: str) -> pd.DataFrame:
    return frame[frame["test"] == test].set_index("subject")


def test_every_test_has_its_rows(result: tuple[pd.DataFrame, Path]) -> None:
    frame, out = result
    assert set(frame["test"]) == set(TESTS)
    files = {"trust.csv", "trust.md", "trust_curves.csv", "trust.png", "trust.pdf", "run.json"}
    assert {path.name for path in out.iterdir()} == files
    assert len(json.loads((out / "run.json").read_text())["images"]) == 2
    notes = pd.read_csv(out / "trust.csv")["note"]
    assert notes.str.contains("measured on synthetic radiographs").all()


@pytest.mark.parametrize("test", ["insertion", "deletion", "road"])
def test_the_random_map_stands_beside_the_model(
    result: tuple[pd.DataFrame, Path], test: str
) -> None:
    assert rows(result[0], test).index.tolist() == ["model", "random map"]


def test_the_same_model_again_agrees_fully(result: tuple[pd.DataFrame, Path]) -> None:
    assert rows(result[0], "repeatability").loc["untrained", "value"] == pytest.approx(1.0)


def test_what_was_not_run_says_what_it_needs(result: tuple[pd.DataFrame, Path]) -> None:
    (row,) = rows(result[0], "label randomisation").to_dict("records")
    assert pd.isna(row["value"])
    assert "needs --shuffled-model" in row["note"]


def test_areas_are_those_of_the_written_curves(result: tuple[pd.DataFrame, Path]) -> None:
    frame, out = result
    curves = pd.read_csv(out / "trust_curves.csv")
    curve = curves[(curves["test"] == "deletion") & (curves["subject"] == "model")]["probability"]
    area = (curve.sum() - (curve.iloc[0] + curve.iloc[-1]) / 2) / (len(curve) - 1)
    assert rows(frame, "deletion").loc["model", "value"] == pytest.approx(area, abs=1e-5)


def test_averaged_views_are_refused(untrained_model: Path, tmp_path: Path) -> None:
    options = TrustOptions(str(untrained_model), inference=InferenceSettings(versions="tta"))
    with pytest.raises(UsageError, match="--versions"):
        trust(None, tmp_path, options)
