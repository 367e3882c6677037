"""Every chart on small results: fit to print in both widths, and what is drawn where."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import PathPatch, Wedge

from cxrloc.panels.panels import PANELS
from cxrloc.panels.plots import WIDTHS_MM, FigureRequest, figure_style
from cxrloc.types import CxrlocError
from tests.panels.print_checks import check_print, ink, words

FINDINGS = ("Mass", "Pleural_Thickening", "Hernia")


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with figure_style():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of every command in one folder: Hernia has no AUC, and nobody has it alone."""
    folder = tmp_path_factory.mktemp("results") / "run"
    folder.mkdir()
    areas = {"Mass": (0.9, 0.8, 0.95), "Pleural_Thickening": (0.7, 0.6, 0.8)}
    areas |= {"Hernia": (np.nan,) * 3, "mean": (0.8, 0.7, 0.9)}
    rate = (0.0, 0.5, 1.0)
    truths = [(t, c, 0 if t == "Hernia" else 3 * (t == c) + 1) for t in FINDINGS for c in FINDINGS]
    scores = [
        (f, c, t, 4, 1 - t, 0.8 - t, 1.0, 0.3 + t)
        for f in (*FINDINGS, "mean")
        for c in ("iobb", "iou")
        for t in (0.1, 0.5)
    ]
    names = ["finding", "criterion", "threshold", "annotated"]
    names += ["accuracy", "accuracy_low", "accuracy_high", "afp"]
    said = [("1", 1, 1, ""), ("2", 1, "", ""), ("3", "", 1, 0)]
    clauses = [(1, "clear lungs", 9, "clear lungs", 7), (1, "clear lungs", 9, "lungs clear", 2)]
    clauses += [(2, "a most long-winded diagnosis", 1, "a most long-winded diagnosis", 1)]
    tables = {
        "auc": [(f, "all", *values) for f, values in areas.items()],
        "roc": [("Mass", x, x**0.5) for x in rate],
        "single_findings": truths,
        "image_precision": [("a", 1, 0.5), ("b", 2, 0.5), ("c", 2, 1.0)],
        "rank_correlations": [("one run", 1.0, 0.4), ("another run", 0.4, 1.0)],
        "localization": scores,
        "controls": [("permuted", *row) for row in scores],
        "metrics": [
            (f, "froc_sensitivity", at, 0.4, 0.3, 0.5) for f in FINDINGS for at in (0.125, 8)
        ],
        "labels": said,
        "labels_clusters": clauses,
    }
    columns = {
        "auc": ["finding", "group", "auc", "auc_low", "auc_high"],
        "roc": ["finding", "false_positive_rate", "sensitivity"],
        "single_findings": ["finding", "called", "units"],
        "image_precision": ["unit", "findings", "image_ranking_precision"],
        "rank_correlations": ["run", "one run", "another run"],
        "localization": names,
        "controls": ["control", *names],
        "metrics": ["finding", "metric", "at", "value", "low", "high"],
        "labels": ["report_id", *FINDINGS],
        "labels_clusters": ["cluster", "medoid", "reports", "clause", "count"],
    }
    for name, rows in tables.items():
        frame = pd.DataFrame(rows, columns=pd.Index(columns[name]))
        frame.to_csv(folder / f"{name}.csv", index=False)
    (folder / "train").mkdir()
    (folder / "train/metrics.csv").write_text("step,learning_rate,loss,mean_auc\n10,0.1,0.5,0.8\n")
    data = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position"
    )
    rows = [
        f"{i}.png,Mass,0,{i},{age},{sex},PA" for i, (age, sex) in enumerate(((21, "F"), (22, "M")))
    ]
    (folder / "data").mkdir()
    (folder / "data/Data_Entry_2017.csv").write_text("\n".join([data, *rows, ""]))
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
