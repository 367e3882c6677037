"""Boxes in structured reports and segmentations of any tool: claims of a model, or truth."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from cxrloc.datasets.box_folders import Drawn
from cxrloc.datasets.report_regions import REPORTS, regions_of_report
from cxrloc.datasets.reported_region import ReportedRegion
from cxrloc.datasets.segmentation_regions import SEGMENTATIONS, regions_of_segmentation
from cxrloc.errors import CxrlocError
from cxrloc.findings import spelled_as
from cxrloc.images.dicom import recorded_warnings
from cxrloc.images.dicom_file import PARSING_ERRORS
from cxrloc.images.folders import files_below
from cxrloc.images.formats import open_regular
from cxrloc.images.size import image_size
from cxrloc.images.study import read_study
from cxrloc.types import Annotation, Box, Detection, Mask, Record

log = logging.getLogger(__name__)


def object_files(path: Path) -> list[Path]:
    """The reports and segmentations below a folder, sorted; or the path itself, if it is DICOM.

    Files are recognised by their content, because archives often export them without a suffix.
    """
    if path.is_dir():
        return sorted(each for each in files_below(path) if _kind(each) in REPORTS + SEGMENTATIONS)
    return [path] if _is_dicom(path) else []


def detections_in_objects(path: Path, records: Sequence[Record]) -> list[Detection]:
    """The boxes of a report or segmentation, or of all those below a folder, as detections.

    A probability is the score as it stands; if one lies outside 0 to 1, a warning says so.

    Args:
        path: a DICOM object, or a folder.
        records: the images; a region of another image keeps its UID as `image_id`.

    Raises:
        CxrlocError: a file is no such object or breaks a rule of `read_regions`, or the folder
            holds none with a region.
    """
    files = {each.image_id: each.path for each in records if each.path is not None}
    images, size_of = _image_ids(files), cache(_size_or_none)
    detections = []
    for region in _regions_below(path):
        image_id = images.get(region.sop_instance_uid, region.sop_instance_uid)
        box = region.box
        if image_id in files and isinstance(region.shape, Mask):
            box = _box_in_image(box, region.shape, size_of(files[image_id]))
        detections.append(Detection(image_id, region.finding, box, None, region.probability))
    scores = [each.score for each in detections if each.score is not None]
    if outside := [score for score in scores if not 0 <= score <= 1]:
        log.warning(
            "%s: %d of %d probabilities (122157, DCM) lie outside 0 to 1, such as %g; they count "
            "as scores as they are",
            *(path, len(outside), len(scores), outside[0]),
        )
    return detections


def annotations_in_objects(
    path: Path, files: Mapping[str, Path], declared: Iterable[str] = ()
) -> dict[str, Drawn]:
    """The regions of reports or segmentations as truth, by image.

    This is how annotations out of a viewer become truth. If several readers wrote objects about an
    image, the regions of all of them count.

    Args:
        path: a DICOM object, or a folder.
        files: the images by id; a region of another image stands under its UID.
        declared: findings beside the known ones, by spelling.

    Raises:
        CxrlocError: a file is no such object or breaks a rule of `read_regions`, the folder holds
            none with a region, or two segmentations of an image differ in size.
    """
    images, declared_names = _image_ids(files), list(declared)
    drawn: dict[str, Drawn] = {}
    for region in _regions_below(path):
        image_id = images.get(region.sop_instance_uid, region.sop_instance_uid)
        shape = region.shape
        frame = (shape.rows, shape.columns) if isinstance(shape, Mask) else None
        found = drawn.setdefault(image_id, Drawn([], frame))
        if found.frame != frame:
            raise CxrlocError(
                f"{region.where}: a mask of {frame} pixels; another mask of the image has "
                f"{found.frame}"
            )
        finding = spelled_as(region.finding, declared_names)
        found.annotations.append(Annotation(image_id, finding, region.box, shape, region.where))
    return drawn


def read_regions(path: Path) -> list[ReportedRegion]:
    """The image regions of a TID 1500 report, or of a segmentation, in the order of the file.

    Raises:
        CxrlocError: the file is neither a report nor a segmentation; see also `regions_of_report`
            and `regions_of_segmentation`.
    """
    try:
        with recorded_warnings(), open_regular(path) as file:
            dataset = pydicom.dcmread(file)
            if dataset.get("SOPClassUID") in REPORTS:
                return list(regions_of_report(path, dataset))
            if dataset.get("SOPClassUID") in SEGMENTATIONS:
                return list(regions_of_segmentation(path, dataset))
    except (*PARSING_ERRORS, RuntimeError) as error:
        # Other errors may quote the header.
        quotes_no_header = isinstance(error, OSError | InvalidDicomError)
        reason = error if quotes_no_header else type(error).__name__
        raise CxrlocError(f"{path}: cannot be read as DICOM ({reason})") from error
    raise CxrlocError(
        f"{path}: a {dataset.get('Modality') or 'DICOM'} object holds no regions: give a "
        "structured report (SR) or a segmentation (SEG)"
    )


def _regions_below(path: Path) -> list[ReportedRegion]:
    """The regions of one object, or of those in a folder.

    In a folder, segmentations count only if no report has a region, because one tool often writes
    the same regions in both ways. Fractional segmentations are passed over there.
    """
    if not path.is_dir():
        return read_regions(path)
    files = object_files(path)
    for kinds in (REPORTS, SEGMENTATIONS):
        chosen = [file for file in files if _kind(file) in kinds and not _is_fractional(file)]
        if found := [region for file in chosen for region in read_regions(file)]:
            return found
    raise CxrlocError(f"{path}: no structured report (SR) or segmentation (SEG) with a region")


def _size_or_none(file: Path) -> tuple[int, int] | None:
    """Rows and columns of an image; None, with a warning, where they cannot be read."""
    try:
        return image_size(file)
    except CxrlocError as error:
        log.warning("%s; the boxes of its masks stay in pixels of the masks", error)
        return None


def _box_in_image(box: Box, mask: Mask, size: tuple[int, int] | None) -> Box:
    """The box in pixels of the image; its mask may have other numbers of rows and columns."""
    if size is None:
        return box
    rows, columns = size
    across, down = columns / mask.columns, rows / mask.rows
    return Box(box.x_min * across, box.y_min * down, box.x_max * across, box.y_max * down)


def _image_ids(files: Mapping[str, Path]) -> dict[str, str]:
    """Image ids by SOP Instance UID, which the headers of the images tell."""
    found = {read_study(path).image_uid: image_id for image_id, path in files.items()}
    found.pop("", None)  # of a PNG file
    return found


def _is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do (PS3.10, section 7.1)."""
    try:
        with open_regular(path) as file:
            return file.read(132)[128:] == b"DICM"
    except (CxrlocError, OSError):
        return False


def _kind(path: Path) -> str:
    """SOP Class UID (0008,0016); empty for a file that is no DICOM object."""
    return _attribute(path, "SOPClassUID") if _is_dicom(path) else ""


def _is_fractional(path: Path) -> bool:
    return _attribute(path, "SegmentationType") == "FRACTIONAL"


def _attribute(path: Path, keyword: str) -> str:
    try:
        header = pydicom.dcmread(path, specific_tags=[keyword], stop_before_pixels=True)
    except (OSError, InvalidDicomError):
        return ""
    return str(header.get(keyword, ""))
