"""Every chart on small results: fit to print in both widths, and what is drawn where."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from matplotlib.patches import PathPatch, Wedge

from cxrloc.panels.panels import PANELS
from cxrloc.panels.plots import WIDTHS_MM, FigureRequest, figure_style
from cxrloc.types import CxrlocError
from tests.panels.print_checks import check_print, ink, words
from tests.panels.small_results import write_tables


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with figure_style():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "run"
    write_tables(folder)
    return folder


READS = {
    "auc-ranking": "",
    "spearman": "",
    "confusion": "",
    "precision-cdf": "",
    "localization": "",
    "localization-by-finding": "",
    "froc": "",
    "cooccurrence": "labels.csv",
    "clusters": "labels_clusters.csv",
    "training": "train",
    "ages": "data",
    "lr-range": "",
    "trust": "",
}
BESIDE = {"auc-ranking": ("wang2017:17",), "localization": ("wang2017:4", "wang2017:7")}


@pytest.mark.parametrize("width", WIDTHS_MM)
@pytest.mark.parametrize("panel", READS)
def test_a_chart_is_fit_to_print(panel: str, width: str, run: Path) -> None:
    request = FigureRequest(width, beside=BESIDE.get(panel, ()))
    figure = PANELS[panel].draw([run / READS[panel]], request)
    check_print(figure, WIDTHS_MM[width])
    assert 0.002 < ink(figure) < 0.95


def test_findings_rise_by_their_mean_and_one_without_auc_says_so(run: Path) -> None:
    figure = PANELS["auc-ranking"].draw([run], FigureRequest())
    (axes,) = figure.axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["mean", "Hernia", "Pleural Thickening", "Mass"]
    assert words(figure).count("not defined") == 1


def test_an_arc_for_each_finding_and_a_chord_for_each_pair_that_occurs(run: Path) -> None:
    (axes,) = PANELS["cooccurrence"].draw([run / "labels.csv"], FigureRequest()).axes
    assert sum(isinstance(patch, PathPatch) for patch in axes.patches) == 1
    assert sum(isinstance(patch, Wedge) for patch in axes.patches) == 4  # alone and joint, twice
    assert len(axes.texts) == 2


def test_control_and_published_points_stand_beside_the_curve(run: Path) -> None:
    request = FigureRequest(findings=("Mass",), beside=("wang2017:4",))
    first = PANELS["localization"].draw([run], request).axes[0]
    model = next(line for line in first.lines if line.get_color() == "C0")
    assert model.get_ydata() == pytest.approx([0.9, 0.5])
    published = next(line for line in first.lines if line.get_color() == "C1")
    assert published.get_xdata() == pytest.approx([0.1, 0.25, 0.5, 0.75, 0.9])


def test_a_character_of_no_font_is_an_error_that_names_the_package(tmp_path: Path) -> None:
    path = tmp_path / "labels_clusters.csv"
    path.write_text("cluster,medoid,reports,clause,count\n1,\ue000\ue000,3,\ue000\ue000,3\n")
    with pytest.raises(CxrlocError, match="fonts-noto-cjk"), figure_style():
        ink(PANELS["clusters"].draw([path], FigureRequest()))
