"""The (image, finding) pairs that are scored, with their truth, as arrays."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.findings import CHESTXRAY14
from cxrloc.inference.image_sets import ImageSet
from cxrloc.types import Box, Detection, Label, Mask, Outline, Record

Population = Literal["annotated", "labelled", "predicted", "all"]
"""Pairs whose heatmap gives boxes: with an expert box, with a positive image-level label, with a
probability above the operating point, or every image with every finding."""

POPULATIONS: tuple[Population, ...] = get_args(Population)


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPairs:
    """Images, findings and truth; the number of a pair is image * number of findings + finding.

    Attributes:
        population: how `scored` was chosen.
        findings: those with an annotated box, in the order of the vocabulary.
        image_ids: every image.
        patient: number of each image's patient.
        patients: how many there are.
        size: columns and rows of each image; 1 and 1 for all images if any size is unknown, which
            assumes that all images have the same size.
        truth: annotated boxes, in pixels of their image.
        truth_pair: the pair of each annotated box.
        scored: which pairs are scored.
        shapes: the polygons or mask drawn in each annotated box, None if only the box was drawn.
        ignored: regions where findings were not drawn one by one (COCO's `iscrowd`): a detected
            box there is neither right nor wrong.
        ignored_pair: the pair of each ignored region.
    """

    population: Population
    findings: tuple[str, ...]
    image_ids: tuple[str, ...]
    patient: Int[np.ndarray, " image"]
    patients: int
    size: Float[np.ndarray, "image 2"]
    truth: Float[np.ndarray, "box 4"]
    truth_pair: Int[np.ndarray, " box"]
    scored: Bool[np.ndarray, "image finding"]
    shapes: tuple[Outline | Mask | None, ...]
    ignored: Float[np.ndarray, "region 4"]
    ignored_pair: Int[np.ndarray, " region"]


@dataclass(frozen=True, slots=True, eq=False)
class PlacedBoxes:
    """Boxes of a model or a control, in pixels of their image, and their pairs.

    `score` holds the score of each box. It is None if any box has no score, as for the boxes of
    controls: then the boxes cannot be sorted.
    """

    boxes: Float[np.ndarray, "n 4"]
    pair: Int[np.ndarray, " n"]
    score: Float[np.ndarray, " n"] | None = None


def images_to_score(image_set: ImageSet, population: Population) -> ImageSet:
    """The images with an expert's box and, where they can give false positives, those without.

    An image without a box has no "annotated" pair. With the populations "predicted" and "all", the
    detected boxes on such an image are false positives, if experts looked at the image. Of
    ChestX-ray14, only the images with boxes count.
    """
    if image_set.boxed_throughout and population in ("predicted", "all"):
        return image_set
    records = [record for record in image_set.records if record.annotations]
    names = {record.image_id for record in records}
    images = [image for image in image_set.images if image.image_id in names]
    return image_set._replace(records=records, images=images)


def scored_pairs(
    records: Sequence[Record],
    population: Population = "annotated",
    predicted: Collection[tuple[str, str]] = (),
) -> ScoredPairs:
    """The pairs of a population on these images.

    Args:
        records: every image that counts; boxes in the pixels that detections have too
            (`datasets.records.annotations_in_image`).
        population: whose heatmaps give boxes.
        predicted: (image_id, finding) above the operating point, for "predicted".

    Raises:
        CxrlocError: no annotated box, or two records of one image.
    """
    truths = [(i, box) for i, record in enumerate(records) for box in record.annotations]
    regions = [(i, box) for i, record in enumerate(records) for box in record.ignored]
    if not truths:
        raise CxrlocError("none of the images has an annotated box: there is nothing to score")
    image_ids = tuple(record.image_id for record in records)
    if len(set(image_ids)) < len(image_ids):
        raise CxrlocError("two records have the same image: every image is scored once")
    named = {annotation.finding for _, annotation in truths}
    findings = (*(name for name in CHESTXRAY14 if name in named), *sorted(named - {*CHESTXRAY14}))
    column = {finding: index for index, finding in enumerate(findings)}
    truth_pair = np.array([i * len(findings) + column[box.finding] for i, box in truths])
    # A region counts only if its finding is drawn as a box somewhere in the data.
    regions = [(i, box) for i, box in regions if box.finding in column]
    patients = dict.fromkeys(record.patient_id for record in records)
    number = {name: index for index, name in enumerate(patients)}
    frames = [record.annotation_frame for record in records]
    sizes = [(frame[1], frame[0]) for frame in frames if frame is not None]
    known = len(sizes) == len(frames)
    return ScoredPairs(
        population=population,
        findings=findings,
        image_ids=image_ids,
        patient=np.array([number[record.patient_id] for record in records]),
        patients=len(number),
        size=np.array(sizes, dtype=float) if known else np.ones((len(records), 2)),
        truth=_corners([each.box for _, each in truths]),
        truth_pair=truth_pair,
        scored=_population(records, findings, population, truth_pair, predicted),
        shapes=tuple(annotation.shape for _, annotation in truths),
        ignored=_corners([each.box for _, each in regions]),
        ignored_pair=np.array(
            [i * len(findings) + column[r.finding] for i, r in regions], dtype=int
        ),
    )


def check_labels(records: Sequence[Record], population: Population) -> None:
    """Raise an error for the population "labelled" if the data is a list of boxes without labels.

    Raises:
        UsageError: there are no other labels.
    """
    if population == "labelled" and all(
        record.labels.keys() <= {each.finding for each in record.annotations} for record in records
    ):
        raise UsageError(
            "--boxes-for labelled: the data has no image-level labels beside its boxes, so these "
            "would be the pairs of --boxes-for annotated"
        )


def place_detections(
    pairs: ScoredPairs, detections: Sequence[Detection]
) -> tuple[PlacedBoxes, int]:
    """The detections on scored pairs, and the number of all others, which are not counted."""
    row = {image_id: index for index, image_id in enumerate(pairs.image_ids)}
    column = {finding: index for index, finding in enumerate(pairs.findings)}
    placed = [
        (row[claim.image_id] * len(column) + column[claim.finding], claim)
        for claim in detections
        if claim.image_id in row
        and claim.finding in column
        and pairs.scored[row[claim.image_id], column[claim.finding]]
    ]
    scores = [claim.score for _, claim in placed if claim.score is not None]
    claims = PlacedBoxes(
        boxes=_corners([claim.box for _, claim in placed]),
        pair=np.array([pair for pair, _ in placed], dtype=int),
        score=np.array(scores, dtype=float) if len(scores) == len(placed) else None,
    )
    return claims, len(detections) - len(placed)


def place_of(
    pairs: ScoredPairs, pair: Int[np.ndarray, " n"]
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Indices of the patient and of the finding of each pair."""
    image, finding = np.divmod(pair, len(pairs.findings))
    return pairs.patient[image], finding


def sums_by_patient(
    pairs: ScoredPairs,
    pair: Int[np.ndarray, " n"],
    values: Float[np.ndarray, "n *value"] | None = None,  # noqa: F821 (a shape)
) -> Float[np.ndarray, "patient finding *value"]:
    """The number of these pairs by patient and finding, or the sum of their values."""
    patient, finding = place_of(pairs, pair)
    shape = (pairs.patients, len(pairs.findings))
    if values is None:
        cell = patient * shape[1] + finding
        return np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape).astype(float)
    sums = np.zeros((*shape, *values.shape[1:]))
    np.add.at(sums, (patient, finding), values)
    return sums


def only_images(
    pairs: ScoredPairs, claims: PlacedBoxes, images: Bool[np.ndarray, " image"]
) -> tuple[ScoredPairs, PlacedBoxes]:
    """Truth, scored pairs and boxes of some of the images; pairs keep their numbers."""
    truth = images[pairs.truth_pair // len(pairs.findings)]
    region = images[pairs.ignored_pair // len(pairs.findings)]
    claim = images[claims.pair // len(pairs.findings)]
    score = None if claims.score is None else claims.score[claim]
    chosen = replace(
        pairs,
        truth=pairs.truth[truth],
        truth_pair=pairs.truth_pair[truth],
        scored=pairs.scored & images[:, None],
        shapes=tuple(pairs.shapes[index] for index in np.flatnonzero(truth)),
        ignored=pairs.ignored[region],
        ignored_pair=pairs.ignored_pair[region],
    )
    return chosen, PlacedBoxes(claims.boxes[claim], claims.pair[claim], score)


def image_sizes(pairs: ScoredPairs, pair: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n 4"]:
    """Columns, rows, columns, rows of the images of these pairs: box / size is a share."""
    return np.tile(pairs.size[pair // len(pairs.findings)], 2)


def _corners(boxes: Sequence[Box]) -> Float[np.ndarray, "n 4"]:
    corners = [(box.x_min, box.y_min, box.x_max, box.y_max) for box in boxes]
    return np.array(corners, dtype=float).reshape(-1, 4)


def _population(
    records: Sequence[Record],
    findings: Sequence[str],
    population: Population,
    truth_pair: Int[np.ndarray, " box"],
    predicted: Collection[tuple[str, str]],
) -> Bool[np.ndarray, "image finding"]:
    """Which pairs of image and finding belong to a population."""
    if population == "annotated":
        scored = np.zeros(len(records) * len(findings), dtype=bool)
        scored[truth_pair] = True
        return scored.reshape(len(records), len(findings))
    if population == "all":
        return np.ones((len(records), len(findings)), dtype=bool)
    if population == "labelled":
        chosen = [[r.labels.get(name) is Label.POSITIVE for name in findings] for r in records]
    else:
        above = set(predicted)
        chosen = [[(record.image_id, name) in above for name in findings] for record in records]
    return np.array(chosen, dtype=bool)
