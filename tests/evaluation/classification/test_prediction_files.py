import re

import numpy as np
import pytest

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.prediction_files import (
    match_predictions,
    read_predictions,
    write_predictions,
)
from cxrloc.types import Label, Predictions, Record


def test_predictions_come_back_exactly(tmp_path):
    scores = np.random.default_rng(0).random((5, 2)).astype(np.float32)
    names = ("001", "1.2.840", "c", "d", "e")  # names that look like numbers stay names
    write_predictions(Predictions(names, ("Mass", "Edema"), scores), tmp_path / "p.csv")
    back = read_predictions(tmp_path / "p.csv")
    assert (back.image_ids, back.findings) == (names, ("Mass", "Edema"))
    assert (back.probabilities.astype(np.float32) == scores).all()


def test_what_holds_for_all_probabilities_stands_in_every_row_and_is_no_finding(tmp_path):
    path, scores = tmp_path / "p.csv", np.array([[0.5], [0.25]])
    write_predictions(Predictions(("a", "b"), ("Mass",), scores), path, ["synthetic"])
    assert path.read_text() == "image,Mass,note\na,0.5,synthetic\nb,0.25,synthetic\n"
    assert read_predictions(path).findings == ("Mass",)


def test_equal_rows_of_an_image_count_once(tmp_path):
    (tmp_path / "p.csv").write_text("image;Mass\nb;0,5\na;0,25\nb.png;0,5\n")
    read = read_predictions(tmp_path / "p.csv")
    assert (read.image_ids, read.probabilities.tolist()) == (("b", "a"), [[0.5], [0.25]])


def test_an_image_may_be_named_with_its_suffix(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("image,Mass\n00000001_000.png,0.5\n1.2.840,0.5\n")
    assert read_predictions(path).image_ids == ("00000001_000", "1.2.840")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,Mass\na,0.5\n", "no column image"),
        ("image\na\n", "none of its columns"),
        ("image,Mass\na,0.5\nb,\n", "row 3: Mass is ''"),
        ("image,Mass\na,high\n", "row 2: Mass is 'high'"),
        ("image,Mass\na,inf\n", "row 2: Mass is 'inf'"),
        ("image,Mass\na,0.5\n,0.5\n", "row 3: it names no image"),
        ("image,Infiltrate,Infiltration\na,0.5,0.5\n", "two columns are of Infiltration"),
        ("", "no column image"),
        ("image,Mass\na,0.5\na.png,0.4\n", "row 3: image a is there twice.* than in row 2"),
    ],
)
def test_a_broken_file_is_named_with_row_and_rule(tmp_path, text, message):
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(CxrlocError, match=message) as raised:
        read_predictions(path)
    assert str(raised.value).startswith(str(path))


def test_a_missing_file_is_one_clear_line(tmp_path):
    with pytest.raises(CxrlocError, match="no such file"):
        read_predictions(tmp_path / "none.csv")


RECORDS = [Record(name, name, name, None, labels={"Rib crack": Label.POSITIVE}) for name in "abc"]


def matched(tmp_path, text, declared=()):
    (tmp_path / "p.csv").write_text(text)
    return match_predictions(tmp_path / "p.csv", RECORDS, "chests", declared)


def test_an_index_and_ids_are_no_findings_and_are_named_once(tmp_path):
    text = ",image,Patient ID,Mass,Rib crack,fold\n0,a,7,0.5,0.1,train\n1,b,8,0.4,0.2,train\n"
    matching = matched(tmp_path, f"{text}2,c,9,0.3,0.3,test\n")
    assert matching.predictions.findings == ("Mass", "Rib crack")
    assert matching.predictions.probabilities.tolist() == [[0.5, 0.1], [0.4, 0.2], [0.3, 0.3]]
    assert matching.notes == (
        "p.csv: left out, because they are no findings: 'Patient ID', 'fold'",
    )


@pytest.mark.parametrize("header", ["image,0,1", "image,p_Mass,p_Edema"])
def test_a_file_without_a_column_of_a_finding_is_refused(tmp_path, header):
    with pytest.raises(CxrlocError, match=r"none of its columns .* is a finding of the data set"):
        matched(tmp_path, f"{header}\na,0.5,0.5\n")


def test_a_word_of_no_vocabulary_is_a_finding_where_it_is_declared(tmp_path):
    matching = matched(tmp_path, "image,0\na,0.5\nb,0.5\nc,0.5\n", declared=["0"])
    assert (matching.predictions.findings, matching.notes) == (("0",), ())


def test_images_of_one_side_only_are_counted_with_an_example_of_each(tmp_path):
    matching = matched(tmp_path, "image,Mass\na,0.5\nx,0.5\ny,0.5\n")
    assert matching.predictions.image_ids == ("a",)
    assert matching.notes == (
        "p.csv: 1 of its 3 images are in the data set, which has 3; only in the file: 'x'; "
        "only in the data set: 'b'",
    )
    with pytest.raises(CxrlocError, match=r"none of its 1 images .* named 'z' there and 'a' here"):
        matched(tmp_path, "image,Mass\nz,0.5\n")


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((0.0, 1.0), None),
        ((0.5, 99.5), "Mass is from 0.5 to 99.5, .*; divide percentages by 100"),
        ((-0.1, 0.9), "Mass is from -0.1 to 0.9, so these scores are not probabilities"),
        ((0.0, 1.01), "not probabilities"),
    ],
)
def test_scores_that_are_no_probabilities_are_said(tmp_path, scores, expected):
    (tmp_path / "p.csv").write_text("image,Mass\na,{}\nb,{}\n".format(*scores))
    records = [Record(name, name, name, None, labels={"Mass": Label.NEGATIVE}) for name in "ab"]
    notes = match_predictions(tmp_path / "p.csv", records, "data").notes
    assert (len(notes) == 0) if expected is None else re.search(expected, *notes)
