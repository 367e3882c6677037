"""`classify --products`: probabilities of a label tree, with and without the product."""

import json
from pathlib import Path

import numpy as np
import pytest

from cxrloc.evaluation.classification.prediction_files import read_predictions, write_predictions
from cxrloc.evaluation.resampling import Resampling
from cxrloc.inference.prepared import InferenceSettings
from cxrloc.phantom import write_phantoms
from cxrloc.pipeline.classify import classify
from cxrloc.pipeline.classify_options import ClassifyOptions
from cxrloc.types import Predictions

FINDINGS = ("Consolidation", "Pneumonia", "Mass")


@pytest.mark.parametrize("products", [False, True])
def test_a_child_is_scored_as_the_product_with_its_parent(products: bool, tmp_path: Path) -> None:
    records = write_phantoms(tmp_path / "chests", 12, seed=3, size=64)
    given = np.random.default_rng(0).uniform(size=(12, 3))
    ids = tuple(record.image_id for record in records)
    write_predictions(Predictions(ids, FINDINGS, given), tmp_path / "given.csv")
    options = ClassifyOptions(
        (),
        tmp_path / "given.csv",
        inference=InferenceSettings(products=products),
        resampling=Resampling(5),
    )
    classify(tmp_path / "chests", tmp_path / "out", options)
    expected = given.copy()
    if products:
        expected[:, 1] *= given[:, 0]
    scored = read_predictions(tmp_path / "out/probabilities.csv").probabilities
    assert scored == pytest.approx(expected, abs=1e-5)
    run = json.loads((tmp_path / "out/run.json").read_text())
    assert run["products_along_tree"] is products
