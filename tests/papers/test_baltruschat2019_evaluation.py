"""Baltruschat et al. 2019, section 3: spread over splits, rank correlation, non-image features."""

import numpy as np
import pytest

from cxrloc.evaluation.agreement import rank_correlations
from cxrloc.evaluation.classification.report import ReportScope, classify_units
from cxrloc.evaluation.classification.units import score_units
from cxrloc.evaluation.published import published
from cxrloc.evaluation.resampling import Resampling
from cxrloc.types import Predictions, Record, Sex, View


def test_table_5_is_symmetric_with_ones_and_sees_only_order():
    generator = np.random.default_rng(0)
    scratch, meta = generator.random((2, 150, 14))
    matrix, _ = rank_correlations(np.array([scratch, scratch**3, meta]))
    np.testing.assert_allclose(matrix, matrix.T)
    np.testing.assert_allclose(np.diag(matrix), 1)
    assert matrix[0, 1] == pytest.approx(1)  # another scale, the same order
    assert abs(matrix[0, 2]) < 0.1


def test_view_and_sex_are_judged_like_findings_with_youden_points():
    # AP is true, PA false; six images, one AP of which looks like PA.
    views = (View.AP, View.AP, View.AP, View.PA, View.PA, View.PA)
    records = [
        Record(f"i{i}", f"p{i}", f"s{i}", None, view=view, sex=Sex.MALE if i % 2 else Sex.FEMALE)
        for i, view in enumerate(views)
    ]
    scores = np.array([[0.9, 0.1], [0.8, 0.9], [0.2, 0.2], [0.3, 0.8], [0.1, 0.3], [0.0, 0.7]])
    predictions = Predictions(tuple(r.image_id for r in records), ("View AP", "Sex M"), scores)
    report = classify_units(
        score_units(predictions, records), Resampling(20), scope=ReportScope(())
    )
    value = {(m.finding, m.metric): m.value for m in report.measurements}
    assert value["View AP", "auc"] == pytest.approx(8 / 9)
    assert (value["View AP", "sensitivity"], value["View AP", "specificity"]) == (
        pytest.approx(2 / 3),
        1.0,
    )
    assert value["Sex M", "auc"] == value["Sex M", "sensitivity"] == 1.0


def test_the_shipped_text_says_that_less_depth_did_better_on_the_official_split():
    frame = published("baltruschat2019:text").set_index(["setting", "metric"])["value"]
    areas = [frame[f"ResNet-{n}-large-meta, official split", "auc"] for n in (38, 50, 101)]
    assert areas == [0.806, 0.795, 0.785]
