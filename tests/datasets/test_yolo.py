from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrloc.datasets.yolo import read_yolo
from cxrloc.errors import CxrlocError
from cxrloc.types import Annotation, Box, Outline

BOX = "1 0.25 0.75 0.25 0.5"  # on 80 x 40 pixels: 20 wide around x = 20, 20 high around y = 30
CLASSES = {"classes.txt": "Effusion\nMass\n"}


def read(folder: Path, **texts: str) -> list[Annotation]:
    """The truth of image a, with the files of these names beside its text."""
    image = folder / "a.png"
    Image.fromarray(np.zeros((40, 80), np.uint8)).save(image)
    (folder / "yolo").mkdir()
    for name, text in texts.items():
        (folder / "yolo" / name).write_text(text)
    return read_yolo(folder / "yolo", {"a": image})["a"].annotations


def test_a_sixth_number_is_a_confidence(tmp_path: Path) -> None:
    (truth,) = read(tmp_path, **CLASSES, **{"a.txt": f"{BOX} 0.9"})
    assert (truth.finding, truth.box, truth.shape) == ("Mass", Box(10.0, 20.0, 30.0, 40.0), None)


def test_more_numbers_are_the_corners_of_a_polygon(tmp_path: Path) -> None:
    (truth,) = read(tmp_path, **CLASSES, **{"a.txt": "1 0.25 0.5 0.5 0.5 0.25 1"})
    assert truth.box == Box(20.0, 20.0, 40.0, 40.0)
    assert truth.shape == Outline((((20.0, 20.0), (40.0, 20.0), (20.0, 40.0)),))


@pytest.mark.parametrize(
    "names",
    [
        "names: [Effusion, Mass]",
        "names: ['Effusion', \"Mass\"]  # two",
        "names: [Effusion,\n  Mass]\nnc: 2",
        "names: {0: Effusion, 1: Mass}",
        "names:\n- Effusion  # first\n- Mass\nnc: 2",
        "names:\n  1: Mass\n  0: Effusion\n",
        "names:\n  1: Mass\n  7: Effusion\n",
        "path: x\nnames:\n  # all\n  0: 'Effusion'\n  1: 'Mass'\nnc: 2",
    ],
)
def test_classes_of_yaml_have_the_numbers_that_it_gives(tmp_path: Path, names: str) -> None:
    (truth,) = read(tmp_path, **{"data.yaml": names, "a.txt": BOX})
    assert truth.finding == "Mass"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a.txt": "9 0.1 0.1 0.1 0.1"}, "row 1: .* is not a class of 0, 1 and four"),
        ({"a.txt": "0 10 20 30 40"}, "row 1: shares of the image"),
        ({"a.txt": "0 .1 .1 .6 .1 .6 .9 .1"}, "row 1: 7 numbers are neither a box nor a polygon"),
        ({"q.txt": "0 0.5 0.5 0.1 0.1"}, "no image q"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, content: dict[str, str], message: str) -> None:
    with pytest.raises(CxrlocError, match=message):
        read(tmp_path, **CLASSES, **content)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("nc: 2", "it has no names:"),
        ("names: 2", "names: is no list"),
        ("names:\n  0: Mass\n  0: Nodule", "class 0 is named twice"),
        ("names: ['', Mass]", "a class without a name"),
    ],
)
def test_classes_that_are_not_told_apart_are_an_error(
    tmp_path: Path, names: str, message: str
) -> None:
    with pytest.raises(CxrlocError, match=message):
        read(tmp_path, **{"data.yaml": names, "a.txt": BOX})
