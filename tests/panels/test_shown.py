"""Results show themselves in notebooks as pictures and tables."""

import io
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest

from cxrloc.errors import UsageError
from cxrloc.evaluation.classification.classification_report import ClassificationReport
from cxrloc.evaluation.classification.report import classify_units
from cxrloc.evaluation.classification.units import score_units
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.localization.scores import LocalizationScores, score_localization
from cxrloc.evaluation.resampling import Resampling
from cxrloc.inference.localized import Localized
from cxrloc.localization.boxes import Detections
from cxrloc.types import (
    Affine,
    Annotation,
    Box,
    Detection,
    Heatmaps,
    Label,
    Predictions,
    Radiograph,
    Record,
    View,
)

RADIOGRAPH = Radiograph(np.full((40, 30), 0.5, np.float32), 12, view=View.PA, file_format="DICOM")
CELLS = Affine(xx=15.0, yy=20.0)
MAPS = Heatmaps("a", ("Mass", "Nodule"), np.arange(8.0).reshape(2, 2, 2), CELLS, 40, 30)
BOXES = Detections([Detection("a", "Mass", Box(3, 4, 20, 30), 60.0, 0.5)])
TRUTH = Annotation("a", "Mass", Box(2, 2, 21, 31))


def scores() -> LocalizationScores:
    record = Record("a", "p", "a", None, annotations=(TRUTH,))
    protocol = ScoringProtocol(resampling=Resampling(resamples=0), draws=1)
    return score_localization([record], BOXES, protocol, [MAPS])


def report() -> ClassificationReport:
    records = [
        Record(f"{i}", f"{i}", f"{i}", None, labels={"Mass": Label(i % 2)}) for i in range(6)
    ]
    names = tuple(record.image_id for record in records)
    predictions = Predictions(names, ("Mass",), np.linspace(0, 1, 6)[:, None])
    return classify_units(score_units(predictions, records), Resampling(resamples=10))


def opened(data: bytes) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(data))


def test_each_result_says_in_one_line_what_it_is() -> None:
    assert repr(RADIOGRAPH) == "Radiograph(40 x 30 pixels, 12 bits, DICOM, PA)"
    assert repr(MAPS) == "Heatmaps('a', Mass, Nodule; 2 x 2 cells, image 40 x 30)"
    assert repr(BOXES) == "Detections(1 boxes: Mass)"
    found = Localized(RADIOGRAPH, np.array([0.25, 0.75]), MAPS)
    assert repr(found) == "Localized('a', ok: Nodule 0.75, Mass 0.25)"
    assert repr(scores()) == "LocalizationScores(1 findings, 1 boxes on 1 images of 1 patients)"
    assert repr(report()) == "ClassificationReport(1 findings, 6 images of 6 patients)"
    studies = replace(report(), unit="study")
    assert repr(studies) == "ClassificationReport(1 findings, 6 studies of 6 patients)"


def test_a_box_lies_on_the_radiograph_where_it_was_found() -> None:
    picture = np.asarray(BOXES.plot(RADIOGRAPH))
    # The panel is 512 pixels wide for 30 columns, behind a margin of 8 and below a title of 20.
    scale = 512 / 30
    white = (picture[28 : 28 + round(40 * scale), 8:520] == 255).all(axis=-1)
    rows, columns = np.nonzero(white)
    edges = (columns.min(), rows.min(), columns.max(), rows.max())
    assert edges == pytest.approx([3 * scale, 4 * scale, 20 * scale, 30 * scale], abs=3)


def test_each_finding_with_boxes_has_a_panel_and_a_radiograph_alone_is_one() -> None:
    other = Detection("a", "Nodule", TRUTH.box, 60.0, 0.5)
    two = Detections([*BOXES, other]).plot(RADIOGRAPH)
    assert two.width == 3 * 8 + 2 * 256
    assert RADIOGRAPH.plot([TRUTH, *BOXES]).width == 2 * 8 + 512
    assert opened(RADIOGRAPH._repr_png_()).size == RADIOGRAPH.plot().size == (512, 683 + 20)


def test_maps_are_drawn_for_the_findings_that_are_asked_for() -> None:
    both, one = MAPS.plot(RADIOGRAPH), MAPS.plot(RADIOGRAPH, ["Mass"])
    assert both.width > 1.8 * one.width
    assert opened(MAPS._repr_png_()).size == both.size
    found = Localized(RADIOGRAPH, np.array([0.25, 0.75]), MAPS)
    assert opened(found._repr_png_()).size == both.size
    with pytest.raises(UsageError, match="Edema: the maps are of Mass, Nodule"):
        MAPS.plot(RADIOGRAPH, ["Edema"])
    other = Radiograph(np.zeros((10, 10), np.float32), 8)
    with pytest.raises(UsageError, match="an image of 40 x 30 pixels, this radiograph has 10 x 10"):
        MAPS.plot(other)


def test_boxes_and_scores_are_tables() -> None:
    assert BOXES.table()["x_max"].tolist() == [20]
    assert "<td>Mass</td>" in BOXES._repr_html_()
    assert "Mass & 3 & 4 & 20 & 30" in BOXES.to_latex()
    assert (
        "<script"
        not in Detections([Detection("<script>", "a", TRUTH.box, None, None)])._repr_html_()
    )
    numbers = scores()
    assert r"\caption{Localization by T(IoBB).}" in numbers.to_latex()
    assert "<td>iobb</td>" in numbers._repr_html_()
    assert report().table()["auc"].notna().all()
    assert r"\caption{Classification of each finding.}" in report().to_latex()
    assert "pr_average_precision" in report()._repr_html_()


def test_scores_are_drawn_as_the_panels_of_figure_draw_them() -> None:
    assert scores().plot().width == pytest.approx(183 / 25.4 * 150, abs=1)
    assert report().plot().width == pytest.approx(183 / 25.4 * 150, abs=1)
