"""Drawn records and maps for the tests of localization metrics."""

from collections.abc import Sequence

import numpy as np

from cxrloc.evaluation.localization.scored_pairs import PlacedBoxes, ScoredPairs, scored_pairs
from cxrloc.types import Affine, Annotation, Box, Heatmaps, Mask, Outline, Record


def drawn_record(
    image_id: str,
    *corners: Sequence[float],
    finding: str = "Mass",
    patient: str = "",
    size: tuple[int, int] = (100, 100),
    shape: Outline | Mask | None = None,
) -> Record:
    """An image of `size` rows and columns with these boxes."""
    truths = tuple(Annotation(image_id, finding, Box(*map(float, c)), shape) for c in corners)
    return Record(
        image_id,
        patient or image_id,
        image_id,
        None,
        annotations=truths,
        annotation_frame=size,
    )


def whole_map(image_id: str, scores: object, finding: str = "Mass", side: int = 100) -> Heatmaps:
    """A map that covers an image of `side` x `side` pixels."""
    grid = np.array(scores, dtype=float)
    to_image = Affine(xx=side / grid.shape[1], yy=side / grid.shape[0])
    return Heatmaps(image_id, (finding,), grid[None], to_image, side, side)


def random_claims(
    images: int, findings: Sequence[str], seed: int, scores: int = 20, regions: bool = False
) -> tuple[ScoredPairs, PlacedBoxes]:
    """One to three boxes on each pair of one patient per two images, and noisy scored detections.

    Scores take few values, so that many are equal; coordinates are whole, so that IoUs tie too.
    """
    generator = np.random.default_rng(seed)
    records, boxes, pair = [], [], []
    for i in range(images):
        truths = []
        for j, finding in enumerate(findings):
            for _ in range(generator.integers(0 if i else 1, 4)):
                x, y, w, h = generator.integers(1, 40, 4).tolist()
                truths.append(Annotation(f"{i}", finding, Box(x, y, x + w, y + h)))
                for _ in range(generator.integers(0, 3)):
                    dx, dy = generator.integers(-4, 5, 2)
                    boxes.append([x + dx, y + dy, x + dx + w, y + dy + h])
                    pair.append(i * len(findings) + j)
            if generator.random() < 0.5:
                boxes.append([50, 50, 60, 60])
                pair.append(i * len(findings) + j)
        records.append(
            Record(
                f"{i}",
                f"{i // 2}",
                f"{i}",
                None,
                annotations=tuple(truths),
                annotation_frame=(100, 100),
                ignored=tuple(
                    Annotation(f"{i}", finding, Box(40, 40, 70, 58))
                    for finding in findings
                    if regions and i % 3
                ),
            )
        )
    score = generator.integers(1, scores, len(boxes)) / scores
    claims = PlacedBoxes(np.array(boxes, dtype=float), np.array(pair), score)
    return scored_pairs(records, "all"), claims
