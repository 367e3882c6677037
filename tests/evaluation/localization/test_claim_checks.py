from pathlib import Path

import pytest

from cxrloc.evaluation.localization.claim_checks import compare_places
from cxrloc.types import Annotation, Box, Detection, Record


def record(name: str, frame: tuple[int, int] | None = (80, 100)) -> Record:
    truth = Annotation(name, "Mass", Box(1.0, 2.0, 3.0, 4.0))
    return Record(name, name, name, None, annotations=(truth,), annotation_frame=frame)


@pytest.mark.parametrize(
    ("box", "outside"),
    [
        (Box(99, 79, 120, 90), False),  # one pixel is inside
        (Box(100, 10, 120, 20), True),  # columns end at 100
        (Box(90, 80, 99, 90), True),  # rows end at 80
        (Box(-9, 10, 0, 20), True),
        (Box(10, -9, 20, 0), True),
    ],
)
def test_boxes_wholly_outside_their_image_are_a_warning(box: Box, outside: bool) -> None:
    found = [Detection(name, "Mass", box, None, 0.5) for name in "ab"]
    records = [record("a"), record("b", frame=None)]  # nothing is known of the size of b
    said = compare_places(Path("det.csv"), found, records)
    assert list(said.values()) == [1] * outside
    assert all("another size" in text for text in said)
