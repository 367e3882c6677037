import numpy as np
import pytest

from cxrloc.evaluation.classification.prediction_files import read_predictions, write_predictions
from cxrloc.types import CxrlocError, Predictions


def test_predictions_come_back_exactly(tmp_path):
    scores = np.random.default_rng(0).random((5, 2)).astype(np.float32)
    names = ("001", "1.2.840", "c", "d", "e")  # names that look like numbers stay names
    write_predictions(Predictions(names, ("Mass", "Edema"), scores), tmp_path / "p.csv")
    back = read_predictions(tmp_path / "p.csv")
    assert (back.image_ids, back.findings) == (names, ("Mass", "Edema"))
    assert (back.probabilities.astype(np.float32) == scores).all()


def test_an_image_may_be_named_with_its_suffix(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("image,Mass\n00000001_000.png,0.5\n1.2.840,0.5\n")
    assert read_predictions(path).image_ids == ("00000001_000", "1.2.840")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,Mass\na,0.5\n", "needs a column `image`"),
        ("image\na\n", "one column per finding"),
        ("image,Mass\na,0.5\nb,\n", "row 3 has no number for Mass"),
        ("image,Mass\na,high\n", "row 2 has no number for Mass"),
        ("image,Mass\na,0.5\n,0.5\n", "row 3 names no image"),
        ("image,Infiltrate,Infiltration\na,0.5,0.5\n", "two columns are of Infiltration"),
        ("", "cannot be read as CSV"),
    ],
)
def test_a_broken_file_is_named_with_row_and_rule(tmp_path, text, message):
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(CxrlocError, match=message) as raised:
        read_predictions(path)
    assert str(raised.value).startswith(str(path))


def test_a_missing_file_is_one_clear_line(tmp_path):
    with pytest.raises(CxrlocError, match="cannot be read"):
        read_predictions(tmp_path / "none.csv")
