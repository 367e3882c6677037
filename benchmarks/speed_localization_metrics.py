"""How long the metrics take: `python benchmarks/speed_localization_metrics.py CHESTXRAY14_FOLDER`.

Prints a Markdown table: all metrics of one map per expert box of the folder with 1,000 bootstrap
samples, and COCO's AP (ten IoU thresholds) beside pycocotools, equal to 1e-12, in the same run.
"""

import argparse
import contextlib
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cxrloc.datasets import read_dataset
from cxrloc.evaluation.localization.detection_ap import (
    COCO_THRESHOLDS,
    detection_average_precision,
    match_detections,
)
from cxrloc.evaluation.localization.metrics import score_metrics
from cxrloc.evaluation.localization.placed_run import ScoringProtocol, place_run
from cxrloc.evaluation.localization.scored_pairs import (
    PlacedBoxes,
    ScoredPairs,
    place_detections,
    place_of,
    scored_pairs,
    sums_by_patient,
)
from cxrloc.localization.boxes import detections_from_heatmaps
from cxrloc.types import Affine, Heatmaps, Record

GRID, REPEATS = 16, 5


def peaked_heatmaps(records: list[Record]) -> list[Heatmaps]:
    """A noisy peak on each annotated box."""
    generator = np.random.default_rng(0)
    centres, to_image = np.arange(GRID) + 0.5, Affine(xx=1024 / GRID, yy=1024 / GRID)
    heatmaps = []
    for record in records:
        for truth in record.annotations:
            x = (truth.box.x_min + truth.box.x_max) / 2048 * GRID
            y = (truth.box.y_min + truth.box.y_max) / 2048 * GRID
            peak = np.exp(-np.hypot(centres[:, None] - y, centres - x) / 3)
            scores = peak + 0.1 * generator.random((GRID, GRID))
            finding = (truth.finding,)
            heatmaps.append(Heatmaps(record.image_id, finding, scores[None], to_image, 1024, 1024))
    return heatmaps


def own_precision(pairs: ScoredPairs, claims: PlacedBoxes) -> float:
    """AP of this package, as mean over thresholds and findings."""
    matches = match_detections(pairs, claims, COCO_THRESHOLDS)
    patient, finding = place_of(pairs, matches.pair)
    boxes, everyone = sums_by_patient(pairs, pairs.truth_pair), np.ones((pairs.patients, 1))
    values = [
        detection_average_precision(
            matches.matched[:, finding == k], patient[finding == k], boxes[:, k], everyone
        )
        for k in range(len(pairs.findings))
    ]
    return float(np.mean(values))


def coco_precision(pairs: ScoredPairs, claims: PlacedBoxes) -> float:
    """The same AP by pycocotools, given data in its own structures."""
    findings, score = len(pairs.findings), claims.score
    assert score is not None

    def entry(number: int, pair: int, box: list[float]) -> dict[str, object]:
        width, height = box[2] - box[0], box[3] - box[1]
        return {
            "id": number + 1,
            "image_id": pair // findings,
            "category_id": pair % findings,
            "bbox": [box[0], box[1], width, height],
            "area": width * height,
            "iscrowd": 0,
        }

    truths = zip(pairs.truth_pair.tolist(), pairs.truth.tolist(), strict=True)
    calls = zip(claims.pair.tolist(), claims.boxes.tolist(), score.tolist(), strict=True)
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": i} for i in range(len(pairs.image_ids))],
        "categories": [{"id": i} for i in range(findings)],
        "annotations": [entry(k, *each) for k, each in enumerate(truths)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        detections = [entry(k, p, box) | {"score": s} for k, (p, box, s) in enumerate(calls)]
        evaluation = COCOeval(truth, truth.loadRes(detections), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    return float(evaluation.eval["precision"][:, :, :, 0, 2].mean())


def seconds(work: Callable[[], object]) -> float:
    """CPU time that the process takes for a call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    """Check that both agree, time them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    records = [each for each in read_dataset(parser.parse_args().folder) if each.annotations]
    heatmaps = peaked_heatmaps(records)
    scores = np.random.default_rng(1).random(len(heatmaps)).tolist()
    detections = [
        detection
        for each, score in zip(heatmaps, scores, strict=True)
        for detection in detections_from_heatmaps(each, [score], (60.0, 180.0))
    ]
    pairs = scored_pairs(records)
    claims, _ = place_detections(pairs, detections)
    assert abs(own_precision(pairs, claims) - coco_precision(pairs, claims)) < 1e-12
    own, coco = [], []
    for _ in range(REPEATS):
        own.append(seconds(lambda: own_precision(pairs, claims)))
        coco.append(seconds(lambda: coco_precision(pairs, claims)))
    own_median, coco_median = statistics.median(own), statistics.median(coco)
    whole = seconds(
        lambda: score_metrics(place_run(records, detections, ScoringProtocol(), heatmaps))
    )
    print(f"{len(heatmaps)} maps, {len(detections)} boxes\n")
    print("| what | CPU seconds | pycocotools | ratio |\n| --- | --- | --- | --- |")
    print(f"| all metrics, 1,000 resamples | {whole:.1f} | | |")
    ratio = coco_median / own_median
    print(f"| COCO AP, once | {own_median:.3f} | {coco_median:.3f} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
