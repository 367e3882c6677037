"""Rubin et al. 2018, section 7: AUC by view, and DualNet against two separate models."""

import numpy as np
import pytest

from cxrloc.evaluation.classification.ranking import auc
from cxrloc.evaluation.classification.two_views import INDIVIDUAL, compare_two_views
from cxrloc.evaluation.classification.units import score_units
from cxrloc.evaluation.published import published
from cxrloc.evaluation.resampling import Resampling
from cxrloc.types import Label, Predictions, Record, View


def by_study(view, scores, labels):
    records = [
        Record(f"{view}{i}", f"p{i}", f"s{i}", None, view, labels=has)
        for i, has in enumerate(labels)
    ]
    ids = tuple(record.image_id for record in records)
    return score_units(Predictions(ids, ("Mass",), np.array(scores)[:, None]), records, "study")


def test_individual_has_two_readings_and_both_are_printed():
    labels = [{"Mass": Label.POSITIVE}] * 2 + [{}] * 2
    truth = np.array([True, True, False, False])
    frontal, lateral = [0.9, 0.3, 0.4, 0.1], [0.2, 0.8, 0.3, 0.1]
    dual = [0.9, 0.8, 0.2, 0.1]
    rows = compare_two_views(
        by_study(View.PA, frontal, labels),
        by_study(View.LATERAL, lateral, labels),
        by_study(View.PA, dual, labels),
        Resampling(50),
    )
    areas = {row.run_a: row for row in rows if (row.finding, row.metric) == ("Mass", "auc")}
    together, apart = (areas[name] for name in INDIVIDUAL)
    assert together.value_a == auc(truth, (np.array(frontal) + lateral) / 2) == 1.0
    assert apart.value_a == (auc(truth, np.array(frontal)) + auc(truth, np.array(lateral))) / 2
    assert apart.value_a == 0.75  # the same predictions: the readings differ by a quarter here
    assert together.value_b == apart.value_b == 1.0


def table_5(pair):
    frame = published("rubin2018:5")
    frame = frame[frame["finding"] != "mean"].pivot(
        index="finding", columns="setting", values="value"
    )
    return frame[f"Individual {pair}"], frame[f"DualNet {pair}"]


@pytest.mark.parametrize(
    ("pair", "better", "equal"),
    [
        ("PA+Lateral", 12, 1),  # "12 out of 14"; a footnote gives the equal one to DualNet
        ("AP+Lateral", 10, 0),  # "10 of the 14 classes"
    ],
)
def test_table_5_has_dualnet_ahead_as_often_as_the_text_says(pair, better, equal):
    individual, dual = table_5(pair)
    assert (int((dual > individual).sum()), int((dual == individual).sum())) == (better, equal)


@pytest.mark.parametrize("name", ["rubin2018:4", "rubin2018:5"])
def test_printed_averages_are_means_over_the_14_labels(name):
    for _, rows in published(name).groupby("setting"):
        is_mean = rows["finding"] == "mean"
        assert (~is_mean).sum() == 14
        computed = rows["value"][~is_mean].mean()
        assert rows["value"][is_mean].item() == pytest.approx(computed, abs=0.0006)
