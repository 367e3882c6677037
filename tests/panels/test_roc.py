import numpy as np
from matplotlib.figure import Figure

from cxrloc.evaluation.classification.report import choose_operating_points, classify_units
from cxrloc.evaluation.classification.units import score_units
from cxrloc.evaluation.resampling import Resampling
from cxrloc.panels.plots import write_figure
from cxrloc.panels.roc import draw_roc_curves
from cxrloc.types import Label, Predictions, Record

FINDINGS = ("Mass", "Nodule", "Hernia")


def drawn() -> Figure:
    """Mass is told apart perfectly, Nodule by halves, and there is no Hernia."""
    records = [
        Record(f"{i}", f"{i}", f"{i}", None, labels={"Mass": Label(i > 3), "Nodule": Label(i % 2)})
        for i in range(8)
    ]
    scores = np.linspace(0.1, 0.8, 8)[:, None].repeat(3, axis=1)
    units = score_units(Predictions(tuple(r.image_id for r in records), FINDINGS, scores), records)
    points = choose_operating_points(units)
    report = classify_units(units, Resampling(resamples=20), points=points)
    return draw_roc_curves(units, report, points, "A caption.")


def test_each_finding_has_its_panel_with_area_and_interval() -> None:
    mass, nodule, hernia = drawn().axes[:3]
    assert mass.get_legend().get_texts()[0].get_text() == "AUC 1.00\n(1.00 to 1.00)"
    assert nodule.get_legend().get_texts()[0].get_text().startswith("AUC 0.62\n(")
    assert hernia.get_legend() is None
    assert "not defined" in hernia.texts[0].get_text()


def test_the_operating_point_lies_on_the_curve_where_its_rates_are() -> None:
    mass = drawn().axes[0]
    chance, curve, point = mass.lines
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (0.0, 1.0)
    assert chance.get_linestyle() != curve.get_linestyle()


def test_equal_numbers_give_equal_files(tmp_path) -> None:
    for name in ("a", "b"):
        write_figure(drawn(), tmp_path / name)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert (tmp_path / "a.png").stat().st_size > 1000
