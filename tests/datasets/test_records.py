from pathlib import Path

import pytest

from cxrloc.datasets.records import (
    CUT,
    NO_FRAME,
    STRETCHED,
    TWICE,
    annotations_in_image,
    boxed_record,
    finished_records,
    with_vocabulary,
)
from cxrloc.errors import CxrlocError
from cxrloc.types import Annotation, Box, Record

INSIDE = Annotation("a", "Mass", Box(10.0, 20.0, 30.0, 40.0), where="b.csv, row 2")
OVER = Annotation("a", "Mass", Box(-5.0, 20.0, 130.0, 40.0), where="b.csv, row 3")
OUTSIDE = Annotation("a", "Mass", Box(100.0, 20.0, 130.0, 40.0), where="b.csv, row 4")
FRAME = (50, 100)


def finished(*annotations: Annotation, frame: tuple[int, int] | None = FRAME) -> Record:
    (record,) = finished_records([boxed_record("a", annotations, frame=frame)], Path("b.csv"))
    return record


def test_truth_over_a_known_frame_is_cut_to_it_and_said() -> None:
    record = finished(OVER)
    assert record.annotations[0].box == Box(0.0, 20.0, 100.0, 40.0)
    assert record.warnings == (CUT,)
    assert finished(INSIDE).warnings == ()


def test_truth_wholly_outside_is_an_error_with_its_row() -> None:
    with pytest.raises(CxrlocError, match=r"row 4: .* outside the image of 100 x 50"):
        finished(INSIDE, OUTSIDE)


def test_without_a_frame_that_is_said() -> None:
    assert finished(OVER, frame=None).warnings == (NO_FRAME,)


def test_no_finding_has_no_box() -> None:
    drawn = Annotation("a", "No Finding", Box(10.0, 20.0, 30.0, 40.0), where="b.csv, row 5")
    with pytest.raises(CxrlocError, match="row 5: No Finding has a box"):
        finished(INSIDE, drawn)


def test_equal_truth_counts_once_and_is_said() -> None:
    record = finished(INSIDE, INSIDE)
    assert record.annotations == (INSIDE,)
    assert record.warnings == (TWICE,)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (("a", "1"), ("a", "2"), "image a is there twice"),
        (("a", "1"), ("b", "01"), "'1' and '01' are one patient"),
        (("a", "1"), ("../b", "2"), "cannot name an image"),
        (("a", "1"), ("b", "2\n3"), "cannot name a patient"),
    ],
)
def test_ids_that_clash_or_leave_the_folder_are_refused(
    first: tuple[str, str], second: tuple[str, str], message: str
) -> None:
    records = [Record(image, patient, image, None) for image, patient in (first, second)]
    with pytest.raises(CxrlocError, match=message):
        finished_records(records, Path("b.csv"))


@pytest.mark.parametrize(
    ("size", "stretched"),
    [
        ((50, 100), False),
        ((25, 50), False),
        ((101, 200), False),
        ((50, 103), True),
        ((64, 64), True),
    ],
)
def test_boxes_on_an_image_of_another_shape_are_said(
    size: tuple[int, int], stretched: bool
) -> None:
    moved = annotations_in_image(finished(INSIDE), *size)
    assert (STRETCHED in moved.warnings) == stretched
    assert annotations_in_image(moved, *size).warnings == moved.warnings


def test_exchanged_rows_and_columns_are_an_error() -> None:
    with pytest.raises(CxrlocError, match=r"row 2: .* 50 x 100 .* 100 x 50; rows and columns are"):
        annotations_in_image(finished(INSIDE), 100, 50)
    square = finished(INSIDE, frame=(100, 100))
    assert annotations_in_image(square, 100, 100) == square


def test_only_records_of_another_vocabulary_are_copied() -> None:
    mass, none = frozenset({"Mass"}), frozenset[str]()
    records = [Record("a", "1", "a", None, vocabulary=each) for each in (mass, none)]
    found = with_vocabulary(records, ["Mass"])
    assert found[0] is records[0]
    assert [record.vocabulary for record in found] == [mass, mass]
