"""The nouns that rooms hand to each other: frozen values, no methods that do work.

A file becomes a `Radiograph`, a tensor, `Heatmaps`, `Box`es and at last a report.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path

import numpy as np
from jaxtyping import Float

LONGEST_MESSAGE = 600


class CxrlocError(Exception):
    r"""An input that cannot be used: the message names file, tag or row, and the rule it breaks.

    The command line prints it on one line and goes on with the other inputs. The text is one line
    of at most `LONGEST_MESSAGE` characters and without control characters, whatever is in the names
    and values that it quotes.

    >>> str(CxrlocError("a name\nof two lines\x1b[2J: no image"))
    'a name of two lines\\x1b[2J: no image'
    """

    def __str__(self) -> str:
        line = " ".join(super().__str__().split())
        if not line.isprintable():
            line = "".join(
                character if character.isprintable() else ascii(character)[1:-1]
                for character in line[:LONGEST_MESSAGE]
            )
        return line if len(line) <= LONGEST_MESSAGE else f"{line[: LONGEST_MESSAGE - 3]}..."


class UsageError(CxrlocError):
    """An option that names nothing that exists; the message says what may be named."""


class View(StrEnum):
    """Projection of a chest radiograph (DICOM View Position, 0018,5101).

    FRONTAL stands for an image that is PA or AP, where its data set does not say which.
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
    """What a report says of a finding, in CheXpert's coding; an absent key is "not mentioned"."""

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
    """Grey levels of one image, larger is brighter, and what its file says about it.

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
        read_stored: gives a DICOM's stored values over 4095 (12 bits), clipped to [0, 1], larger
            is brighter, without window; None for other files.
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
    read_stored: Callable[[], Float[np.ndarray, "row col"]] | None = None


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
    """Truth drawn as polygons in original pixels, each a ring of (x, y); overlaps count once."""

    polygons: tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True, slots=True)
class Mask:
    """Truth drawn pixel by pixel over the whole image; a copy of another size has the same mask.

    Attributes:
        rows: height of the mask; its pixels are spread evenly over the image.
        columns: width of the mask.
        runs: lengths of runs outside, inside, outside, ... of the finding, down each column, from
            the left column to the right one (COCO's order); what is left at the end is outside.
    """

    rows: int
    columns: int
    runs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Annotation:
    """Truth: an expert drew this box for this finding, or a shape that the box encloses.

    `where` says where it was read ("boxes.csv, row 7"), for messages; it plays no part in
    comparisons.
    """

    image_id: str
    finding: str
    box: Box
    shape: Outline | Mask | None = None
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Detection:
    """A claim: a heatmap gave this box at this threshold (0 to 255), with this score.

    A box of another tool has no threshold (None), and perhaps no score: such boxes cannot be put
    in order, so metrics that need an order are not defined.
    """

    image_id: str
    finding: str
    box: Box
    threshold: float | None
    score: float | None


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a data set; its pixels are not read yet.

    Attributes:
        image_id: the file's stem, unique in the data set.
        patient_id: the unit of every split and of every bootstrap.
        study_id: images taken together; the image_id where a data set has no studies.
        path: the image file, None where it is not on this disk.
        view: projection, None where unknown.
        age_years: patient's age; None where missing.
        sex: patient's sex; None where missing.
        labels: image-level label per finding; an absent finding was not mentioned.
        annotations: the expert's boxes.
        annotation_frame: rows and columns of the image that the boxes were drawn on; a copy of
            another size has other coordinates. None where no file says it.
        labelled: False where the label table has no row for this image or its study: then nothing
            is known of any finding, which is not the same as "not mentioned".
        ignored: regions in which a finding was not drawn one by one (COCO's `iscrowd`): boxes
            found there are neither right nor wrong.
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
    ignored: tuple[Annotation, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Heatmaps:
    """Raw score maps of several findings on one image, at the resolution of the features.

    The map of finding number k is `scores[k]`.

    Attributes:
        image_id: the image.
        findings: the findings, in the order of the maps; none stands twice.
        scores: unscaled; a larger score speaks more for the finding.
        to_image: grid coordinates (the cell in row i and column j covers [j, j+1) x [i, i+1)) to
            coordinates of the original image.
        image_rows: height of the original image in pixels.
        image_columns: width of the original image in pixels.
    """

    image_id: str
    findings: tuple[str, ...]
    scores: Float[np.ndarray, "finding row col"]
    to_image: Affine
    image_rows: int
    image_columns: int


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Probabilities of a classifier: the only input of ranking, agreement and ensembles."""

    image_ids: tuple[str, ...]
    findings: tuple[str, ...]
    probabilities: Float[np.ndarray, "image finding"]


@dataclass(frozen=True, slots=True)
class MatchRule:
    """When a detection is correct: its overlap with the truth is above (strictly) the threshold.

    Attributes:
        criterion: "iobb" (intersection over the detected box), "iou", or another name of
            `evaluation.localization.overlap.OVERLAPS`.
        threshold: in [0, 1).
    """

    criterion: str
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One number with its interval, and how it was made: the only carrier of results.

    Every table, CSV file and page of results is a view of a list of these. A field that a table
    does not need keeps its default.

    Attributes:
        metric: what the number is, such as "accuracy" or "auc".
        finding: the finding; "mean" for a mean over `averaged`; "all findings" where an image
            counts once for all of its findings.
        value: the number; None where it is not defined, and `note` says why.
        low: lower end of its interval; None where it has none.
        high: upper end of its interval.
        subject: whose number it is: empty for what is judged, or the name of a control, of a run,
            of a layer; "B - A" for a paired difference.
        group: "all", or the part of the images that it comes from: "view PA", "age 18-39".
        match: when a box counts as found, such as "iou > 0.5"; empty where no box is asked for.
        at: the metric's own parameter: an overlap, a tolerance in pixels, a rate; None for none.
        n: units (patients, images, studies or pairs) that it comes from.
        positives: those of them with the finding; None where this is not counted.
        numerator: what was divided, where it is a count; None where it is not.
        divisor: what it was divided by.
        divided_by: the divisor in words.
        threshold: of a decision: an operating point, a grey level (0 to 255) or a box's score.
        chosen_on: the patients that the threshold was chosen on, in words.
        averaged: the findings that a mean is over; empty for other numbers.
        note: what a reader must know of this number.
    """

    metric: str
    finding: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    subject: str = ""
    group: str = "all"
    match: str = ""
    at: float | None = None
    n: int = 0
    positives: int | None = None
    numerator: float | None = None
    divisor: float = 0
    divided_by: str = ""
    threshold: float | None = None
    chosen_on: str = ""
    averaged: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class ClassificationReport:
    """Numbers of a classifier on one set of units, and how they were made.

    Attributes:
        unit: "image", "study" or "patient".
        aggregation: how a unit's score came from its images: "max" or "mean".
        findings: findings scored.
        units: units scored.
        patients: patients scored, the unit of the bootstrap.
        resamples: bootstrap resamples behind each interval.
        seed: of the bootstrap.
        level: coverage of the intervals.
        measurements: every number, each with its counts and divisor.
        list_threshold: a unit's list holds the findings with a score above it; None: no lists.
        remarks: what a reader must know of every number, such as that patients leaked.
    """

    unit: str
    aggregation: str
    findings: tuple[str, ...]
    units: int
    patients: int
    resamples: int
    seed: int
    level: float
    measurements: tuple[Measurement, ...]
    list_threshold: float | None = None
    remarks: tuple[str, ...] = ()
