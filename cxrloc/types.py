"""The data types that the packages of cxrloc exchange: frozen dataclasses without processing code.

A file is read into a `Radiograph`, which becomes a tensor, then `Heatmaps`, then `Box`es, and
finally a report.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    import PIL.Image


def shown(function: str, *results: Any) -> Any:
    """Call a function of `panels/shown.py`, which draws results and makes tables of them."""
    # The one import against the order of the rooms: `panels` imports this module.
    from cxrloc.panels import shown as drawing

    return getattr(drawing, function)(*results)


class View(StrEnum):
    """Projection of a chest radiograph (DICOM View Position, 0018,5101).

    FRONTAL means that the image is PA or AP and that its data set does not say which of the two.
    """

    PA = "PA"
    AP = "AP"
    LATERAL = "LATERAL"
    FRONTAL = "FRONTAL"


class Sex(StrEnum):
    """Patient's sex as data sets and DICOM (0010,0040) record it."""

    FEMALE = "F"
    MALE = "M"


class Label(IntEnum):
    """What a report says about a finding, in CheXpert's coding.

    A finding that has no label in a mapping was not mentioned in the report.
    """

    POSITIVE = 1
    NEGATIVE = 0
    UNCERTAIN = -1


@dataclass(frozen=True, slots=True)
class Affine:
    """A map of the plane, `x' = xx x + xy y + x0` and `y' = yx x + yy y + y0`.

    Coordinates are continuous: the pixel in row r and column c covers [c, c+1) x [r, r+1), so its
    centre is (c + 0.5, r + 0.5) and an image of C columns spans x from 0 to C.
    """

    xx: float = 1.0
    xy: float = 0.0
    x0: float = 0.0
    yx: float = 0.0
    yy: float = 1.0
    y0: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Radiograph:
    """Grey levels of one image and what its file says about it; larger values are brighter.

    Attributes:
        pixels: grey levels in [0, 1] as float32, with at least the depth that was stored.
        bits_stored: significant bits per stored pixel (DICOM 0028,0101; 8 or 16 for PNG, JPEG).
        spacing_mm: distance between pixel centres, (row, column); None where missing or 0.
        view: projection, None where unknown.
        age_years: patient's age; None where missing.
        sex: patient's sex; None where missing or other.
        patient_orientation: directions of rows and columns (DICOM 0020,0020), empty if missing.
        laterality: "L", "R" or empty (DICOM 0020,0062 or 0020,0060).
        photometric_interpretation: as read (0028,0004), before any inversion.
        intensity: how stored values became grey levels, in words.
        file_format: "DICOM", "PNG" or "JPEG".
        warnings: what a reader of any result should know.
        not_a_chest: those of the warnings by which the header contradicts that this is a chest
            radiograph, such as the modality CT.
        read_stored: function that returns the stored values of a DICOM file divided by 4095
            (12 bits) and clipped to [0, 1], without a window; larger values are brighter. None for
            other files.
    """

    pixels: Float[np.ndarray, "row col"]
    bits_stored: int
    spacing_mm: tuple[float, float] | None = None
    view: View | None = None
    age_years: float | None = None
    sex: Sex | None = None
    patient_orientation: tuple[str, ...] = ()
    laterality: str = ""
    photometric_interpretation: str = "MONOCHROME2"
    intensity: str = ""
    file_format: str = ""
    warnings: tuple[str, ...] = ()
    not_a_chest: tuple[str, ...] = ()
    read_stored: Callable[[], Float[np.ndarray, "row col"]] | None = None

    def __repr__(self) -> str:
        rows, columns = self.pixels.shape
        details = (self.file_format, self.view and self.view.value, *self.warnings)
        words = "".join(f", {word}" for word in details if word)
        return f"Radiograph({rows} x {columns} pixels, {self.bits_stored} bits{words})"

    def plot(self, boxes: "Iterable[Annotation | Detection]" = ()) -> "PIL.Image.Image":
        """The radiograph as a picture, with boxes on it."""
        return shown("radiograph_picture", self, boxes)

    def _repr_png_(self) -> bytes:
        return shown("png", self.plot())


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in original pixels: x right, y down, half-open, area above 0.

    Raises:
        ValueError: a coordinate is not finite, or the area is not positive.

    >>> Box(x_min=2.0, y_min=1.0, x_max=5.0, y_max=3.0)
    Box(x_min=2.0, y_min=1.0, x_max=5.0, y_max=3.0)
    """

    x_min: float
    y_min: float
    x_max: float
    y_max: float

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.x_min, self.y_min, self.x_max, self.y_max))):
            raise ValueError(f"a box needs finite coordinates, got {self}")
        if not (self.x_min < self.x_max and self.y_min < self.y_max):
            raise ValueError(f"a box needs x_min < x_max and y_min < y_max, got {self}")


@dataclass(frozen=True, slots=True)
class Outline:
    """A true region as polygons in original pixels; each polygon is a ring of (x, y) points.

    Where polygons overlap, the common area counts once.
    """

    polygons: tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True, slots=True)
class Mask:
    """A true region as a binary mask over the whole image.

    The mask has its own size, so it also fits copies of the image that were resized.

    Attributes:
        rows: height of the mask; its pixels are spread evenly over the image.
        columns: width of the mask.
        runs: run lengths, alternately outside and inside the finding and starting outside. They
            go down each column, from the left column to the right one (COCO's order). Pixels after
            the last run are outside.
    """

    rows: int
    columns: int
    runs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Annotation:
    """A true box: an expert drew it for this finding, or drew a shape that the box encloses.

    `where` is the place that the annotation was read from ("boxes.csv, row 7"), for error messages;
    comparisons of annotations ignore it.
    """

    image_id: str
    finding: str
    box: Box
    shape: Outline | Mask | None = None
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Detection:
    """A predicted box: a heatmap gave it at this threshold (0 to 255) and with this score.

    A box from another tool has no threshold (None) and may have no score. Boxes without a score
    cannot be ranked, so metrics that need a ranking are not defined for them.
    """

    image_id: str
    finding: str
    box: Box
    threshold: float | None
    score: float | None


@dataclass(frozen=True, slots=True)
class Record:
    """One image of a data set with its labels and annotations; its pixels are not read yet.

    Attributes:
        image_id: the file's stem, unique in the data set.
        patient_id: the patient, who is the unit of every split and of every bootstrap.
        study_id: the study, which groups images taken together; equal to the image_id where a data
            set has no studies.
        path: the image file, None where it is not on this disk.
        view: projection, None where unknown.
        age_years: patient's age; None where missing.
        sex: patient's sex; None where missing.
        labels: image-level label per finding; an absent finding was not mentioned.
        annotations: the expert's boxes.
        annotation_frame: rows and columns of the image that the boxes were drawn on, because boxes
            do not fit a resized copy of that image. None where no file gives the size.
        labelled: False where the label table has no row for this image or its study. Then nothing
            is known about any finding, which is not the same as "not mentioned".
        vocabulary: the findings that its labels can name. One of these without a label counts as
            absent; of any other finding nothing is known. None: labels can name every finding.
        ignored: regions in which the single lesions of a finding were not drawn separately (COCO's
            `iscrowd`); boxes detected there count as neither right nor wrong.
        warnings: what a reader of any result on this record should know, one sentence each.
    """

    image_id: str
    patient_id: str
    study_id: str
    path: Path | None
    view: View | None = None
    age_years: float | None = None
    sex: Sex | None = None
    labels: Mapping[str, Label] = field(default_factory=dict)
    annotations: tuple[Annotation, ...] = ()
    annotation_frame: tuple[int, int] | None = None
    labelled: bool = True
    vocabulary: frozenset[str] | None = None
    ignored: tuple[Annotation, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Heatmaps:
    """Raw score maps of several findings on one image, at the resolution of the features.

    The map of finding number k is `scores[k]`.

    Attributes:
        image_id: the image.
        findings: the findings, in the order of the maps, each named once.
        scores: the raw maps, not scaled; a larger score is stronger evidence for the finding.
        to_image: map from grid coordinates (the cell in row i and column j covers
            [j, j+1) x [i, i+1)) to coordinates of the original image.
        image_rows: height of the original image in pixels.
        image_columns: width of the original image in pixels.
    """

    image_id: str
    findings: tuple[str, ...]
    scores: Float[np.ndarray, "finding row col"]
    to_image: Affine
    image_rows: int
    image_columns: int

    def __repr__(self) -> str:
        _, rows, columns = self.scores.shape
        return (
            f"Heatmaps({self.image_id!r}, {', '.join(self.findings)}; {rows} x {columns} cells, "
            f"image {self.image_rows} x {self.image_columns})"
        )

    def plot(
        self, radiograph: Radiograph | None = None, findings: Sequence[str] = ()
    ) -> "PIL.Image.Image":
        """A panel for each map, over the radiograph if it is given; all findings by default."""
        return shown("heatmaps_picture", self, radiograph, findings)

    def _repr_png_(self) -> bytes:
        return shown("png", self.plot())


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Probabilities of a classifier: the only input of ranking, agreement and ensembles."""

    image_ids: tuple[str, ...]
    findings: tuple[str, ...]
    probabilities: Float[np.ndarray, "image finding"]
