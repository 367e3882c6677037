"""Data sets: a folder or a file becomes a list of `Record`s.

To read another kind of data set, write a function from path to records and add one line; a layout
that is to be recognised needs a line in `_layout_of` too.
"""

import re
from collections.abc import Callable
from pathlib import Path

from cxrloc.datasets import chexpert, mimic_cxr, openi, rsna_pneumonia, siim_pneumothorax, vindr_cxr
from cxrloc.datasets.boxes import read_boxed_images
from cxrloc.datasets.chestx_det import read_chestx_det
from cxrloc.datasets.chestxray14 import official_parts, read_chestxray14
from cxrloc.datasets.chexlocalize import read_chexlocalize
from cxrloc.types import CxrlocError, Record, UsageError

READERS: dict[str, Callable[[Path], list[Record]]] = {
    "chestxray14": read_chestxray14,
    "chexpert": chexpert.read_chexpert,
    "mimic_cxr": mimic_cxr.read_mimic_cxr,
    "openi": openi.read_openi,
    "boxes": read_boxed_images,
    "vindr_cxr": vindr_cxr.read_vindr_cxr,
    "rsna_pneumonia": rsna_pneumonia.read_rsna_pneumonia,
    "siim_pneumothorax": siim_pneumothorax.read_siim_pneumothorax,
    "chestx_det": read_chestx_det,
    "chexlocalize": read_chexlocalize,
}
"""Readers by the name of what they read."""

OFFICIAL_SPLITS: dict[str, Callable[[Path, list[Record]], dict[str, str]]] = {
    "chestxray14": official_parts,
    "chexpert": chexpert.official_parts,
    "mimic_cxr": mimic_cxr.official_parts,
}
"""Published splits by reader: (folder, records) -> image id to "train", "validation" or "test"."""

_COLUMNS = {
    "chexpert": chexpert.COLUMNS,
    "vindr_cxr": vindr_cxr.COLUMNS,
    "rsna_pneumonia": rsna_pneumonia.COLUMNS,
    "siim_pneumothorax": siim_pneumothorax.COLUMNS,
}
_FOLDERS = {
    "chestxray14": ("Data_Entry_2017*.csv", "BBox_List*.csv"),
    "mimic_cxr": (f"{mimic_cxr.NAME}metadata.csv*",),
    "openi": openi.REPORTS,
}
"""Layouts that a name in their folder tells from all others."""

_FILE_NAMES = (
    "annotations_t*.csv",
    "annotations/annotations_t*.csv",
    "stage_2_train_labels.csv",
    "*-rle.csv",
    "ChestX_Det*.json",
    "gt_*.json",
)
_HEAD = 4096  # characters, more than any header has
_CHEXLOCALIZE = re.compile(
    r'\s*\{\s*"[^"]+"\s*:\s*\{\s*("img_size"|"[^"]+"\s*:\s*\{\s*"(size|counts)")'
)


def read_dataset(path: Path) -> list[Record]:
    """Records of whatever lies at a path: a published layout, or a file or folder of boxes.

    A file is recognised by what is in it, a folder by the published name of its annotation file.
    ChestX-ray14's own box list stands for its folder, so that its frame and patients are known;
    a table of labels of MIMIC-CXR stands for its folder with those labels.

    Raises:
        CxrlocError: nothing is there, a folder holds several annotation files, or the reader
            refuses it.
    """
    if not path.exists():
        raise CxrlocError(f"{path}: no such file or folder")
    if path.is_file() and path.match("BBox_List*.csv"):
        path = path.parent
    if path.match(f"{mimic_cxr.NAME}*.csv*"):
        return READERS["mimic_cxr"](path)
    if path.is_file():
        return READERS[_layout_of(path)](path)
    if layout := _layout_of_folder(path):
        return READERS[layout](path)
    published = sorted(file for name in _FILE_NAMES for file in path.glob(name))
    if len(published) > 1:
        raise CxrlocError(
            f"{path} holds several annotation files, name the one to read: "
            f"{', '.join(file.name for file in published)}"
        )
    return read_dataset(published[0]) if published else READERS["boxes"](path)


def official_parts_of(path: Path, records: list[Record]) -> dict[str, str]:
    """The published part of each image id: "train", "validation" or "test".

    ChestX-ray14 calls "train" what it publishes for training and validation together.

    Raises:
        UsageError: the data set has no published split.
        CxrlocError: its lists cannot be read.
    """
    layout = _layout_of_folder(path) if path.is_dir() else None
    if layout not in OFFICIAL_SPLITS:
        raise UsageError(
            f"{path} has no official split: name the folder of "
            f"{', '.join(OFFICIAL_SPLITS)} with its lists, or leave --split out"
        )
    return OFFICIAL_SPLITS[layout](path, records)


def boxed_throughout(path: Path) -> bool:
    """Whether experts looked at every image of a data set, so that one without a box shows nothing.

    Only ChestX-ray14 lists images that none of them saw: 880 of its 112,120 have boxes.
    """
    return _layout_of_folder(path) != "chestxray14" and not path.match("BBox_List*.csv")


def label_origin(path: Path) -> str:
    """Where the image-level labels of a data set come from, in words for a run card."""
    layout = _layout_of_folder(path) if path.is_dir() else ""
    if layout == "openi":
        return "cxrloc label, on the reports of Open-i"
    if layout == "mimic_cxr" or path.match(f"{mimic_cxr.NAME}*.csv*"):
        table = mimic_cxr.label_table(path)
        return table.name if table else "none: MIMIC-CXR without a table of labels"
    return "the data set's own labels"


def _layout_of_folder(folder: Path) -> str | None:
    for layout, names in _FOLDERS.items():
        if any(True for name in names for _ in folder.glob(name)):
            return layout
    tables = (path for name in chexpert.TABLES.values() for path in folder.glob(name))
    return "chexpert" if any(_layout_of(table) == "chexpert" for table in tables) else None


def _layout_of(path: Path) -> str:
    """The reader of a file, by its beginning; "boxes" where it is none of the published ones."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            head = file.read(_HEAD)
    except (OSError, UnicodeDecodeError) as error:
        raise CxrlocError(f"{path} cannot be read as text: {error}") from error
    if path.suffix.lower() == ".json":
        if head.lstrip().startswith("["):
            return "chestx_det"
        return "chexlocalize" if _CHEXLOCALIZE.match(head) else "boxes"
    columns = {name.strip() for name in head.split("\n", 1)[0].split(",")}
    matches = (name for name, needed in _COLUMNS.items() if columns.issuperset(needed))
    return next(matches, "boxes")
