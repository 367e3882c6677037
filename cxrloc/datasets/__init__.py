"""Data sets: a folder or a file becomes a list of `Record`s.

To read another kind of data set, write a function from path to records and add one line to
`READERS`. Patients of a public data set are named in model cards: see `PUBLIC` in
`training/trained_card.py`.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cxrloc.datasets import (
    chestx_det,
    chexpert,
    mimic_cxr,
    openi,
    rsna_pneumonia,
    siim_pneumothorax,
    vindr_cxr,
)
from cxrloc.datasets.boxes import read_boxed_images
from cxrloc.datasets.chestxray14 import official_parts, read_chestxray14
from cxrloc.datasets.chexlocalize import read_chexlocalize
from cxrloc.datasets.identifiers import CHESTXRAY14_NAME
from cxrloc.datasets.records import finished_records, with_vocabulary
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.files.encodings import encoding_of
from cxrloc.files.tables import key_of, table_rows
from cxrloc.findings import CHESTXRAY14, CHEXPERT14
from cxrloc.images.formats import open_regular
from cxrloc.types import Record


@dataclass(frozen=True, slots=True)
class Reader:
    """One kind of data set, how it is recognised, and how it is read.

    Attributes:
        read: path -> records; raises `CxrlocError` that names file and row.
        folder: glob patterns; a folder with a file of such a name is of this kind.
        files: glob patterns of annotation files that a folder may hold.
        columns: a table whose heading has all of these columns is of this kind.
        start: regular expression; a JSON file whose text begins with a match is of this
            kind.
        vocabulary: the findings that the data set judges in every image, even if no label in this
            copy names them.
        official_parts: (folder, records) -> the published part of each image id: "train",
            "validation" or "test".
    """

    read: Callable[[Path], list[Record]]
    folder: Sequence[str] = ()
    files: Sequence[str] = ()
    columns: Sequence[str] = ()
    start: str = ""
    vocabulary: Sequence[str] = ()
    official_parts: Callable[[Path, list[Record]], dict[str, str]] | None = None


READERS: dict[str, Reader] = {
    "chestxray14": Reader(
        read_chestxray14,
        folder=("Data_Entry_2017*.csv", "BBox_List*.csv"),
        official_parts=official_parts,
    ),
    "mimic_cxr": Reader(
        mimic_cxr.read_mimic_cxr,
        folder=(f"{mimic_cxr.NAME}metadata.csv*",),
        vocabulary=CHEXPERT14,
        official_parts=mimic_cxr.official_parts,
    ),
    "openi": Reader(openi.read_openi, folder=openi.REPORTS, vocabulary=CHESTXRAY14),
    "chexpert": Reader(
        chexpert.read_chexpert,
        columns=chexpert.COLUMNS,
        vocabulary=CHEXPERT14,
        official_parts=chexpert.official_parts,
    ),
    "vindr_cxr": Reader(
        vindr_cxr.read_vindr_cxr,
        files=("annotations_t*.csv", "annotations/annotations_t*.csv"),
        columns=vindr_cxr.COLUMNS,
        vocabulary=vindr_cxr.CLASSES,
    ),
    "rsna_pneumonia": Reader(
        rsna_pneumonia.read_rsna_pneumonia,
        files=("stage_2_train_labels.csv",),
        columns=rsna_pneumonia.COLUMNS,
    ),
    "siim_pneumothorax": Reader(
        siim_pneumothorax.read_siim_pneumothorax,
        files=("*-rle.csv",),
        columns=siim_pneumothorax.COLUMNS,
    ),
    "chestx_det": Reader(
        chestx_det.read_chestx_det,
        files=("ChestX_Det*.json",),
        start=r"\s*\[",
        vocabulary=chestx_det.CLASSES,
    ),
    "chexlocalize": Reader(
        read_chexlocalize,
        files=("gt_*.json",),
        start=r'\s*\{\s*"[^"]+"\s*:\s*\{\s*("img_size"|"[^"]+"\s*:\s*\{\s*"(size|counts)")',
    ),
    "boxes": Reader(read_boxed_images),
}
"""Readers by the name of the data set; "boxes" reads what no other reader recognises."""

_HEAD = 8192  # bytes of a JSON file, more than its first keys take


def read_dataset(path: Path | str) -> list[Record]:
    """The records of the data set at a path: a published layout, or a file or folder of boxes.

    A file is recognised by its content, and a folder by the published name of its annotation file.
    If the path is ChestX-ray14's own box list, its whole folder is read, because the folder tells
    the image size and the patients. If it is a table of labels of MIMIC-CXR, its folder is read
    with the labels of that table.

    Raises:
        CxrlocError: nothing is there, a folder holds several annotation files, or the reader
            refuses it.
    """
    return read_as(*layout_of(Path(path)))


def read_as(reader: str, path: Path, declared: Collection[str] = ()) -> list[Record]:
    """Records of a path, read by a reader of this name and checked (`records.finished_records`).

    They judge the findings of the reader's vocabulary, and those that a label or box names.

    Args:
        reader: a name of `READERS`.
        path: what it takes.
        declared: findings that labels may name beside the known ones; only label files of
            ChestX-ray14's layout name findings in their cells.

    Raises:
        CxrlocError: the reader refuses the path, or it lists no image.
    """
    if reader == "chestxray14":
        records = read_chestxray14(path, declared)
    else:
        records = READERS[reader].read(path)
    if not records:
        raise CxrlocError(f"{path}: it lists no image")
    return with_vocabulary(finished_records(records, path), READERS[reader].vocabulary)


def layout_of(path: Path) -> tuple[str, Path]:
    """The name of the reader in `READERS` for a path, and the path that this reader must read.

    Raises:
        CxrlocError: nothing is there, or a folder holds several annotation files.
    """
    if not path.exists():
        raise CxrlocError(f"{path}: no such file or folder")
    if path.is_file() and path.match("BBox_List*.csv"):
        path = path.parent
    if path.match(f"{mimic_cxr.NAME}*.csv*"):
        return "mimic_cxr", path
    if path.is_file():
        return _layout_of_file(path), path
    if layout := _layout_of_folder(path):
        return layout, path
    names = [name for reader in READERS.values() for name in reader.files]
    published = sorted({file for name in names for file in path.glob(name)})
    if len(published) > 1:
        raise CxrlocError(
            f"{path} holds several annotation files, name the one to read: "
            f"{', '.join(file.name for file in published)}"
        )
    return (_layout_of_file(published[0]), published[0]) if published else ("boxes", path)


def official_parts_of(path: Path, records: list[Record]) -> dict[str, str]:
    """The published part of each image id: "train", "validation" or "test".

    In ChestX-ray14, "train" is the published list for training and validation together.

    Raises:
        UsageError: the data set has no published split.
        CxrlocError: its lists cannot be read.
    """
    layout = (_layout_of_folder(path) if path.is_dir() else None) or "boxes"
    read_parts = READERS[layout].official_parts
    if read_parts is None:
        published = [name for name, reader in READERS.items() if reader.official_parts]
        raise UsageError(
            f"{path} has no official split: name the folder of {', '.join(published)} with its "
            "lists, or leave --split out"
        )
    return read_parts(path, records)


def names_of_data_set(reader: str, records: Iterable[Record]) -> set[str]:
    """Name of the data set to which the patients of these records belong.

    This is usually the reader's name. Images of ChestX-ray14 belong to its patients whichever
    reader read them: those of RSNA Pneumonia are identified by its published list, and others by
    the names of their files.
    """
    if reader not in READERS:  # phantoms, which have names like those of ChestX-ray14
        return {reader}
    listed = list(records)
    theirs = reader == "rsna_pneumonia" and any(r.patient_id != r.image_id for r in listed)
    if theirs or any(CHESTXRAY14_NAME.fullmatch(record.image_id) for record in listed):
        return {"chestxray14"}
    return {reader}


def boxed_throughout(path: Path) -> bool:
    """Whether experts looked at every image, so that an image without a box has no finding.

    Only ChestX-ray14 lists images that no expert saw: 880 of its 112,120 images have boxes.
    """
    return _layout_of_folder(path) != "chestxray14" and not path.match("BBox_List*.csv")


LABEL_FILE = "the file "
"""Prefix in a run card of the name of a file of labels, in place of the data set's own."""

DRAWN = "what was drawn"
"""The labels of the embedded phantoms, in words for a run card."""


def label_origin(path: Path | None, labels: Path | None = None) -> str:
    """Where the image-level labels of a data set come from, in words for a run card.

    Args:
        path: the data set; None for the embedded phantoms.
        labels: file of labels, in place of the data set's own; None for those.
    """
    if labels is not None:
        return f"{LABEL_FILE}{labels}"
    if path is None:
        return DRAWN
    layout = _layout_of_folder(path) if path.is_dir() else ""
    if layout == "openi":
        return "cxrloc label, on the reports of Open-i"
    if layout == "mimic_cxr" or path.match(f"{mimic_cxr.NAME}*.csv*"):
        table = mimic_cxr.label_table(path)
        return table.name if table else "none: MIMIC-CXR without a table of labels"
    return "the data set's own labels"


def _layout_of_folder(folder: Path) -> str | None:
    for layout, reader in READERS.items():
        if any(True for name in reader.folder for _ in folder.glob(name)):
            return layout
    tables = (path for name in chexpert.TABLES.values() for path in folder.glob(name))
    return "chexpert" if any(_layout_of_file(table) == "chexpert" for table in tables) else None


def _layout_of_file(path: Path) -> str:
    """The name of a file's reader, found by the file's beginning; "boxes" if no layout matches."""
    if path.suffix.lower() == ".json":
        starts = {name: reader.start for name, reader in READERS.items() if reader.start}
        head = _head(path)
        return next((name for name, start in starts.items() if re.match(start, head)), "boxes")
    columns = set(map(key_of, _heading(path)))
    tables = {name: reader.columns for name, reader in READERS.items() if reader.columns}
    matches = (name for name, needed in tables.items() if columns.issuperset(map(key_of, needed)))
    return next(matches, "boxes")


def _heading(path: Path) -> Sequence[str]:
    rows: Iterator[tuple[int, list[str]]] = table_rows(path)
    return next(rows, (1, []))[1]


def _head(path: Path) -> str:
    """The first characters of a file of text, without byte order mark."""
    try:
        with open_regular(path) as file:
            content = file.read(_HEAD)
    except OSError as error:
        raise CxrlocError(f"{path} cannot be read: {error}") from error
    return content.decode(encoding_of(content, whole=False), errors="replace").lstrip("\ufeff")
