"""Rubin et al. 2018, section 7: AUC by view, and DualNet against two separate models."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cxrloc.cli import app
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


def probabilities(path, scores):
    """A run of `classify` on images named by view and study."""
    rows = [f"{view}{study},{p}" for view, own in scores.items() for study, p in enumerate(own)]
    path.write_text("\n".join(["image,Mass", *rows]) + "\n")
    return str(path)


@pytest.fixture
def runs(tmp_path):
    """MIMIC's tables of five studies, reports' labels, and runs of PA, lateral and both.

    The models of one view have wrong words on images of the other view, on the last study, which
    has no lateral image, and on a second lateral image of the first.
    """
    images = [(view, study) for study in range(5) for view in ("PA", "LATERAL")][:-1]
    rows = [f"{view}{study},{study},{study},{view},21800101,12" for view, study in images]
    rows.append("LATE0,0,0,LATERAL,21800101,13")
    header = "dicom_id,subject_id,study_id,ViewPosition,StudyDate,StudyTime"
    metadata = tmp_path / "mimic" / "mimic-cxr-2.0.0-metadata.csv"
    metadata.parent.mkdir()
    metadata.write_text("\n".join([header, *rows]) + "\n")
    (tmp_path / "labels.csv").write_text("report_id,Mass\ns0,1\ns1,1\ns2,0\ns3,0\ns4,1\n")
    wrong = [0.0, 0.0, 1.0, 1.0, 0.0]
    pa, lateral = [0.9, 0.3, 0.4, 0.1, 0.0], [0.2, 0.8, 0.3, 0.1]
    return [
        probabilities(tmp_path / "pa.csv", {"PA": pa, "LATERAL": wrong[:4]}),
        probabilities(tmp_path / "lateral.csv", {"PA": wrong, "LATERAL": lateral, "LATE": [1.0]}),
        probabilities(tmp_path / "both.csv", {"PA": [0.9, 0.2, 0.3, 0.1]}),
    ]


def compare(runs, place, *more):
    options = ["--data", place / "mimic", "--labels", place / "labels.csv", "--two-views", *more]
    return CliRunner().invoke(app, ["compare", *runs, *map(str, options), "--resamples", "20"])


def test_compare_two_views_prints_both_readings_on_the_studies_of_the_pairs(runs, tmp_path):
    """The mean probabilities .55 .55 | .35 .1 rank all 4 pairs, each model 3 of 4, DualNet 3."""
    done = compare(runs, tmp_path, "--by", "study", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    table = pd.read_csv(tmp_path / "out" / "two_views.csv").query("finding == 'Mass'")
    areas = table[table["metric"] == "auc"].set_index("run_a")
    assert areas["value_a"].to_dict() == dict(zip(INDIVIDUAL, (1.0, 0.75), strict=True))
    assert areas["value_b"].tolist() == [0.75, 0.75]
    assert areas["n"].tolist() == [4, 4]
    for text in (done.stdout, (tmp_path / "out" / "table.md").read_text()):
        assert all(reading in text for reading in INDIVIDUAL)


@pytest.mark.parametrize(
    ("order", "more", "message"),
    [
        ((0, 1, 2), (), "takes --by study and three runs"),
        ((0, 2), ("--by", "study"), "takes --by study and three runs"),
        ((2, 0, 1), ("--by", "study"), "are in no pair by study"),
        ((0, 2, 2), ("--by", "study"), "is named twice"),
        ((0, 1, 2), ("--by", "study", "--pairing", "best"), "--pairing"),
    ],
)
def test_what_two_views_cannot_be_compared_by_is_said(runs, tmp_path, order, more, message):
    done = compare([runs[i] for i in order], tmp_path, *more, "--out", tmp_path / "out")
    assert done.exit_code in (1, 2)
    assert message in done.stderr


def test_a_run_of_another_view_or_of_other_labels_is_refused(runs, tmp_path):
    frontal_only = probabilities(tmp_path / "frontal.csv", {"PA": [0.1, 0.2, 0.3, 0.4]})
    done = compare([runs[0], frontal_only, runs[2]], tmp_path, "--by", "study", "--out", tmp_path)
    assert "the lateral model has no lateral image of the 4 pairs" in done.stderr
    of_reports = tmp_path / "of_reports"
    of_reports.mkdir()
    probabilities(of_reports / "probabilities.csv", {"PA": [0.1, 0.2, 0.3, 0.4]})
    (of_reports / "run.json").write_text('{"labels_from": "the file mine.csv"}')
    data = ["--data", str(tmp_path / "mimic"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, ["compare", runs[0], str(of_reports), *data])
    assert done.exit_code == 2
    assert "mine.csv, the labels of these runs, is not here: say where with --labels" in done.stderr


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
