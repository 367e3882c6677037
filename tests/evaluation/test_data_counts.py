import numpy as np
import pytest

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.data_counts import finding_counts, labelled_findings, view_counts
from cxrloc.evaluation.published import published
from cxrloc.types import Label, Record, View

POS, NEG = Label.POSITIVE, Label.NEGATIVE


def chest(name, *findings, study="", view=None):
    labels = dict.fromkeys(findings, POS)
    return Record(name, name, study or name, None, view, labels=labels)


def test_overlap_and_normal_are_those_of_the_findings_that_are_counted():
    chests = [
        chest("a", "Mass", "Effusion"),
        chest("b", "Mass", "Hernia"),
        chest("c", "Hernia"),
        chest("d"),
    ]
    # Wang's table 1 has eight findings, so that an image with Hernia alone is Normal there.
    of_eight = finding_counts(chests, ("Mass", "Effusion", "No Finding")).set_index("finding")
    assert of_eight["images"].to_dict() == {"Mass": 2, "Effusion": 1, "No Finding": 2}
    assert of_eight["overlap"].to_dict() == {"Mass": 1, "Effusion": 1, "No Finding": 0}
    assert of_eight["single_label_images"].to_dict() == {"Mass": 1, "Effusion": 0, "No Finding": 2}
    assert of_eight.loc["Mass", "percent_of_positive_labels"] == pytest.approx(40)
    every = finding_counts(chests, labelled_findings(chests)).set_index("finding")
    assert every["overlap"].to_dict() == {"Mass": 2, "Effusion": 1, "Hernia": 1, "No Finding": 0}
    assert every.loc["No Finding", "images"] == 1


def test_an_empty_data_set_has_no_counts():
    with pytest.raises(CxrlocError, match="no image to count"):
        finding_counts([], ["Mass"])


def test_pairs_are_studies_with_both_views_and_parts_are_counted_apart():
    chests = [
        chest("a1", study="a", view=View.PA),
        chest("a2", study="a", view=View.LATERAL),
        chest("a3", study="a", view=View.LATERAL),
        chest("b1", study="b", view=View.AP),
        chest("c1", study="c", view=View.LATERAL),
        chest("d1", study="d"),
    ]
    parts = {"a1": "train", "a2": "train", "a3": "train", "b1": "test", "c1": "test"}
    frame = view_counts(chests, parts).set_index("finding")
    assert frame["images"].to_dict() == {
        "PA": 1, "AP": 1, "Lateral": 3, "PA & Lateral": 3, "AP & Lateral": 0,
    }  # fmt: skip
    assert frame.loc["PA & Lateral", ["studies", "studies_train", "studies_test"]].tolist() == [
        1, 1, 0,
    ]  # fmt: skip
    assert frame.loc["Lateral", ["images_train", "images_test"]].tolist() == [2, 1]


def test_rubin_s_percentages_are_shares_of_all_positive_labels():
    table = published("rubin2018:3").pivot(index="finding", columns="metric", values="value")
    ours = 100 * table["images"] / table["images"].sum()
    np.testing.assert_allclose(ours, table["percent_of_positive_labels"], atol=0.006)
