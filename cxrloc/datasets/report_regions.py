"""Reads the regions of structured reports (PS3.16, TID 1500 Measurement Report)."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from pydicom import Dataset
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage

from cxrloc.datasets.reported_region import ReportedRegion, code_of_item, finding_of_item
from cxrloc.errors import CxrlocError
from cxrloc.findings import standard_finding
from cxrloc.images.dicom_values import numbers
from cxrloc.types import Box, Outline

REPORTS = (Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage)

# Concept names of content items (PS3.16, annex D), as (value, scheme).
_FINDING = ("121071", "DCM")
_FINDING_SITE = ("363698007", "SCT")
_COMMENT = ("121106", "DCM")
_MEASUREMENT_GROUP = ("125007", "DCM")
_PROBABILITY = ("122157", "DCM")
_PERCENT = ("%", "UCUM")
_CONTROL_POINTS = ("ControlPoints", "99CS3D")  # of a spline: OHIF writes them beside its outline

FEWEST_POINTS = {"POLYLINE": 4, "POLYGON": 4, "MULTIPOINT": 2, "CIRCLE": 2, "ELLIPSE": 4}
"""Points that a graphic needs to be a region (PS3.3, C.18.6.1.2).

A polyline of fewer points is a length or an angle, because the first point of a closed one is
repeated at its end.
"""

_FREE_TEXT = "CORNERSTONEFREETEXT"  # code value of a label that a reader typed in OHIF

_POINTS_AROUND = 64  # of the polygon that stands for a circle or an ellipse


class Drawing(NamedTuple):
    """A graphic of a report: the rectangle around it, and its outline if it is no rectangle."""

    box: Box
    outline: Outline | None


def regions_of_report(path: Path, dataset: Dataset) -> Iterator[ReportedRegion]:
    """The regions of a report, in the order of the file.

    Each measurement group with spatial coordinates, in the group itself or in one of its numbers,
    is a region. Groups with points, lengths and angles alone are passed over.

    Raises:
        CxrlocError: a group does not name a finding or an image, or a region has no area.
    """
    for group in _groups(dataset):
        graphics = [item for item in _items(group) if _is_region(item)]
        if not graphics:
            continue
        finding, probability = _finding_of(path, group), _probability_of(group)
        # The same box may be stored in the group and in its number; it counts as one region.
        yield from dict.fromkeys(
            ReportedRegion(
                _image_of(path, dataset, group, item),
                finding,
                *_drawing(path, item),
                probability=probability,
                where=str(path),
            )
            for item in graphics
        )


def _finding_of(path: Path, group: Dataset) -> str:
    """The finding of a measurement group.

    It is the code or the text of its Finding, or the text of a reader's label: OHIF stores labels
    as a comment, and older versions as a finding site.
    """
    items = {_concept(item): item for item in group.get("ContentSequence", ())}
    for concept in (_FINDING, _FINDING_SITE):
        for code in items.get(concept, Dataset()).get("ConceptCodeSequence", ()):
            is_named = concept == _FINDING or code_of_item(code)[0] == _FREE_TEXT
            if is_named and (finding := finding_of_item(code)):
                return finding
    for concept in (_FINDING, _COMMENT):
        if text := str(items.get(concept, Dataset()).get("TextValue", "")).strip():
            return standard_finding(text)
    raise CxrlocError(
        f"{path}: a measurement group with a region names no finding (121071, DCM), and no label"
    )


def _groups(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", ()):
        if _concept(child) == _MEASUREMENT_GROUP:
            yield child
        else:
            yield from _groups(child)


def _items(item: Dataset) -> Iterator[Dataset]:
    """Every content item below an item."""
    for child in item.get("ContentSequence", ()):
        yield child
        yield from _items(child)


def _concept(item: Dataset) -> tuple[str, str] | None:
    names = item.get("ConceptNameCodeSequence")
    return code_of_item(names[0]) if names else None


def _is_region(item: Dataset) -> bool:
    if item.get("ValueType") != "SCOORD" or _concept(item) == _CONTROL_POINTS:
        return False
    fewest = FEWEST_POINTS.get(str(item.get("GraphicType", "")))
    return fewest is not None and np.size(item.get("GraphicData") or ()) >= 2 * fewest


def _image_of(path: Path, dataset: Dataset, group: Dataset, coordinates: Dataset) -> str:
    """The image that coordinates were selected from (PS3.3, C.18.6).

    It is named by the coordinates, by themselves or by reference to an item elsewhere in the report
    (C.17.3.2.5), or by their group; else it is the only image that the report is about.
    """
    below = list(coordinates.get("ContentSequence", ()))
    referred = [
        _item_at(dataset, child.ReferencedContentItemIdentifier)
        for child in below
        if child.get("ReferencedContentItemIdentifier")
    ]
    for item in (*below, *referred, *group.get("ContentSequence", ())):
        if item.get("ReferencedSOPSequence"):
            return str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
    evidence = {
        str(image.ReferencedSOPInstanceUID)
        for study in dataset.get("CurrentRequestedProcedureEvidenceSequence", ())
        for series in study.get("ReferencedSeriesSequence", ())
        for image in series.get("ReferencedSOPSequence", ())
    }
    if len(evidence) != 1:
        raise CxrlocError(f"{path}: spatial coordinates name no image (0008,1199)")
    return evidence.pop()


def _item_at(dataset: Dataset, identifier: int | Sequence[int]) -> Dataset:
    """The content item of an identifier such as 1.2.3: the third item of the root's second one."""
    item = dataset
    for number in list(np.atleast_1d(identifier))[1:]:
        children = item.get("ContentSequence", ())
        item = children[number - 1] if 0 < number <= len(children) else Dataset()
    return item


def _drawing(path: Path, coordinates: Dataset) -> Drawing:
    """The graphic of any type, in pixels of the image (PS3.3, C.18.6.1.2)."""
    data = np.asarray(coordinates.GraphicData, dtype=float)
    if data.size % 2:
        raise CxrlocError(f"{path}: GraphicData (0070,0022) has {data.size} values, and not pairs")
    points = data.reshape(-1, 2)
    kind = coordinates.GraphicType
    if kind in ("CIRCLE", "ELLIPSE"):
        points = _around(points, kind)
    low, high = points.min(axis=0), points.max(axis=0)
    try:
        box = Box(float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    except ValueError as error:
        raise CxrlocError(f"{path}: {error}") from error
    if kind == "MULTIPOINT" or _is_rectangle(points):
        return Drawing(box, None)
    return Drawing(box, Outline((tuple((float(x), float(y)) for x, y in points),)))


def _is_rectangle(points: Float[np.ndarray, "point 2"]) -> bool:
    """Whether the polygon is the rectangle around itself: each side follows one axis."""
    corners = np.unique(points, axis=0)
    moves = np.diff(points, axis=0, append=points[:1])
    return len(corners) == 4 and not np.any(moves[:, 0] * moves[:, 1])


def _around(points: Float[np.ndarray, "point 2"], kind: str) -> Float[np.ndarray, "vertex 2"]:
    """Points around a circle (its centre and a point on it) or an ellipse (ends of both axes)."""
    if kind == "CIRCLE":
        centre = points[0]
        radius = np.hypot(*(points[1] - centre))
        axes = radius * np.eye(2)
    else:
        centre = points[:2].mean(axis=0)
        axes = np.stack([points[1] - points[0], points[3] - points[2]]) / 2
    # The extremes along x and y are among the points, so that the box around them is exact.
    extremes = np.arctan2(axes[1], axes[0])
    turns = np.linspace(0, 2 * np.pi, _POINTS_AROUND, endpoint=False)
    angles = np.sort(np.concatenate([turns, extremes, extremes + np.pi]) % (2 * np.pi))
    return centre + np.cos(angles)[:, None] * axes[0] + np.sin(angles)[:, None] * axes[1]


def _probability_of(group: Dataset) -> float | None:
    """The number that is derived as a probability (122157, DCM), or named so; None without one.

    A number in percent becomes a share; any other number stays as it is, even above 1.
    """
    for item in group.get("ContentSequence", ()):
        values = item.get("MeasuredValueSequence") if item.get("ValueType") == "NUM" else None
        if not values:
            continue
        value = numbers(values[0], "NumericValue")
        if len(value) != 1 or math.isnan(value[0]):
            continue
        derived = (child.get("ConceptCodeSequence", [Dataset()])[0] for child in _items(item))
        if _concept(item) == _PROBABILITY or any(
            code_of_item(code) == _PROBABILITY for code in derived
        ):
            units = values[0].get("MeasurementUnitsCodeSequence") or [Dataset()]
            return value[0] / 100 if code_of_item(units[0]) == _PERCENT else value[0]
    return None
