"""Writes phantoms to disk as a complete data set in the published layout of ChestX-ray14."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from cxrloc.datasets.chestxray14 import FRAME
from cxrloc.datasets.records import annotations_in_image
from cxrloc.errors import UsageError
from cxrloc.files.whole import DISK_ERRORS, DiskError, whole_file, write_text
from cxrloc.findings import CHESTXRAY8
from cxrloc.phantom.phantom import Phantom, make_phantom
from cxrloc.types import Label, Record, View

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

FIELD_OF_VIEW_MM = 380.0
"""Width of the imaged field; the pixel spacing is this width over the number of columns."""

TEST_EVERY = 3
"""Every third patient is in the test list; only test images have boxes, as published."""


NOT_OF_PATIENTS = "measured on synthetic radiographs, not on patients"
"""A note on every table, figure and page of results on phantoms."""

SYNTHETIC_CAPTION = f" {NOT_OF_PATIENTS.capitalize()}."
"""The same note as the last sentence of a caption."""

SYNTHETIC = "SYNTHETIC.txt"
"""The file that marks a folder of phantoms, so that results are not taken for those of patients."""


def is_synthetic(data: Path | None) -> bool:
    """Whether a data set is of phantoms: None (embedded), or a folder of `write_phantoms`."""
    if data is None:
        return True
    return any((folder / SYNTHETIC).is_file() for folder in (data, data.parent))


def write_phantoms(
    folder: Path,
    n: int,
    seed: int,
    file_format: str = "png",
    size: int = 1024,
    watch: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> list[Record]:
    """Write phantoms 0 to n - 1 of a series as ChestX-ray14 is published.

    The folder gets `images/`, `Data_Entry_2017.csv`, `BBox_List_2017.csv` (every finding of the
    test images, with the published header and `Infiltrate` for Infiltration), `train_val_list.txt`
    and `test_list.txt` (by patient). If the images are DICOM files, the tables still name `.png`.

    Args:
        folder: made if needed.
        n: number of images, at most 160,000: more would use the patients' numbers of the next seed.
        seed: the series.
        file_format: "png" (8 bit, as published) or "dicom" (12 bit, DX).
        size: rows and columns of the images; boxes in the tables are in the published frame,
            1024 x 1024, whatever the size.
        watch: wraps the iterator of the series' numbers, and may show the progress.

    Returns:
        The records, with the files' paths.

    Raises:
        UsageError: unknown format, a number out of range, or a folder that holds a data set or
            cannot be made.
        DiskError: the disk is full or read-only.
    """
    _make_folder(folder, n, file_format)
    # The mark comes first and the table of images last, so that a folder that is not whole is never
    # taken for one of patients, and is filled by the next call.
    write_text(
        folder / SYNTHETIC,
        f"Synthetic radiographs, drawn by `cxrloc phantom --seed {seed}`: not of patients.\n",
    )
    suffix, write = WRITERS[file_format]
    records = []
    for index in watch(range(n)):
        phantom = make_phantom(seed, index, size)
        path = folder / "images" / f"{phantom.record.image_id}{suffix}"
        with whole_file(path) as part:
            write(phantom, part)
        records.append(replace(phantom.record, path=path))
    _write_tables(folder, records, size)
    return records


def _make_folder(folder: Path, n: int, file_format: str) -> None:
    """Make the folder of the images, after all checks that can refuse the request."""
    if file_format not in WRITERS:
        raise UsageError(f"phantom format {file_format!r}: choose one of {', '.join(WRITERS)}")
    if not 0 < n <= 160_000:
        raise UsageError(f"{n} phantoms: choose a number from 1 to 160,000")
    if (folder / "Data_Entry_2017.csv").exists():
        raise UsageError(f"{folder} holds a data set already: choose another folder")
    try:
        (folder / "images").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        kind = DiskError if error.errno in DISK_ERRORS else UsageError
        raise kind(f"{folder}: no such folder can be made ({error.strerror})") from error


def _write_tables(folder: Path, records: Sequence[Record], size: int) -> None:
    tested = [record for record in records if int(record.patient_id) % TEST_EVERY == 0]
    others = [record for record in records if int(record.patient_id) % TEST_EVERY != 0]
    for name, listed in (("test_list.txt", tested), ("train_val_list.txt", others)):
        write_text(folder / name, "".join(f"{r.image_id}.png\n" for r in listed))
    header = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
    _write_csv(folder / "BBox_List_2017.csv", header, (box for r in tested for box in _boxes(r)))
    columns = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
    columns += "View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
    _write_csv(folder / "Data_Entry_2017.csv", columns, (_entry(r, size) for r in records))


def _write_csv(path: Path, header: str, rows: Iterable[list[object]]) -> None:
    with whole_file(path) as part, part.open("w", newline="") as file:
        file.write(header + "\n")
        csv.writer(file, lineterminator="\n").writerows(rows)


def _entry(record: Record, size: int) -> list[object]:
    present = [f for f in CHESTXRAY8 if record.labels[f] is Label.POSITIVE]
    return [
        f"{record.image_id}.png",
        "|".join(present) or "No Finding",
        int(record.image_id[-3:]),
        int(record.patient_id),
        int(record.age_years or 0),
        record.sex,
        record.view,
        *(size, size),
        *(FIELD_OF_VIEW_MM / size,) * 2,
    ]


def _boxes(record: Record) -> Iterable[list[object]]:
    for annotation in annotations_in_image(record, *FRAME).annotations:
        box = annotation.box
        finding = "Infiltrate" if annotation.finding == "Infiltration" else annotation.finding
        width, height = box.x_max - box.x_min, box.y_max - box.y_min
        yield [f"{record.image_id}.png", finding, box.x_min, box.y_min, width, height]


def _write_png(phantom: Phantom, path: Path) -> None:
    Image.fromarray(np.round(phantom.pixels * 255).astype(np.uint8)).save(path)


def _write_dicom(phantom: Phantom, path: Path) -> None:
    """A DX image for presentation (PS3.3 A.26), 12 bits, MONOCHROME2, full-range window."""
    record = phantom.record
    data = _dx_attributes(record.view or View.PA)
    data.SOPInstanceUID = generate_uid(entropy_srcs=[record.image_id, "image"])
    data.StudyInstanceUID = generate_uid(entropy_srcs=[record.image_id, "study"])
    data.SeriesInstanceUID = generate_uid(entropy_srcs=[record.image_id, "series"])
    data.PatientID = f"phantom-{record.patient_id}"
    data.PatientName = f"Phantom^{record.patient_id}"
    data.PatientSex = str(record.sex)
    data.PatientAge = f"{int(record.age_years or 0):03d}Y"
    data.Rows, data.Columns = phantom.pixels.shape
    data.ImagerPixelSpacing = [round(FIELD_OF_VIEW_MM / side, 6) for side in phantom.pixels.shape]
    data.PixelData = np.round(phantom.pixels * 4095).astype("<u2").tobytes()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.save_as(path, enforce_file_format=True)


def _dx_attributes(view: View) -> Dataset:
    """The attributes of all phantoms of a view.

    Rows run to the patient's left, columns to the feet.
    """
    # The code dictionary takes as long to import as a picture to draw, and only DICOM needs it.
    from pydicom.sr.codedict import codes

    data = Dataset()
    data.SOPClassUID = DigitalXRayImageStorageForPresentation
    data.Modality, data.PresentationIntentType = "DX", "FOR PRESENTATION"
    data.ImageType = ["ORIGINAL", "PRIMARY", ""]
    data.Manufacturer, data.StudyDescription = "cxrloc", "Synthetic chest phantom"
    data.StudyID = data.StudyDate = data.StudyTime = data.AccessionNumber = ""
    data.ReferringPhysicianName = data.PatientBirthDate = data.AcquisitionContextSequence = ""
    data.SeriesNumber = data.InstanceNumber = 1
    data.BodyPartExamined, data.ViewPosition = "CHEST", view.value
    data.ImageLaterality, data.PatientOrientation = "U", ["L", "F"]
    data.AnatomicRegionSequence = [_coded(codes.SCT.Chest)]
    projection = codes.SCT.PosteroAnterior if view is View.PA else codes.SCT.AnteroPosterior
    data.ViewCodeSequence = [_coded(projection)]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PixelRepresentation = 0
    data.PixelIntensityRelationship, data.PixelIntensityRelationshipSign = "LOG", 1
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = 0, 1, "US"
    data.PresentationLUTShape, data.LossyImageCompression = "IDENTITY", "00"
    data.BurnedInAnnotation = "NO"
    data.WindowCenter, data.WindowWidth = 2048, 4096
    return data


def _coded(code: "Code") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = code.value, code.scheme_designator
    item.CodeMeaning = code.meaning
    return item


WRITERS: dict[str, tuple[str, Callable[[Phantom, Path], None]]] = {
    "png": (".png", _write_png),
    "dicom": (".dcm", _write_dicom),
}
"""File formats of `write_phantoms`: suffix and writer."""
