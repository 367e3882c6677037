"""Phantoms in the published layouts of the data sets that recipes read."""

import csv
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from cxrloc.findings import CHEXPERT14
from cxrloc.phantom import make_phantom, write_phantoms

COUNT, SIZE = 24, 64
CODES = ("1.0", "0.0", "-1.0", "")


@cache
def _pixels(index: int) -> Image.Image:
    return Image.fromarray(np.round(make_phantom(5, index, SIZE).pixels * 255).astype(np.uint8))


def _saved(path: Path, index: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _pixels(index).save(path)


def _table(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def _observations(index: int) -> list[str]:
    """Present, absent, uncertain and blank in turn."""
    return [CODES[(index + column) % len(CODES)] for column in range(len(CHEXPERT14))]


def chestxray14(folder: Path) -> None:
    write_phantoms(folder, COUNT, seed=5, size=SIZE)


def chexpert(folder: Path) -> None:
    header = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT14]
    rows: dict[str, list[list[str]]] = {"train": [], "valid": []}
    for index in range(COUNT):
        part = "valid" if index % 4 == 0 else "train"
        place = f"{part}/patient{index:05d}/study1/view1_frontal.jpg"
        _saved(folder / place, index)
        attributes = [f"CheXpert-v1.0-small/{place}", "Female", str(40 + index), "Frontal", "PA"]
        rows[part].append([*attributes, *_observations(index)])
    for part, part_rows in rows.items():
        _table(folder / f"{part}.csv", header, part_rows)


def mimic_cxr(folder: Path) -> None:
    """A PA, an AP and a lateral image per study."""
    columns = ["dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate", "StudyTime"]
    images, labels, split = [], [], []
    for study in range(COUNT):
        subject = str(10000000 + study)
        place = folder / "files" / subject[:2].join(["p", ""]) / f"p{subject}" / f"s{study}"
        for view in ("PA", "AP", "LATERAL"):
            name = f"{study}-{view}"
            _saved(place / f"{name}.jpg", study)
            images.append([name, subject, str(study), view, "21800101", "120000"])
            split.append([name, str(study), subject, "validate" if study % 4 == 0 else "train"])
        labels.append([subject, str(study), *_observations(study)])
    _table(folder / "mimic-cxr-2.0.0-metadata.csv", columns, images)
    _table(
        folder / "mimic-cxr-2.0.0-split.csv", ["dicom_id", "study_id", "subject_id", "split"], split
    )
    _table(folder / "mimic-cxr-2.0.0-chexpert.csv", ["subject_id", "study_id", *CHEXPERT14], labels)


def openi(folder: Path) -> None:
    reports = folder / "ecgen-radiology"
    reports.mkdir(parents=True)
    for index in range(COUNT):
        _saved(folder / f"CXR{index}_IM-1.png", index)
        (reports / f"{index}.xml").write_text(
            f'<eCitation><uId id="CXR{index}"/><MedlineCitation><Article><Abstract>'
            '<AbstractText Label="FINDINGS">Small left effusion.</AbstractText>'
            "</Abstract></Article></MedlineCitation>"
            f'<parentImage id="CXR{index}_IM-1"/></eCitation>'
        )


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "chestxray14": chestxray14,
    "chexpert": chexpert,
    "mimic_cxr": mimic_cxr,
    "openi": openi,
}
"""Writers by reader: each fills a folder with `COUNT` patients."""


def write_report_labels(path: Path, ids: list[str], findings: tuple[str, ...]) -> None:
    """A file as `cxrloc label` writes it: one finding per report.

    The next finding is uncertain in every fourth report, and not mentioned in the one after it.
    """
    beside = ("-1", "", "0", "0")
    rows = []
    for place, report in enumerate(ids):
        cells = ["0"] * len(findings)
        cells[(place + 1) % len(findings)] = beside[place % len(beside)]
        cells[place % len(findings)] = "1"
        rows.append([report, *cells])
    _table(path, ["report_id", *findings], rows)
