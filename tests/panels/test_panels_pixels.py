"""Every panel looks like its baseline; `tests.panels.baselines` says how to draw baselines again.

The tests compare means of grey over 6 mm squares, so that letters may move by part of a millimetre.
Measured differences: panels drawn by matplotlib 3.9.4 (FreeType 2.6.1) differ from those of 3.11.2
by 4 to 10 grey levels, and clusters, which has the largest letters, by 12.4. A missing number or
name makes a difference of 14 to 30, and a moved legend one of 20 or more.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from scipy.ndimage import uniform_filter

from cxrloc.panels.panels import PANELS
from cxrloc.panels.plots import figure_style
from tests.panels.baselines import BASELINES, CASES, drawn, small_grey, write_results

TOLERANCE = 13.0  # of 255
SQUARE = 7  # cells of a thirtieth of an inch


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with figure_style():
        yield


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_results(folder)
    return folder


def difference(figure: Figure, panel: str) -> float:
    """The largest difference of a square's grey from the baseline."""
    with Image.open(BASELINES / f"{panel}.png") as picture:
        known: Float[np.ndarray, "row col"] = np.asarray(picture).astype(float)
    seen = small_grey(figure)
    assert seen.shape == known.shape, f"{panel}: its size is another"
    # Beyond the edges nothing differs; a mirror there would count letters at the edge twice.
    return float(np.abs(uniform_filter(seen - known, SQUARE, mode="constant")).max())


def test_every_panel_has_a_baseline_and_no_other_has() -> None:
    assert CASES.keys() == PANELS.keys() == {path.stem for path in BASELINES.glob("*.png")}


@pytest.mark.parametrize("panel", CASES)
def test_a_panel_looks_as_it_did(panel: str, results: Path) -> None:
    assert difference(drawn(panel, results), panel) < TOLERANCE


def test_a_moved_legend_is_seen(results: Path) -> None:
    figure = drawn("auc-ranking", results)
    figure.legends[0].set_loc("center")
    assert difference(figure, "auc-ranking") > TOLERANCE


@pytest.mark.parametrize("words", ["Nodule", "0.50"])
def test_a_missing_name_or_number_is_seen(words: str, results: Path) -> None:
    figure = drawn("ranked-labels", results)
    (text,) = figure.findobj(lambda each: isinstance(each, Text) and each.get_text() == words)
    text.set_visible(False)
    assert difference(figure, "ranked-labels") > TOLERANCE


def test_a_missing_curve_is_seen(results: Path) -> None:
    figure = drawn("roc", results)
    figure.axes[0].lines[1].set_visible(False)
    assert difference(figure, "roc") > TOLERANCE
