"""Results are read from the journal unchanged, and only missing results are computed."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrloc.errors import CxrlocError
from cxrloc.files.journal import Journal
from cxrloc.inference.prepared import Failure, Image, InferenceSettings
from cxrloc.inference.resumed import localize_on, predict_on
from cxrloc.models.weights import read_model
from cxrloc.types import Radiograph, View

READ: list[str] = []


def images(count: int) -> list[Image]:
    def read(name: str) -> Radiograph:
        READ.append(name)
        if name == "1":
            raise CxrlocError("1: cut short")
        pixels = np.random.default_rng(int(name)).random((32, 40), dtype=np.float32)
        return Radiograph(pixels, 16, view=View.PA, warnings=(f"warning {name}",))

    return [Image(str(k), lambda k=k: read(str(k))) for k in range(count)]  # type: ignore[misc]


@pytest.mark.parametrize("run", [localize_on, predict_on])
def test_an_interrupted_run_gives_what_it_would_have_given(
    run: Callable[..., Any], untrained_model: Path, tmp_path: Path
) -> None:
    models, settings = [read_model(str(untrained_model))], InferenceSettings(workers=1)
    whole = list(run(models, images(4), settings, None))
    path = tmp_path / "journal"
    list(islice(run(models, images(4), settings, Journal(path)), 3))
    READ.clear()
    again = list(run(models, images(4), settings, Journal(path)))
    # Image 1 failed, so it is tried again; 0 and 2 are in the journal.
    assert READ == ["1", "3"]
    assert isinstance(again[1], Failure)
    for before, now in zip(whole, again, strict=True):
        if isinstance(before, Failure):
            continue
        np.testing.assert_array_equal(now.probabilities, before.probabilities)
        if run is predict_on:
            assert (now.image_id, now.view, now.warnings) == (
                before.image_id,
                before.view,
                before.warnings,
            )
            continue
        assert (now.radiograph.view, now.radiograph.warnings) == (
            before.radiograph.view,
            before.radiograph.warnings,
        )
        np.testing.assert_array_equal(now.heatmaps.scores, before.heatmaps.scores)
        assert now.heatmaps.scores.dtype == before.heatmaps.scores.dtype
        for name in ("image_id", "findings", "to_image", "image_rows", "image_columns"):
            assert getattr(now.heatmaps, name) == getattr(before.heatmaps, name)
