"""VinDr-CXR (Nguyen et al. 2022): boxes of radiologists, `annotations_train.csv` or `_test.csv`."""

from pathlib import Path

from cxrloc.datasets.annotation_rows import annotation_rows, numbers
from cxrloc.datasets.image_files import find_image_files_below, image_id_of
from cxrloc.datasets.records import boxed_record, checked_box
from cxrloc.findings import standard_finding
from cxrloc.types import Annotation, Record

COLUMNS = ("image_id", "class_name", "x_min", "y_min", "x_max", "y_max")


def read_vindr_cxr(path: Path) -> list[Record]:
    """One record per image of an annotation file; its boxes are in pixels of the DICOM image.

    Rows `No finding` have no box; their images are kept. The training file has the boxes of
    three radiologists on each image (`rad_id`, which is not needed): all are kept, none merged.
    The test file has their consensus. No patients are published, so each image counts as one.
    Images are looked for below `train/` and `test/`, beside the file or one folder up.

    Raises:
        CxrlocError: a column is missing, or a row (named) is not a box.
    """
    boxes: dict[str, list[Annotation]] = {}
    for where, cells in annotation_rows(path, COLUMNS):
        image_id = image_id_of(cells["image_id"])
        own = boxes.setdefault(image_id, [])
        if cells["class_name"].lower() != "no finding":
            box = checked_box(where, *numbers(where, cells, COLUMNS[2:]))
            own.append(Annotation(image_id, standard_finding(cells["class_name"]), box))
    places = [up / part for up in (path.parent, path.parent.parent) for part in ("train", "test")]
    files = find_image_files_below(places)
    return [
        boxed_record(image_id, own, path=files.get(image_id)) for image_id, own in boxes.items()
    ]
