from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.evaluation.classification.operating_points import choose_operating_points
from cxrloc.evaluation.classification.report import classify_units
from cxrloc.evaluation.classification.result_files import write_classification
from cxrloc.evaluation.classification.roc_bands import roc_bands_frame
from cxrloc.evaluation.classification.units import ScoredUnits, score_units
from cxrloc.evaluation.resampling import Resampling
from cxrloc.panels.figure_files import write_figure
from cxrloc.panels.plots import WIDTHS_MM, FigureRequest, figure_style
from cxrloc.panels.roc import draw_roc, draw_roc_by_run
from cxrloc.types import Label, Predictions, Record
from tests.panels.print_checks import check_print, words

FINDINGS = ("Mass", "Nodule", "Hernia")


def units() -> tuple[Predictions, ScoredUnits]:
    """Mass is told apart perfectly, Nodule by halves, and there is no Hernia."""
    records = [
        Record(f"{i}", f"{i}", f"{i}", None, labels={"Mass": Label(i > 3), "Nodule": Label(i % 2)})
        for i in range(8)
    ]
    scores = np.linspace(0.1, 0.8, 8)[:, None].repeat(3, axis=1)
    predictions = Predictions(tuple(r.image_id for r in records), FINDINGS, scores)
    return predictions, score_units(predictions, records)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "average"
    folder.mkdir()
    _, scored = units()
    points = choose_operating_points(scored)
    report = classify_units(scored, Resampling(resamples=20), points=points)
    write_classification(scored, points, report, folder)
    return folder


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with figure_style():
        yield


def copies(run: Path, folder: Path, count: int) -> list[Path]:
    """The same run under many long names."""
    for place in range(count):
        own = folder / f"a rather long name of a run, number {place}"
        own.mkdir()
        for file in run.glob("*.csv"):
            (own / file.name).write_bytes(file.read_bytes())
    return sorted(folder.iterdir())


def drawn(run: Path) -> Figure:
    return draw_roc([run], FigureRequest())


def test_each_finding_has_its_plot_with_area_and_interval(run: Path) -> None:
    mass, nodule, hernia = drawn(run).axes[:3]
    assert mass.get_legend().get_texts()[0].get_text() == "1.00 (1.00-1.00)"
    assert nodule.get_legend().get_texts()[0].get_text().startswith("0.62 (")
    assert hernia.get_legend() is None
    assert "not defined" in hernia.texts[0].get_text()


def test_the_operating_point_lies_on_the_curve_where_its_rates_are(run: Path) -> None:
    mass = drawn(run).axes[0]
    chance, curve, point = mass.lines
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (0.0, 1.0)
    assert chance.get_linestyle() != curve.get_linestyle()


def test_the_shape_of_an_operating_point_says_how_it_was_chosen(run: Path, tmp_path: Path) -> None:
    for name, rule in (("a", "youden"), ("b", "f1")):
        (tmp_path / name).mkdir()
        for file in run.glob("*.csv"):
            (tmp_path / name / file.name).write_bytes(file.read_bytes())
        points = pd.read_csv(tmp_path / name / "confusion.csv").assign(rule=rule)
        points.to_csv(tmp_path / name / "confusion.csv", index=False)
    figure = draw_roc([tmp_path / "a", tmp_path / "b"], FigureRequest(findings=("Mass",)))
    _, _, one, _, other = figure.axes[0].lines
    assert one.get_marker() != other.get_marker()
    legend = {mark.get_label(): mark.get_marker() for mark in figure.legends[0].legend_handles}
    assert legend["operating point: youden, other patients"] == one.get_marker()
    assert legend["operating point: f1, other patients"] == other.get_marker()


def test_a_long_label_of_the_legend_is_broken_into_lines(run: Path, tmp_path: Path) -> None:
    (long,) = copies(run, tmp_path, 1)
    points = pd.read_csv(long / "confusion.csv").assign(rule="a rule with a name of many words")
    points.assign(chosen_on="images of other patients, who were set aside").to_csv(
        long / "confusion.csv", index=False
    )
    figure = draw_roc([long], FigureRequest("single", ("Mass",)))
    check_print(figure, 89)
    assert "of many words, images of other" in words(figure).replace("\n", " ")


def test_a_band_holds_its_curve() -> None:
    _, scored = units()
    band = roc_bands_frame(scored, Resampling(resamples=50))
    assert set(band["finding"]) == {"Mass", "Nodule"}
    assert (band["sensitivity_low"] <= band["sensitivity_high"]).all()
    mass = band[band["finding"] == "Mass"]
    assert (mass["sensitivity_low"] == 1).all()
    assert roc_bands_frame(scored, Resampling(resamples=0)).empty


@pytest.mark.parametrize("width", WIDTHS_MM)
@pytest.mark.parametrize("count", [1, 3, 12])
def test_curves_of_many_runs_fit_to_print(
    run: Path, tmp_path: Path, width: str, count: int
) -> None:
    runs = copies(run, tmp_path, count)
    for draw in (draw_roc, draw_roc_by_run):
        check_print(draw(runs, FigureRequest(width)), WIDTHS_MM[width])


def test_a_plot_of_each_run_shows_all_findings_and_the_mean_area(run: Path) -> None:
    figure = draw_roc_by_run([run], FigureRequest())
    assert figure.axes[0].get_title() == "average\nmean AUC 0.812"
    assert len(figure.axes[0].lines) == 4
    assert "Mass 1.00" in words(figure)
    assert "Hernia -" in words(figure)


def test_readers_stand_beside_the_curves(run: Path, tmp_path: Path) -> None:
    readers = tmp_path / "readers.csv"
    row = {"reader": "A", "finding": "Mass", "false_positive_rate": 0.2, "sensitivity": 0.7}
    pd.DataFrame([row]).to_csv(readers, index=False)
    figure = draw_roc([run, readers], FigureRequest(findings=("Mass",)))
    (star,) = [line for line in figure.axes[0].lines if line.get_marker() == "*"]
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (0.2, 0.7)
    assert "reader" in words(figure)


def test_what_is_not_there_is_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(CxrlocError, match=r"auc\.csv: no such file; `cxrloc classify` writes it"):
        draw_roc([tmp_path], FigureRequest())
    with pytest.raises(UsageError, match="--finding Cold: the results have Mass, Nodule, Hernia"):
        draw_roc([run], FigureRequest(findings=("Cold",)))


@pytest.mark.parametrize("draw", [draw_roc, draw_roc_by_run])
def test_a_table_in_place_of_its_folder_is_an_error_that_asks_for_the_folder(
    draw: Callable[[Sequence[Path], FigureRequest], Figure], run: Path
) -> None:
    with pytest.raises(UsageError, match=r"roc\.csv: name the folder that `cxrloc classify` wrote"):
        draw([run / "roc.csv"], FigureRequest())


def test_equal_numbers_give_equal_files(run: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        figure = drawn(run)
        write_figure(figure, [tmp_path / f"{name}{suffix}" for suffix in (".pdf", ".svg", ".png")])
    for suffix in (".pdf", ".svg", ".png"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
