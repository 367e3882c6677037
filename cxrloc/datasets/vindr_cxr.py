"""VinDr-CXR (Nguyen et al. 2022): boxes of radiologists, `annotations_train.csv` or `_test.csv`."""

from pathlib import Path

from cxrloc.datasets.identifiers import checked_id
from cxrloc.datasets.image_files import find_image_files_below, image_id_of
from cxrloc.datasets.label_cells import known_finding
from cxrloc.datasets.records import boxed_record, checked_box
from cxrloc.errors import CxrlocError
from cxrloc.files.tables import number_in, read_table, rows_of
from cxrloc.findings import NO_FINDING
from cxrloc.types import Annotation, Record

COLUMNS = ("image_id", "class_name", "x_min", "y_min", "x_max", "y_max")

CLASSES = (
    "Aortic enlargement",
    "Atelectasis",
    "Calcification",
    "Cardiomegaly",
    "Consolidation",
    "ILD",
    "Infiltration",
    "Lung Opacity",
    "Nodule/Mass",
    "Other lesion",
    "Pleural effusion",
    "Pleural thickening",
    "Pneumothorax",
    "Pulmonary fibrosis",
)
"""The classes that readers drew boxes for in every edition.

The edition on Kaggle has these 14; that on PhysioNet has 8 rarer ones beside them, which count as
judged if a box of the copy names them. Diagnoses of the whole image are in files of their own.
"""


def read_vindr_cxr(path: Path) -> list[Record]:
    """One record per image of an annotation file; its boxes are in pixels of the DICOM image.

    Rows `No finding` have no box; their images are kept. The training file has the boxes of
    three radiologists on each image, named by `rad_id`: all boxes are kept, and none are merged.
    The test file has a consensus of radiologists. Patients are not published, so each image counts
    as a patient of its own. Images are looked for below `train/` and `test/`, beside the file or
    one folder up.

    Raises:
        CxrlocError: a column is missing, a row (named) is not a box or of no known finding, or one
            radiologist marks an image with both `No finding` and a finding.
    """
    boxes: dict[str, list[Annotation]] = {}
    first_rows: dict[tuple[str, str], tuple[bool, str]] = {}
    for where, cells in rows_of(read_table(path, COLUMNS, optional=("rad_id",))):
        image_id = checked_id(where, image_id_of(cells["image_id"]))
        if not cells["class_name"]:
            raise CxrlocError(
                f"{where}: class_name is empty; an image without a box says No finding"
            )
        finding = known_finding(where, cells["class_name"])
        clear = finding == NO_FINDING
        reader = (image_id, cells.get("rad_id", ""))
        before, place = first_rows.setdefault(reader, (clear, where))
        if before != clear:
            raise CxrlocError(f"{where}: {image_id} has No finding and a finding; see {place}")
        image_boxes = boxes.setdefault(image_id, [])
        if not clear:
            corners = (number_in(where, name, cells[name]) for name in COLUMNS[2:])
            image_boxes.append(
                Annotation(image_id, finding, checked_box(where, *corners), where=where)
            )
    places = [up / part for up in (path.parent, path.parent.parent) for part in ("train", "test")]
    files = find_image_files_below(places)
    return [
        boxed_record(image_id, image_boxes, path=files.get(image_id))
        for image_id, image_boxes in boxes.items()
    ]
