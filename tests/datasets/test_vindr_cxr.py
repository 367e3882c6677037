from pathlib import Path

import pytest

from cxrloc.datasets import read_dataset
from cxrloc.errors import CxrlocError
from cxrloc.types import Box, Label
from tests.datasets.layout_files import touched, written

VINDR = """image_id,rad_id,class_name,x_min,y_min,x_max,y_max
0a,R8,Pleural effusion,10.5,20,40,60
0a,R9,Pleural effusion,11,20,40,61
0b,R8,No finding,,,,
"""


def test_vindr_keeps_every_reader_s_box_and_images_without_one(tmp_path: Path) -> None:
    path = written(tmp_path / "annotations" / "annotations_train.csv", VINDR)
    image = touched(tmp_path / "train" / "0a.dicom")
    boxed, clear = read_dataset(path)
    assert [each.finding for each in boxed.annotations] == ["Effusion", "Effusion"]
    assert boxed.annotations[0].box == Box(10.5, 20.0, 40.0, 60.0)
    assert (boxed.path, clear.path) == (image, None)
    assert (clear.annotations, clear.labels) == ((), {})
    assert read_dataset(tmp_path) == [boxed, clear]


def test_radiologists_may_disagree_on_whether_there_is_a_finding(tmp_path: Path) -> None:
    text = VINDR + "0b,R9,Pulmonary fibrosis,1,2,3,4\n"
    boxed = read_dataset(written(tmp_path / "annotations_train.csv", text))[1]
    assert boxed.labels == {"Fibrosis": Label.POSITIVE}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (VINDR.replace("10.5", "x"), "row 2: x_min is 'x'"),
        (VINDR + "0d,R8,Pnuemothorax,1,2,3,4\n", "row 5: 'Pnuemothorax' is no known"),
        (VINDR + "0b,R8,Mass,1,2,3,4\n", "row 5: 0b has No finding and"),
    ],
)
def test_a_broken_entry_is_named(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(CxrlocError, match=message):
        read_dataset(written(tmp_path / "annotations_test.csv", content))
