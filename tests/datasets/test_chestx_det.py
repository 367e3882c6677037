from pathlib import Path

import pytest

from cxrloc.datasets import read_dataset
from cxrloc.datasets.records import TWICE
from cxrloc.errors import CxrlocError
from cxrloc.types import Annotation, Box, Outline
from tests.datasets.layout_files import touched, written

SQUARE = [[10, 20], [40, 20], [40, 60], [10, 60]]
CHESTX_DET = [
    {
        "file_name": "36199.png",
        "syms": ["Pleural Thickening"],
        "boxes": [[10, 20, 40, 60]],
        "polygons": [SQUARE],
    },
    {"file_name": "36200.png", "syms": [], "boxes": [], "polygons": []},
]


def test_chestx_det_has_a_box_and_a_polygon_per_finding(tmp_path: Path) -> None:
    path = written(tmp_path / "ChestX_Det_train.json", CHESTX_DET)
    image = touched(tmp_path / "train" / "36199.png")
    boxed, clear = read_dataset(path)
    ring = tuple((float(x), float(y)) for x, y in SQUARE)
    assert boxed.annotations == (
        Annotation("36199", "Pleural_Thickening", Box(10.0, 20.0, 40.0, 60.0), Outline((ring,))),
    )
    assert (boxed.path, clear.annotations) == (image, ())


def test_chestx_det_entries_of_one_image_are_joined(tmp_path: Path) -> None:
    other = CHESTX_DET[0] | {"syms": ["Mass"]}
    path = written(tmp_path / "ChestX_Det_train.json", [*CHESTX_DET, other, CHESTX_DET[0]])
    first = read_dataset(path)[0]
    assert [each.finding for each in first.annotations] == ["Pleural_Thickening", "Mass"]
    assert first.warnings == (TWICE,)


def test_chestx_det10_has_boxes_alone(tmp_path: Path) -> None:
    entry = {"file_name": "00000042_006.png", "syms": ["Mass"], "boxes": [[632, 721, 909, 969]]}
    ((truth,),) = (each.annotations for each in read_dataset(written(tmp_path / "t.json", [entry])))
    assert (truth.finding, truth.shape) == ("Mass", None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"file_name": "a.png"}], "it has no 'syms'"),
        ([CHESTX_DET[0] | {"syms": []}], "not of one length"),
        ([CHESTX_DET[0] | {"syms": [1]}], "is not ChestX-Det"),
    ],
)
def test_a_broken_entry_is_named(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(CxrlocError, match=message):
        read_dataset(written(tmp_path / "ChestX_Det_train.json", content))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [({"syms": ["Effusoin"]}, "'Effusoin' is no known"), ({"boxes": [[0, 0, 0.5, 1]]}, "shares")],
)
def test_what_would_be_a_wrong_number_is_an_error(
    tmp_path: Path, changed: dict[str, object], expected: str
) -> None:
    entry = {"file_name": "1.png", "syms": ["Mass"], "boxes": [[1, 2, 3, 4]]} | changed
    with pytest.raises(CxrlocError, match=expected):
        read_dataset(written(tmp_path / "t.json", [entry]))
