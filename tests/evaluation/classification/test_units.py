from dataclasses import replace

import numpy as np
import pytest

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.truth import TruthRules, under_rules, with_no_finding
from cxrloc.evaluation.classification.units import aligned, score_units
from cxrloc.types import Label, Predictions, Record, Sex, View

POS, NEG, UNC = Label.POSITIVE, Label.NEGATIVE, Label.UNCERTAIN


def record(image, patient="p", study="s", label=None, **kwargs):
    labels = {} if label is None else {"Mass": label}
    return Record(image, patient, study, None, labels=labels, **kwargs)


def scored(records, scores, unit="image", aggregation="max", findings=("Mass",)):
    ids = tuple(r.image_id for r in records)
    probabilities = np.array(scores, dtype=float).reshape(len(ids), -1)
    return score_units(Predictions(ids, findings, probabilities), records, unit, aggregation)


@pytest.mark.parametrize(
    ("labels", "truth", "known"),
    [
        ((POS, NEG), True, True),  # one image is enough
        ((POS, UNC), True, True),
        ((NEG, UNC), False, False),  # uncertain pairs are left out
        ((NEG, None), False, True),  # not mentioned counts as negative
        ((None, None), False, True),
    ],
)
def test_a_study_has_what_one_of_its_images_has(labels, truth, known):
    units = scored(
        [record(str(i), label=label) for i, label in enumerate(labels)], [0.2, 0.6], "study"
    )
    assert (units.truth[0, 0], units.known[0, 0]) == (truth, known)


@pytest.mark.parametrize(("aggregation", "score"), [("max", 0.6), ("mean", 0.4)])
@pytest.mark.parametrize("unit", ["study", "patient"])
def test_a_unit_scores_the_maximum_or_the_mean_of_its_images(unit, aggregation, score):
    units = scored([record("a"), record("b")], [0.2, 0.6], unit, aggregation)
    assert units.scores.tolist() == [[pytest.approx(score)]]
    assert units.unit_ids == (("s",) if unit == "study" else ("p",))
    assert (units.unit, units.aggregation) == (unit, aggregation)


def test_groups_say_view_sex_and_age_in_words():
    records = [
        record("a", view=View.PA, sex=Sex.FEMALE, age_years=17.9),
        record("b", view=View.LATERAL, sex=Sex.FEMALE, age_years=18.0),
    ]
    assert scored(records, [0.1, 0.2]).groups == {
        "view": ("PA", "LATERAL"),
        "sex": ("F", "F"),
        "age": ("0-17", "18-39"),
    }
    study = scored(records, [0.1, 0.2], "study")
    assert study.groups == {"view": ("LATERAL+PA",), "sex": ("F",), "age": ("0-17",)}


@pytest.mark.parametrize(
    ("age", "group"), [(39.0, "18-39"), (40.0, "40-64"), (65.0, "65+"), (None, "")]
)
def test_age_groups_include_their_lower_edge(age, group):
    assert scored([record("a", age_years=age)], [0.1]).groups["age"] == (group,)


def test_view_and_sex_outputs_are_judged_against_the_record():
    records = [
        record("a", view=View.AP, sex=Sex.FEMALE),
        record("b", view=View.PA),
        record("c", view=View.LATERAL, sex=Sex.MALE),
    ]
    units = scored(records, [[0.9, 0.1]] * 3, findings=("View AP", "Sex M"))
    assert units.truth.tolist() == [[True, False], [False, False], [False, True]]
    assert units.known.tolist() == [[True, True], [True, False], [False, True]]


@pytest.mark.parametrize(
    ("ids", "score", "message"),
    [
        (("a", "a"), 0.5, "image a is predicted twice"),
        (("a", "z"), 0.5, "image z .* not in the data"),
        (("a", "b"), np.nan, "image b: the score of Mass is not finite"),
    ],
)
def test_unusable_predictions_name_the_image(ids, score, message):
    predictions = Predictions(ids, ("Mass",), np.array([[0.5], [score]]))
    with pytest.raises(CxrlocError, match=message):
        score_units(predictions, [record("a"), record("b")])


def test_runs_are_aligned_on_what_they_share():
    records = [record(name, patient=name, study=name) for name in "abc"]
    first = scored(records, [[1, 10], [2, 20], [3, 30]], findings=("Mass", "Nodule"))
    second = scored(records[:0:-1], [[300], [200]], findings=("Nodule",))
    one, two = aligned([first, second])
    assert one.unit_ids == two.unit_ids == ("b", "c")
    assert one.findings == two.findings == ("Nodule",)
    assert one.scores.tolist() == [[20], [30]]
    assert two.scores.tolist() == [[200], [300]]
    assert one.patient.tolist() == [0, 1]


def test_runs_that_share_nothing_are_refused():
    with pytest.raises(CxrlocError, match="0 images and 1 findings in common"):
        aligned([scored([record(name)], [0.1]) for name in "ab"])


def test_runs_by_study_and_by_image_are_not_compared():
    with pytest.raises(CxrlocError, match="same unit"):
        aligned([scored([record("a")], [0.1], unit) for unit in ("image", "study")])


def test_an_image_that_the_label_table_does_not_list_is_unknown_and_not_negative():
    units = scored(
        [record("a"), record("b", labelled=False)],
        [[0.1, 0.2]] * 2,
        findings=("Mass", "No Finding"),
    )
    assert units.known.tolist() == [[True, True], [False, False]]
    assert units.truth.tolist() == [[False, True], [False, False]]


@pytest.mark.parametrize(("uncertain", "known"), [("unknown", False), ("negative", True)])
def test_an_uncertain_label_is_left_out_or_counts_as_negative(uncertain, known):
    predictions = Predictions(("a",), ("Mass",), np.array([[0.5]]))
    records = under_rules([record("a", label=UNC)], TruthRules(uncertain))
    units = score_units(predictions, records)
    assert (units.known[0, 0], units.truth[0, 0]) == (known, False)


@pytest.mark.parametrize(
    ("findings", "none"),
    [
        (("Mass", "No Finding"), True),  # Emphysema is none of the findings scored beside it
        (("Mass", "Emphysema", "No Finding"), False),
        (("No Finding",), False),  # alone it means no finding at all
    ],
)
def test_no_finding_means_none_of_the_findings_that_are_scored_beside_it(findings, none):
    emphysema = Record("a", "p", "s", None, labels={"Emphysema": POS, "Mass": NEG})
    units = scored([emphysema], [[0.5] * len(findings)], findings=findings)
    assert units.truth[0, -1] == none


@pytest.mark.parametrize(("rule", "none"), [("labels", False), ("outputs", True)])
def test_a_data_set_s_own_no_finding_holds_unless_the_outputs_decide(rule, none):
    """MIMIC's own label is negative for Emphysema alone, of which Rubin's 13 findings are none."""
    emphysema = Record("a", "p", "s", None, labels={"Emphysema": POS, "No Finding": NEG})
    units = scored(
        under_rules([emphysema], TruthRules(no_finding=rule)),
        [[0.5, 0.5]],
        findings=("Mass", "No Finding"),
    )
    assert units.truth[0, -1] == none


def test_no_finding_is_the_same_whichever_outputs_are_chosen():
    """Of a network with the outputs Mass and Hernia, a mass alone is not "No Finding"."""
    records = [record("a", label=POS), record("b", label=NEG), record("c", label=UNC)]
    judged = with_no_finding(records, ("Mass", "Hernia", "No Finding"))
    units = scored(judged, [[0.1, 0.2]] * 3, findings=("Hernia", "No Finding"))
    assert units.truth[:, 1].tolist() == [False, True, False]
    assert units.known[:, 1].tolist() == [True, True, False]
    assert with_no_finding(records, ("Mass",)) == records


def test_a_finding_that_labels_cannot_name_is_unknown_and_takes_no_rank() -> None:
    """A table with a column for Mass alone says nothing of Edema; a list says that it is absent."""
    column, both, listed = frozenset({"Mass"}), frozenset({"Mass", "Edema"}), None
    chests = [record(name, label=POS, vocabulary=column) for name in "ab"]
    units = scored(chests, [[0.2, 0.9], [0.3, 0.8]], findings=("Mass", "Edema"))
    assert (units.findings, units.scores.tolist()) == (("Mass",), [[0.2], [0.3]])
    for other, known in ((both, [False, True]), (listed, [False, True])):
        chests[1] = replace(chests[1], vocabulary=other)
        units = scored(chests, [[0.2, 0.9], [0.3, 0.8]], findings=("Mass", "Edema"))
        assert units.known[:, 1].tolist() == known
    chests[1] = record("b", labelled=False)  # the table has no row for it
    units = scored(chests, [[0.2, 0.9], [0.3, 0.8]], findings=("Mass", "Edema"))
    assert units.findings == ("Mass",)
    with pytest.raises(
        CxrlocError, match=r"the labels know none of the predicted findings \(Edema"
    ):
        scored(chests[:1], [0.9], findings=("Edema",))
