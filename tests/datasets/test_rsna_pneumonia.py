from pathlib import Path

import pytest

from cxrloc.datasets import read_dataset
from cxrloc.errors import CxrlocError
from cxrloc.types import Box, Label
from tests.datasets.layout_files import touched, written

RSNA = """patientId,x,y,width,height,Target
0a,264.0,152.0,213.0,379.0,1
0a,562.0,152.0,256.0,453.0,1
0b,,,,,0
"""


def test_rsna_boxes_are_extents_and_target_0_is_a_negative_label(tmp_path: Path) -> None:
    written(tmp_path / "stage_2_train_labels.csv", RSNA)
    image = touched(tmp_path / "stage_2_train_images" / "0a.dcm")
    boxed, clear = read_dataset(tmp_path)
    assert [each.box for each in boxed.annotations] == [
        Box(264.0, 152.0, 477.0, 531.0),
        Box(562.0, 152.0, 818.0, 605.0),
    ]
    assert boxed.labels == {"Pneumonia": Label.POSITIVE}
    assert clear.labels == {"Pneumonia": Label.NEGATIVE}
    assert (boxed.path, boxed.annotation_frame) == (image, (1024, 1024))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (RSNA.replace(",0\n", ",2\n"), "row 4: Target is '2'"),
        (RSNA.replace("213.0", "-1"), "row 2: a box needs"),
        (RSNA + "0b,1,2,3,4,1\n", "row 5: 0b has Target 1 here and 0"),
        (RSNA.replace("0b,,,,", "0b,1,2,3,4"), "row 4: 0b has Target 0 and a box"),
        ("patientId,x,y,width,height,Target\n0a,.1,.2,.3,.4,1\n", "row 2: .* are shares"),
        (RSNA.replace("264.0", "1200"), "row 2: .* lies outside"),
    ],
)
def test_a_broken_entry_is_named(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(CxrlocError, match=message):
        read_dataset(written(tmp_path / "stage_2_train_labels.csv", content))
