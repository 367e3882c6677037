"""Labels of reports are joined to the records for training."""

from pathlib import Path

import pytest

from cxrloc.datasets import read_dataset
from cxrloc.datasets.records import judges
from cxrloc.datasets.report_labels import match_note, with_labels, with_labels_of_file
from cxrloc.errors import CxrlocError
from cxrloc.phantom import write_phantoms
from cxrloc.pipeline.label import LabelOptions, label
from cxrloc.reports.label_file import read_labels
from cxrloc.types import Label, Record


def record(image_id: str, study_id: str) -> Record:
    labels_of_table = {"Edema": Label.POSITIVE}
    return Record(image_id, patient_id="p", study_id=study_id, path=None, labels=labels_of_table)


def test_a_report_belongs_to_its_image_else_to_its_study() -> None:
    labels = {"a": {"Mass": Label.POSITIVE}, "s": {"Mass": Label.UNCERTAIN}}
    records = [record("a", "s"), record("b", "s"), record("c", "t")]
    found = with_labels(records, labels)
    assert [(each.image_id, each.labels) for each in found] == [
        ("a", {"Mass": 1}),  # not its own Edema: that is not in the report
        ("b", {"Mass": -1}),
    ]


def test_a_report_without_text_leaves_its_image_out() -> None:
    labels = {"a": {"Mass": Label.POSITIVE}, "b": {}}
    (found,) = with_labels([record("a", "s"), record("b", "t")], labels)
    assert found.image_id == "a"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"normal": 1, "No Finding": 0}, {"No Finding": 0}),  # both, as `cxrloc label` writes them
        ({"normal": 1, "effusion": 0}, {"No Finding": 1, "Effusion": 0}),
    ],
)
def test_normal_is_no_finding_where_no_other_column_says_that(
    said: dict[str, int], found: dict[str, int]
) -> None:
    labels = {name: Label(value) for name, value in said.items()}
    assert with_labels([record("a", "s")], {"a": labels})[0].labels == found


def test_two_columns_of_one_finding_are_an_error() -> None:
    labels = {"a": {"Effusion": Label.POSITIVE, "Pleural Effusion": Label.NEGATIVE}}
    with pytest.raises(CxrlocError, match="two columns of the labels are of Effusion"):
        with_labels([record("a", "s")], labels)


def test_no_common_id_is_an_error_that_shows_both_sides() -> None:
    message = "none of 1 images has a report among 1: reports are as 'r', images as image 'a'"
    with pytest.raises(CxrlocError, match=message):
        with_labels([record("a", "s")], {"r": {}})


def test_reports_label_a_data_set_on_disk(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "chests", n=2, seed=0, size=64)
    records = read_dataset(tmp_path / "chests")
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / f"{records[0].image_id}.txt").write_text("Possible mass. No effusion.")
    out = tmp_path / "labels.csv"
    label(reports, out, LabelOptions())
    (labelled,) = with_labels(records, read_labels(out))
    assert labelled.path == records[0].path
    assert labelled.labels == {"Mass": -1, "Effusion": 0, "No Finding": 1}


@pytest.mark.parametrize("written", ["s50414267", "50414267", "50414267.0", "a.png"])
def test_a_report_is_joined_however_its_id_is_written(written: str) -> None:
    labels = {written: {"Mass": Label.POSITIVE}, "q": {"Mass": Label.NEGATIVE}}
    records = [record("a", "s50414267"), record("b", "s50414268")]
    assert [each.image_id for each in with_labels(records, labels)] == ["a"]
    said = "l.csv: labels for 1 of the 2 images, not for 'b'; 1 of its 2 rows belong to no image"
    assert match_note("l.csv", records, labels) == f"{said}, such as 'q'"


def test_two_reports_of_one_image_are_an_error() -> None:
    labels = {"a.png": {"Mass": Label.POSITIVE}, "a.jpg": {"Mass": Label.NEGATIVE}}
    with pytest.raises(CxrlocError, match=r"'a.jpg' and 'a.png' can both be those of image a"):
        with_labels([record("a", "s")], labels)
    both = labels | {"a": {"Mass": Label.UNCERTAIN}}
    assert with_labels([record("a", "s")], both)[0].labels == {"Mass": -1}


def test_a_column_without_a_label_judges_its_finding_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("report_id,Mass,Effusion,normal\na,1,,0\n")
    (found,), _ = with_labels_of_file(path, [record("a", "s")], ["Hernia"])
    assert [judges(found, name) for name in ("Effusion", "No Finding", "Hernia")] == [
        True,
        True,
        False,
    ]
