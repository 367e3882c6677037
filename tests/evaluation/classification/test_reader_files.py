"""Radiologists' readings from a file, against a classifier's curve."""

from pathlib import Path

import numpy as np
import pytest

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.reader_files import (
    read_readings,
    readers_below,
    score_readers,
)
from cxrloc.evaluation.classification.units import ScoredUnits, score_units
from cxrloc.types import Label, Predictions, Record

# Ranked a b c d e; with Edema: a, b, d. The curve goes (0, 1/3) (0, 2/3) (1/2, 2/3) (1/2, 1).
NAMES, TRUTH, SCORES = "abcde", (1, 1, 0, 1, 0), (0.9, 0.8, 0.7, 0.6, 0.5)
READINGS = """reader,study,Edema,Mass
first,a,1,
first,b,0,0
first,c,0,
first,d,0,
first,e,0,1
second,a,1,
second,b,1,
second,c,0,
second,d,1,
second,e,0,
third,a,1,
third,c,0,
other,zzz,1,1
"""


@pytest.fixture
def units() -> ScoredUnits:
    records = [
        Record(f"{name}1", name, name, None, labels={"Edema": Label(truth)})
        for name, truth in zip(NAMES, TRUTH, strict=True)
    ]
    predictions = Predictions(
        tuple(f"{name}1" for name in NAMES), ("Edema",), np.array(SCORES)[:, None]
    )
    return score_units(predictions, records, "study")


def test_each_reader_is_judged_on_the_units_that_they_read(
    tmp_path: Path, units: ScoredUnits
) -> None:
    (tmp_path / "readings.csv").write_text(READINGS)
    points = score_readers(units, read_readings(tmp_path / "readings.csv"))
    assert [(p.reader, p.false_positive_rate, round(p.sensitivity, 3)) for p in points] == [
        ("first", 0.0, 0.333),  # below the curve, which reaches 2/3 there
        ("second", 0.0, 1.0),  # above it
        ("third", 0.0, 1.0),  # on it: of the two read units the model ranks the right one first
    ]
    assert [point.under_curve for point in points] == [True, False, False]
    # (1 + sensitivity - false positive rate) / 2
    assert [point.auc for point in points] == [pytest.approx(2 / 3), 1.0, 1.0]
    assert [(point.n, point.positives) for point in points] == [(5, 3), (5, 3), (2, 1)]
    assert readers_below(points) == (1.0, 3.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reader,study\nfirst,a\n", "one column per finding"),
        ("reader,study,image,Edema\nfirst,a,a1,1\n", "one of image, study, patient"),
        ("reader,study,Edema\nfirst,a,yes\n", "row 2: Edema is 'yes'"),
        ("reader,study,Edema\nfirst,a,1\nfirst,a,0\n", "row 3: a is read twice by first"),
        ("reader,study,Edema,pulmonary oedema\nfirst,a,1,0\n", "two columns are of Edema"),
        ("reader,study,seconds\nfirst,a,1\n", "one column per finding"),
        ("reader,image,Edema\nfirst,a1,1\n", "use --by image"),
        ("reader,study,Mass\nfirst,a,1\n", "none of the readings"),
    ],
)
def test_unusable_readings_are_refused(
    tmp_path: Path, units: ScoredUnits, text: str, message: str
) -> None:
    (tmp_path / "readings.csv").write_text(text)
    with pytest.raises(CxrlocError, match=message):
        score_readers(units, read_readings(tmp_path / "readings.csv"))


def test_a_study_may_be_named_by_its_path_but_once_by_each_reader(tmp_path: Path) -> None:
    records = [
        Record(f"p{k}_s_i", f"p{k}", f"p{k}_s", None, labels={"Edema": Label(k)}) for k in (0, 1)
    ]
    predictions = Predictions(("p0_s_i", "p1_s_i"), ("Edema",), np.array([[0.1], [0.9]]))
    units = score_units(predictions, records, "study")
    path = tmp_path / "readings.csv"
    path.write_text("reader,study,Edema\na,x/test/p0/s,0\na,x/test/p1/s,1\n")
    (point,) = score_readers(units, read_readings(path))
    assert (point.n, point.auc) == (2, 1.0)
    path.write_text("reader,study,Edema\na,x/p0/s,0\na,p0_s,1\na,p1_s,1\n")
    twice = r"readings.csv, row 3: p0_s is read twice by a: it is x/p0/s in .*readings.csv, row 2"
    with pytest.raises(CxrlocError, match=twice):
        score_readers(units, read_readings(path))


def test_readers_may_name_one_image_each_in_their_own_way(tmp_path: Path) -> None:
    records = [Record(f"i{k}", f"i{k}", f"i{k}", None, labels={"Edema": Label(k)}) for k in (0, 1)]
    predictions = Predictions(("i0", "i1"), ("Edema",), np.array([[0.1], [0.9]]))
    path = tmp_path / "readings.csv"
    path.write_text("reader,image,Edema\nb,i0.png,0\na,i0,1\nb,x/i1.jpg,1\na,i1.png,1\n")
    points = score_readers(score_units(predictions, records), read_readings(path))
    # Reader a calls both images positive, reader b is right on both.
    assert [(p.reader, p.n, p.false_positive_rate, p.sensitivity) for p in points] == [
        ("a", 2, 1.0, 1.0),
        ("b", 2, 0.0, 1.0),
    ]


def test_columns_that_are_no_findings_are_left_out_and_named(tmp_path: Path) -> None:
    path = tmp_path / "readings.csv"
    path.write_text("reader,study,seconds,Edema,Coin lesion\na,s,41,NA,1\n")
    readings = read_readings(path, ["coin lesion"])
    assert readings.findings == ("Edema", "coin lesion")
    assert readings.left_out == ("seconds",)
    np.testing.assert_array_equal(readings.calls, [[np.nan, 1.0]])
