"""Average precision of detections agrees with pycocotools, the oracle."""

import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cxrloc.evaluation.localization.detection_ap import (
    COCO_THRESHOLDS,
    MOST_DETECTIONS,
    detection_average_precision,
    match_detections,
)
from cxrloc.evaluation.localization.scored_pairs import (
    PlacedBoxes,
    ScoredPairs,
    place_of,
    sums_by_patient,
)
from tests.evaluation.localization.drawn_truth import random_claims

FINDINGS = ("Effusion", "Mass")


def coco_precision(
    pairs: ScoredPairs, claims: PlacedBoxes, thresholds: tuple[float, ...]
) -> np.ndarray:
    """AP by IoU threshold and finding."""
    assert claims.score is not None
    findings = len(pairs.findings)

    def entry(number: int, pair: int, box: np.ndarray, crowd: int = 0) -> dict[str, object]:
        x, y, x_max, y_max = box.tolist()
        return {
            "id": number + 1,
            "image_id": pair // findings,
            "category_id": pair % findings,
            "bbox": [x, y, x_max - x, y_max - y],
            "area": (x_max - x) * (y_max - y),
            "iscrowd": crowd,
        }

    truths = [
        entry(k, int(pair), box)
        for k, (pair, box) in enumerate(zip(pairs.truth_pair, pairs.truth, strict=True))
    ]
    truths += [
        entry(len(truths) + k, int(pair), box, crowd=1)
        for k, (pair, box) in enumerate(zip(pairs.ignored_pair, pairs.ignored, strict=True))
    ]
    calls = [
        entry(k, int(pair), box) | {"score": score}
        for k, (pair, box, score) in enumerate(
            zip(claims.pair, claims.boxes, claims.score.tolist(), strict=True)
        )
    ]
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": i} for i in range(len(pairs.image_ids))],
        "categories": [{"id": i} for i in range(findings)],
        "annotations": truths,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(calls), "bbox")
        evaluation.params.iouThrs = np.array(thresholds)
        evaluation.evaluate()
        evaluation.accumulate()
    # threshold recall category area detections
    return np.asarray(evaluation.eval["precision"][:, :, :, 0, 2].mean(axis=1))


def own_precision(
    pairs: ScoredPairs,
    claims: PlacedBoxes,
    thresholds: tuple[float, ...],
    weights: np.ndarray | None = None,
) -> np.ndarray:
    matches = match_detections(pairs, claims, thresholds)
    patient, finding = place_of(pairs, matches.pair)
    boxes = sums_by_patient(pairs, pairs.truth_pair)
    columns = [
        detection_average_precision(
            matches.matched[:, finding == column],
            patient[finding == column],
            boxes[:, column],
            np.ones((pairs.patients, 1)) if weights is None else weights,
            matches.left_out[:, finding == column],
        )[:, 0]
        for column in range(len(pairs.findings))
    ]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("regions", [False, True], ids=["boxes", "boxes and crowds"])
@pytest.mark.parametrize("seed", range(6))
def test_average_precision_is_coco_s(seed: int, regions: bool) -> None:
    pairs, claims = random_claims(12, FINDINGS, seed, regions=regions)
    assert match_detections(pairs, claims, [0.5]).left_out.any() == regions
    thresholds = (0.3, *COCO_THRESHOLDS)
    np.testing.assert_allclose(
        own_precision(pairs, claims, thresholds),
        coco_precision(pairs, claims, thresholds),
        atol=1e-12,
    )


def test_of_very_many_detections_on_an_image_the_highest_hundred_count() -> None:
    pairs, _ = random_claims(1, ("Mass",), seed=0)
    n = MOST_DETECTIONS + 20
    boxes = np.repeat([[60.0, 60.0, 80.0, 80.0]], n, axis=0)
    boxes[-1] = pairs.truth[0]
    claims = PlacedBoxes(boxes, np.zeros(n, dtype=int), np.linspace(1, 0.1, n))
    assert own_precision(pairs, claims, (0.5,)) == coco_precision(pairs, claims, (0.5,)) == 0.0


def test_a_patient_without_weight_might_as_well_not_be_there() -> None:
    pairs, claims = random_claims(8, FINDINGS, seed=1)
    weights = np.ones((pairs.patients, 1))
    weights[0] = 0.0  # images 0 and 1
    kept = claims.pair >= 2 * len(FINDINGS)
    assert claims.score is not None
    rest = PlacedBoxes(claims.boxes[kept], claims.pair[kept], claims.score[kept])
    there = pairs.truth_pair >= 2 * len(FINDINGS)
    other = replace(
        pairs,
        truth=pairs.truth[there],
        truth_pair=pairs.truth_pair[there],
        shapes=(None,) * int(there.sum()),
    )
    np.testing.assert_allclose(
        own_precision(pairs, claims, (0.5,), weights), coco_precision(other, rest, (0.5,))
    )


def test_no_detections_have_no_precision() -> None:
    pairs, _ = random_claims(3, FINDINGS, seed=0)
    nothing = PlacedBoxes(np.empty((0, 4)), np.empty(0, dtype=int), np.empty(0))
    assert not own_precision(pairs, nothing, (0.5,)).any()
