from pathlib import Path

import numpy as np
import pytest

from cxrloc.errors import UsageError
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.localization.tables import grid, rows_of
from cxrloc.evaluation.resampling import Resampling
from cxrloc.inference.prepared import InferenceSettings
from cxrloc.models.names import PHANTOM_MODEL
from cxrloc.panels.plots import FigureRequest
from cxrloc.phantom import write_phantoms
from cxrloc.pipeline.bench import BenchOptions, bench
from cxrloc.pipeline.figure import figure

pytestmark = pytest.mark.slow


def test_maps_of_a_bench_are_drawn_beside_its_boxes_score_the_same_and_are_not_mixed(
    tmp_path: Path,
) -> None:
    write_phantoms(tmp_path / "chests", n=12, seed=31, size=64)
    protocol = ScoringProtocol(resampling=Resampling(0))
    options = BenchOptions(
        models=(PHANTOM_MODEL,),
        protocol=protocol,
        save_maps=True,
        inference=InferenceSettings(device="cpu"),
    )
    first = bench(tmp_path / "chests", tmp_path / "run", options)
    maps = BenchOptions(models=(), maps=tmp_path / "run/maps", protocol=protocol)
    again = bench(tmp_path / "chests", tmp_path / "again", maps)
    both = [grid(rows_of(run.scores.measurements), "accuracy") for run in (again, first)]
    np.testing.assert_allclose(*both)
    out = tmp_path / "rows.png"
    assert figure("localization-rows", [tmp_path / "run"], out, FigureRequest()) == [out]
    before = sorted((tmp_path / "run").rglob("*"))
    with pytest.raises(UsageError, match="run/maps holds maps of an earlier run"):
        bench(tmp_path / "chests", tmp_path / "run", options)
    assert sorted((tmp_path / "run").rglob("*")) == before
