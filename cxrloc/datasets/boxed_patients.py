"""Finds the patients for whom an expert drew a box in ChestX-ray14, so that none is trained on.

The boxes of these patients are kept for scoring. Other data sets contain images of the same
patients, so these data sets are checked too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from cxrloc.datasets.boxes import read_box_rows
from cxrloc.datasets.identifiers import may_be_seen, patient_in
from cxrloc.datasets.rsna_pneumonia import MAPPING
from cxrloc.errors import CxrlocError
from cxrloc.types import Record

NIH = "ChestX-ray14"
"""The data set whose boxes are kept for scoring."""

RENAMED = ("siim_pneumothorax", "chestx_det")
"""Readers of data sets that renamed images of ChestX-ray14 and published no list of the names."""


class Boxed(NamedTuple):
    """The patients not to train on, and the data sets whose boxed patients cannot be identified.

    Attributes:
        patients: those among the records for whom an expert drew a box in ChestX-ray14.
        may_have_seen: as in `ModelCard`: ChestX-ray14 if the data set renamed its images, else
            empty.
        warnings: the same fact as sentences.
    """

    patients: frozenset[str] = frozenset()
    may_have_seen: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def boxed_patients(reader: str, path: Path, records: Iterable[Record]) -> Boxed:
    """The patients among the records of a data set who must not be trained on.

    Images of ChestX-ray14 are found in other data sets too. RSNA Pneumonia publishes a list that
    maps its images to those of ChestX-ray14. Other images are recognised if their names are those
    of ChestX-ray14. SIIM-ACR Pneumothorax and ChestX-Det also took their images from ChestX-ray14,
    but no published list maps them: training goes on, and every score of the model on ChestX-ray14
    will be flagged.

    Args:
        reader: a name of `datasets.READERS`.
        path: what it read: a folder, or a file in one.
        records: the records that it read, after `named_patients`.

    Raises:
        CxrlocError: a file that is needed to identify these patients is missing.
    """
    if reader in RENAMED:
        warning = (
            f"the images of {reader} are {NIH}'s under other names, and nothing says which: "
            "patients with an expert's box may be trained on, and scores on them are not held out"
        )
        return Boxed(may_have_seen=(NIH,), warnings=(warning,))
    folder = path if path.is_dir() else path.parent
    if reader == "rsna_pneumonia":
        _needed(folder, MAPPING, f"it says which patients of {NIH} the images are of")
        ours = list(records)
    else:
        ours = [r for r in records if reader == "chestxray14" or may_be_seen(r.image_id, [NIH])]
    if not ours:
        return Boxed()
    lists = _needed(folder, "BBox_List*.csv", "it says whom not to train on")
    if reader == "chestxray14":
        return Boxed(frozenset(record.patient_id for record in ours if record.annotations))
    boxed = {patient_in(row.image_id) for each in lists for row in read_box_rows(each)} - {None}
    return Boxed(
        frozenset(r.patient_id for r in ours if {r.patient_id, patient_in(r.image_id)} & boxed)
    )


def named_patients(records: Iterable[Record]) -> list[Record]:
    """The records, with missing patients taken from image names in the style of ChestX-ray14.

    >>> record = Record("00000013_005", "00000013_005", "00000013_005", None)
    >>> named_patients([record])[0].patient_id
    '13'
    """
    return [
        replace(record, patient_id=patient_in(record.image_id) or record.patient_id)
        if record.patient_id == record.image_id and may_be_seen(record.image_id, [NIH])
        else record
        for record in records
    ]


def refuse_boxed(records: Iterable[Record], boxed: Iterable[str]) -> None:
    """Raise an error if a patient with an expert's box is among the training records.

    Raises:
        CxrlocError: names a patient.
    """
    if seen := sorted({record.patient_id for record in records} & set(boxed)):
        raise CxrlocError(f"patient {seen[0]} has an expert's box and must not be trained on")


def _needed(folder: Path, pattern: str, why: str) -> Sequence[Path]:
    found = sorted(folder.glob(pattern))
    if not found:
        raise CxrlocError(f"{folder} holds no {pattern}: {why}; put it there")
    return found
