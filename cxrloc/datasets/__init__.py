"""Data sets: a folder or a file becomes a list of `Record`s.

To read another kind of data set, write a function from path to records and add one line.
"""

from collections.abc import Callable
from pathlib import Path

from cxrloc.datasets.boxes import read_boxed_images
from cxrloc.datasets.chestxray14 import read_chestxray14
from cxrloc.types import CxrlocError, Record

READERS: dict[str, Callable[[Path], list[Record]]] = {
    "chestxray14": read_chestxray14,
    "boxes": read_boxed_images,
}
"""Readers by the name of what they read."""


def read_dataset(path: Path) -> list[Record]:
    """Records of whatever lies at a path: ChestX-ray14's layout, or a file or folder of boxes.

    ChestX-ray14's own box list stands for its folder, so that its frame and patients are known.

    Raises:
        CxrlocError: nothing is there, or the reader refuses it.
    """
    if not path.exists():
        raise CxrlocError(f"{path}: no such file or folder")
    if path.is_file() and path.match("BBox_List*.csv"):
        path = path.parent
    layout = path.is_dir() and [*path.glob("Data_Entry_2017*.csv"), *path.glob("BBox_List*.csv")]
    return READERS["chestxray14" if layout else "boxes"](path)
