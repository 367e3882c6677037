"""Every chart on small results: fit to print in both widths, and what is drawn where."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Wedge

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.panels.figure_files import check_height, write_figure
from cxrloc.panels.panels import PANELS
from cxrloc.panels.plots import WIDTHS_MM, FigureRequest, figure_style
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
    axes = PANELS["cooccurrence"].draw([run / "labels.csv"], FigureRequest()).axes[-1]
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


def test_at_one_threshold_marks_stand_side_by_side_and_the_interval_is_a_line(
    run: Path, tmp_path: Path
) -> None:
    for name in ("localization", "controls"):
        frame = pd.read_csv(run / f"{name}.csv")
        frame[frame["threshold"] == 0.5].to_csv(tmp_path / f"{name}.csv", index=False)
    first = PANELS["localization"].draw([tmp_path], FigureRequest(findings=("Mass",))).axes[0]
    places = [float(line.get_xdata()[0]) for line in first.lines if len(line.get_xdata())]
    assert len(set(places)) == 2  # the control and the model
    (bar,) = first.collections
    ((_, low), (_, high)) = bar.get_segments()[0]
    assert (low, high) == (pytest.approx(0.3), 1.0)


def test_at_one_threshold_the_legend_names_published_points_only_if_there_are_any(
    run: Path, tmp_path: Path
) -> None:
    """Wang et al. 2017, table 4, has T(IoBB) 0.5, and not 0.3."""
    frame = pd.read_csv(run / "localization.csv")
    frame = frame[(frame["threshold"] == 0.5) & (frame["criterion"] == "iobb")]
    for threshold, known in ((0.5, True), (0.3, False)):
        own = frame.assign(threshold=threshold)
        own.to_csv(tmp_path / "localization.csv", index=False)
        request = FigureRequest(findings=("Mass",), beside=("wang2017:4",))
        figure = PANELS["localization"].draw([tmp_path], request)
        assert ("Wang et al. 2017" in words(figure)) == known


def test_each_criterion_of_one_threshold_has_a_plot_around_it(run: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(run / "localization.csv")
    other = frame.assign(threshold=0.1, criterion="other")
    own = pd.concat([frame[frame["threshold"] == 0.5], other]).drop_duplicates(
        ["finding", "criterion", "threshold"]
    )
    own.to_csv(tmp_path / "localization.csv", index=False)
    figure = PANELS["localization-by-finding"].draw([tmp_path], FigureRequest())
    assert figure.axes[0].get_xlim() == pytest.approx((0, 1))
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["0.5"]


def test_controls_differ_in_marker_and_line(run: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(run / "controls.csv")
    names = ("prior_mean", "prior_medoid", "random", "permuted", "oracle_map")
    pd.concat([frame.assign(control=name) for name in names]).to_csv(tmp_path / "controls.csv")
    (tmp_path / "localization.csv").write_bytes((run / "localization.csv").read_bytes())
    legend = PANELS["localization"].draw([tmp_path], FigureRequest()).legends[0]
    looks = {(mark.get_marker(), mark.get_linestyle()) for mark in legend.legend_handles}
    assert len(looks) == 6
    assert len({marker for marker, _ in looks}) == 6


def test_a_figure_that_is_higher_than_a_page_is_refused_for_print_only(tmp_path: Path) -> None:
    """Those that commands write beside their tables may be higher, as of 50 findings."""
    check_height(Figure(figsize=(3.5, 247 / 25.4)))
    high = Figure(figsize=(3.5, 250 / 25.4))
    with pytest.raises(UsageError, match="the figure is 250 mm high, and a page 247 mm"):
        check_height(high)
    write_figure(high, [tmp_path / "a.pdf"])
    assert (tmp_path / "a.pdf").is_file()


def test_text_stays_text_and_the_font_is_in_the_pdf(tmp_path: Path) -> None:
    figure = Figure()
    figure.text(0.5, 0.5, "Pleural Thickening")
    write_figure(figure, [tmp_path / "a.svg", tmp_path / "a.pdf"])
    drawing = (tmp_path / "a.svg").read_text()
    assert ">Pleural Thickening</text>" in drawing
    assert "font-family: Arimo, Arial, Helvetica" in drawing
    document = (tmp_path / "a.pdf").read_bytes()
    # Type 42 fonts are TrueType fonts; a part of the font has a name of six letters before its own.
    assert re.search(rb"/FontName /[A-Z]{6}\+Arimo", document)
    assert b"/FontFile2" in document


def test_a_character_of_no_font_is_an_error_that_names_the_package(tmp_path: Path) -> None:
    path = tmp_path / "labels_clusters.csv"
    path.write_text("cluster,medoid,reports,clause,count\n1,\ue000\ue000,3,\ue000\ue000,3\n")
    with pytest.raises(CxrlocError, match="fonts-noto-cjk"), figure_style():
        ink(PANELS["clusters"].draw([path], FigureRequest()))


def test_a_published_mean_is_drawn_beside_a_mean_of_the_same_findings_only(tmp_path: Path) -> None:
    five = ["Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion"]
    rows = [f"{f},all,image,9,4,5,20,0.{i + 5},0.4,0.9," for i, f in enumerate([*five, "Mass"])]
    header = "finding,group,unit,n,positives,negatives,divisor,auc,auc_low,auc_high,note"
    mean = "mean,all,image,9,,,6,0.75,0.7,0.8,"
    (tmp_path / "auc.csv").write_text("\n".join([header, *rows, mean]) + "\n")

    def drawn(findings: tuple[str, ...]) -> tuple[float, float]:
        """The own and the published AUC of the row of the mean, which is the lowest."""
        request = FigureRequest("double", findings, beside=("pham2019:2",))
        (axes,) = PANELS["auc-ranking"].draw([tmp_path], request).axes
        own = next(line for line in axes.lines if list(line.get_ydata()) == [0])
        other = next(line for line in axes.lines if line.get_fillstyle() == "none")
        return float(own.get_xdata()[0]), float(other.get_xdata()[0])

    own, other = drawn(())
    assert own == 0.75
    assert np.isnan(other)  # six findings against Pham's five
    assert drawn(tuple(five)) == (pytest.approx(0.7), 0.94)


def test_one_output_is_drawn_as_a_matrix_of_two_classes(tmp_path: Path) -> None:
    names = ("No Finding", "Abnormal")
    rows = [f"{a},{b},{n}" for (a, b), n in zip(product(names, names), (3, 1, 0, 4), strict=True)]
    (tmp_path / "single_findings.csv").write_text("\n".join(["finding,called,units", *rows]) + "\n")
    figure = PANELS["confusion"].draw([tmp_path], FigureRequest())
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["No Finding (4)", "Abnormal (4)"]


def test_precision_of_lists_above_an_operating_point_is_drawn_where_there_is_one(
    tmp_path: Path,
) -> None:
    rows = "a,2,1.0,0.5\nb,2,0.5,0.25\n"
    header = "unit,findings,image_ranking_precision,image_list_precision\n"
    (tmp_path / "image_precision.csv").write_text(header + rows)
    figure = PANELS["precision-cdf"].draw([tmp_path], FigureRequest())
    label = "mean 0.375 of 2, lists above the operating point"
    assert figure.axes[0].get_lines()[0].get_label().endswith(label)
