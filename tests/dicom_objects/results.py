"""A result on a small synthetic DICOM image, for the tests of every object."""

from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
from scipy import ndimage

from cxrloc.dicom_objects.result import Algorithm, DicomResult, FindingResult
from cxrloc.dicom_objects.source import read_source
from cxrloc.localization.boxes import detections_from_heatmaps
from cxrloc.phantom import write_phantoms
from cxrloc.types import Affine, Heatmaps

PROBABILITIES = {"Effusion": 0.9, "Pleural_Thickening": 0.3, "Infiltration": 0.5}
OPERATING_POINT = 0.4
MOMENT = datetime(2026, 1, 2, 3, 4, 5)


def phantom_file(folder: Path, size: int = 96) -> Path:
    """One phantom as a DX image."""
    write_phantoms(folder, n=1, seed=0, size=size, file_format="dicom")
    return next((folder / "images").iterdir())


def result_on(source: pydicom.Dataset) -> DicomResult:
    """Smooth random maps of three findings, and their boxes."""
    rows, columns = int(source.Rows), int(source.Columns)
    noise = np.random.default_rng(0).standard_normal((len(PROBABILITIES), 8, 8))
    heatmaps = Heatmaps(
        image_id="chest",
        findings=tuple(PROBABILITIES),
        scores=ndimage.gaussian_filter(noise, sigma=(0, 1, 1)),
        to_image=Affine(xx=columns / 8, yy=rows / 8),
        image_rows=rows,
        image_columns=columns,
    )
    detections = detections_from_heatmaps(heatmaps, [*PROBABILITIES.values()], [60, 180])
    findings = tuple(
        FindingResult(
            finding=finding,
            probability=probability,
            above_operating_point=probability > OPERATING_POINT,
            detections=tuple(each for each in detections if each.finding == finding),
        )
        for finding, probability in PROBABILITIES.items()
    )
    algorithm = Algorithm("untrained", "0.1.0", "ab" * 32, {"method": "cam"})
    return DicomResult(source, algorithm, findings, heatmaps, MOMENT)


def small_result(folder: Path) -> DicomResult:
    return result_on(read_source(phantom_file(folder)).header)


def without_boxes(result: DicomResult) -> DicomResult:
    bare = tuple(replace(each, detections=()) for each in result.findings)
    return replace(result, findings=bare)


def altered(source: pydicom.Dataset, folder: Path, **values: object) -> pydicom.Dataset:
    """A header with other values, as it is read from a file; None removes an attribute."""
    copy = deepcopy(source)
    path = folder / "altered.dcm"
    with pydicom.config.disable_value_validation():
        for keyword, value in values.items():
            if value is not None:
                setattr(copy, keyword, value)
            elif keyword in copy:
                del copy[keyword]
        copy.file_meta = pydicom.dataset.FileMetaDataset()
        copy.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        copy.save_as(path, enforce_file_format=True)
    return read_source(path).header
