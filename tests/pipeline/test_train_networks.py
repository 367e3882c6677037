"""DualNet and `-meta`, trained for one step, through classify, bench and trust."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cxrloc.cli import app
from cxrloc.datasets import read_dataset
from cxrloc.evaluation.classification.prediction_files import read_predictions
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.resampling import Resampling
from cxrloc.evaluation.trust.cases import TrustOptions
from cxrloc.inference.paired_images import Pairing
from cxrloc.inference.prepared import InferenceSettings
from cxrloc.models.weights import read_model
from cxrloc.phantom import write_phantoms
from cxrloc.pipeline.bench import BenchOptions, bench
from cxrloc.pipeline.classify import classify
from cxrloc.pipeline.classify_options import ClassifyOptions
from cxrloc.pipeline.trust import trust
from cxrloc.recipe import read_recipe
from tests.pipeline.phantom_layouts import COUNT, mimic_cxr, write_report_labels

pytestmark = pytest.mark.slow  # two trainings, and every command on what they give

FEW = Resampling(resamples=10)
PROTOCOL = ScoringProtocol(resampling=FEW, draws=1)
INFERENCE = InferenceSettings(device="cpu")
TINY = """
extends = "{recipe}"
start = "scratch"
[preprocessing]
size = 64
[network]
backbone = "small_resnet"
output_stride = 16
[fit]
batch_size = 4
steps = 1
epochs = 0
validate_every = 1
"""


def train(recipe: str, data: Path, *more: str | Path) -> str:
    """The file of a model that has taken one step by a recipe on small images."""
    place = data.parent
    (place / "tiny.toml").write_text(TINY.format(recipe=recipe))
    command = ["train", place / "tiny.toml", "--data", data, "--cache", place / "cache", *more]
    done = CliRunner().invoke(app, [*map(str, command), "--out", str(place / "out"), "--quiet"])
    assert done.exit_code == 0, done.output
    return str(place / "out" / "model.safetensors")


@pytest.fixture(scope="module")
def dualnet(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("dualnet")
    mimic_cxr(folder / "mimic")
    labels = folder / "labels.csv"
    recipe = "rubin2018_dualnet_pa"
    findings = read_recipe(recipe).network.findings
    write_report_labels(labels, [f"s{study}" for study in range(COUNT)], findings)
    return train(recipe, folder / "mimic", "--labels", labels)


@pytest.fixture(scope="module")
def meta(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("meta")
    write_phantoms(folder / "chests", COUNT, seed=5, size=64)
    return train("baltruschat2019_ft_meta", folder / "chests")


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other patients, in ChestX-ray14's layout."""
    folder = tmp_path_factory.mktemp("data") / "chests"
    write_phantoms(folder, COUNT, seed=6, size=64)
    return folder


@pytest.fixture(scope="module")
def pairs(chests: Path) -> Pairing:
    """Each boxed image, with a lateral one that the data set does not list."""
    boxed = [record for record in read_dataset(chests) if record.annotations]
    place = chests.parent / "pairs"
    place.mkdir()
    (place / "side.png").write_bytes(boxed[0].path.read_bytes())
    rows = [f"{record.image_id},side.png" for record in boxed]
    (place / "pairs.csv").write_text("\n".join(["frontal,lateral", *rows]) + "\n")
    return Pairing(place / "pairs.csv")


def test_a_dualnet_is_scored_once_per_pair(
    dualnet: str, chests: Path, pairs: Pairing, tmp_path: Path
) -> None:
    boxed = [record.image_id for record in read_dataset(chests) if record.annotations]
    options = ClassifyOptions((dualnet,), resampling=FEW, pairing=pairs, inference=INFERENCE)
    classified = classify(chests, tmp_path / "classify", options)
    seen = read_predictions(tmp_path / "classify" / "probabilities.csv")
    assert seen.image_ids == tuple(boxed)
    assert f"{len(boxed)} pairs of " in classified.run["data"]["name"]
    benched = bench(
        chests,
        tmp_path / "bench",
        BenchOptions((dualnet,), protocol=PROTOCOL, pairing=pairs, inference=INFERENCE),
    )
    assert benched.run["scored_images"] == len(boxed)
    found = benched.claims.probabilities
    for (image_id, finding), probability in found.items():
        row, column = seen.image_ids.index(image_id), seen.findings.index(finding)
        assert probability == pytest.approx(seen.probabilities[row, column], abs=1e-5)


def test_trust_changes_the_frontal_view_of_a_dualnet_alone(
    dualnet: str, chests: Path, pairs: Pairing, tmp_path: Path
) -> None:
    options = TrustOptions(dualnet, images=2, resampling=FEW, pairing=pairs, inference=INFERENCE)
    frame = trust(chests, tmp_path, options).frame.set_index("test")
    assert frame.loc[["insertion", "deletion", "road"], "value"].notna().all()
    parts = frame.loc["weight randomisation", "subject"].tolist()
    assert parts[0] == "prediction"
    assert len(parts) > 2
    assert all(name.startswith("frontal.") for name in parts[1:])


def test_age_sex_and_view_of_the_data_set_reach_a_meta_network(
    meta: str, chests: Path, tmp_path: Path
) -> None:
    """Of two copies of a data set, one says the other sex: the logits differ by its weight."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "images").symlink_to(chests / "images")
    for path in chests.glob("*.*"):
        (other / path.name).write_bytes(path.read_bytes())
    table = pd.read_csv(chests / "Data_Entry_2017.csv", dtype=str, index_col=False)
    (sexes,) = [name for name in table.columns if "Gender" in name]
    male = (table[sexes] == "M").to_numpy()
    table[sexes] = np.where(male, "F", "M")
    table.to_csv(other / "Data_Entry_2017.csv", index=False)
    logits, warnings = [], []
    for name, data in (("as_is", chests), ("swapped", other)):
        options = ClassifyOptions((meta,), resampling=FEW, inference=INFERENCE)
        warnings.append(classify(data, tmp_path / name, options).run["warnings"])
        p = read_predictions(tmp_path / name / "raw_probabilities.csv").probabilities
        logits.append(np.log(p / (1 - p)))
    assert warnings == [{}, {}]
    weight = read_model(meta).network.meta.weight.detach().numpy()[:, 1]  # age, sex, view
    expected = np.where(male, -1, 1)[:, None] * weight
    np.testing.assert_allclose(logits[1] - logits[0], expected, atol=1e-3)


def test_a_meta_network_is_benched_and_trusted(meta: str, chests: Path, tmp_path: Path) -> None:
    options = BenchOptions((meta,), protocol=PROTOCOL, inference=INFERENCE)
    result = bench(chests, tmp_path / "bench", options)
    assert result.run["scored_images"] == sum(bool(r.annotations) for r in read_dataset(chests))
    assert result.run["warnings"] == {}
    options = TrustOptions(meta, images=2, resampling=FEW, inference=INFERENCE)
    frame = trust(chests, tmp_path / "trust", options).frame.set_index(["test", "subject"])
    assert frame.loc[("insertion", "model"), "value"] > 0
    # Age, sex and view have no part in a map.
    assert frame.loc[("weight randomisation", "meta"), "value"] > 0.99
