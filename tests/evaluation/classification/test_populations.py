import numpy as np
import pytest

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.evaluation.classification.populations import (
    PROJECTIONS,
    label_counts,
    of_findings,
    of_projection,
    select_population,
)
from cxrloc.evaluation.classification.units import hide_patients, score_units, split_units
from cxrloc.types import Label, Predictions, Record, View

VIEWS = [View.PA, View.AP, View.LATERAL, None]
RECORDS = [Record(str(i), f"p{i}", str(i), None, view) for i, view in enumerate(VIEWS)]


@pytest.mark.parametrize(
    ("projection", "kept"),
    [("PA", ["0"]), ("AP", ["1"]), ("frontal", ["0", "1"]), ("lateral", ["2"])],
)
def test_an_image_of_unknown_view_is_of_no_projection(projection, kept):
    assert [r.image_id for r in of_projection(RECORDS, projection)] == kept
    assert projection in PROJECTIONS


def test_a_projection_that_is_unknown_or_empty_is_said():
    with pytest.raises(UsageError, match="--projection side: choose from PA, AP, frontal, lateral"):
        of_projection(RECORDS, "side")
    with pytest.raises(CxrlocError, match=r"none of 1 images is of it \(1 are of unknown view\)"):
        of_projection(RECORDS[3:], "PA")


def test_findings_are_chosen_in_any_spelling_and_in_the_order_given():
    scores = Predictions(("a",), ("Mass", "Effusion", "Own thing"), np.array([[1.0, 2.0, 3.0]]))
    chosen = of_findings(scores, ["own thing", "pleural effusion", "own thing"])
    assert chosen.findings == ("Own thing", "Effusion")
    assert chosen.probabilities.tolist() == [[3.0, 2.0]]
    assert of_findings(scores, []) is scores
    with pytest.raises(UsageError, match="--finding Edema: it is not predicted; choose from Mass"):
        of_findings(scores, ["Edema"])


def labelled(*labels, findings=("Mass", "Effusion", "No Finding", "View AP")):
    records = [
        Record(
            f"i{i}", f"p{i}", f"s{i}", None, View.AP, labels=dict.fromkeys(label, Label.POSITIVE)
        )
        for i, label in enumerate(labels)
    ]
    ids = tuple(record.image_id for record in records)
    predictions = Predictions(ids, findings, np.full((len(ids), len(findings)), 0.5))
    return score_units(predictions, records)


def test_an_uncertain_label_is_none():
    labels = {"Mass": Label.POSITIVE, "Effusion": Label.UNCERTAIN}
    records = [Record("i", "p", "s", None, labels=labels)]
    predictions = Predictions(("i",), ("Mass", "Effusion"), np.full((1, 2), 0.5))
    assert label_counts(score_units(predictions, records)).tolist() == [1]


def test_no_finding_is_one_label_and_the_view_is_none():
    units = labelled(["Mass"], ["Mass", "Effusion"], [])
    assert label_counts(units).tolist() == [1, 2, 1]
    assert select_population(units, "single-label").unit_ids == ("i0", "i2")
    assert select_population(units, "multi-label").unit_ids == ("i1",)


def test_a_population_that_is_unknown_or_empty_is_said():
    with pytest.raises(UsageError, match="choose from all, single-label, multi-label"):
        select_population(labelled([]), "few")
    with pytest.raises(CxrlocError, match="none of 1 units is in it"):
        select_population(labelled(["Mass"]), "multi-label")


def test_tuning_and_scored_units_share_no_patient_and_are_all():
    units = labelled(*[["Mass"]] * 40)
    tuning, judged = split_units(units, 0.5, seed=0)
    assert tuning is not None
    assert not set(tuning.patient_ids) & set(judged.patient_ids)
    assert {*tuning.unit_ids, *judged.unit_ids} == set(units.unit_ids)
    assert split_units(units, 0.0, seed=0) == (None, units)
    with pytest.raises(CxrlocError, match="--tuning 1 leaves 40 of 40 units"):
        split_units(units, 1.0, seed=0)


def test_names_of_patients_are_hidden_where_units_are_patients_only():
    units = labelled(["Mass"], [])
    assert hide_patients(units) is units
    predictions = Predictions(("i0",), ("Mass",), np.array([[0.5]]))
    record = Record("i0", "1234567", "s", None)
    hidden = hide_patients(score_units(predictions, [record], "patient"))
    assert "1234567" not in hidden.unit_ids[0]
    assert hidden.patient_ids == ("1234567",)  # what the bootstrap goes by stays
