"""Images whose lesions have known places without an expert's box, for choosing between models.

The images are radiographs without findings into which lesions are drawn
(`cxrloc.phantom.drawn_lesions`), and phantoms.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from frozen_features import SIDE, frozen_features

from cxrloc.findings import CHESTXRAY8
from cxrloc.localization.regions import find_regions
from cxrloc.models.localizer import Localizer
from cxrloc.phantom import make_phantom
from cxrloc.phantom.drawn_lesions import LESIONS, draw_lesion

LESIONS_PER_FINDING, PHANTOMS, PHANTOM_SEED = 70, 300, 31
SHIFTS = range(1, 6)


@dataclass(frozen=True, slots=True, eq=False)
class Guide:
    """Features of images, and the image, the finding and the box of each lesion in them."""

    name: str
    features: np.ndarray
    image: np.ndarray
    finding: np.ndarray
    boxes: np.ndarray


@dataclass(frozen=True, slots=True)
class GuideScore:
    """Mean accuracy over findings at (IoBB 0.25, IoU 0.1), and the number of boxes per map.

    `own` is of each lesion's own map; `permuted` is of the maps of other images.
    """

    own: tuple[float, float]
    permuted: tuple[float, float]
    boxes: float


def guides_of(network: Localizer, normals: np.ndarray) -> list[Guide]:
    """Two guides: lesions drawn into these radiographs, and phantoms.

    The radiographs are (image, row, column), with grey levels in [0, 255].
    """
    rng = np.random.default_rng(5)
    drawn = [
        draw_lesion(finding, (normals[rng.integers(len(normals))] / 255).astype(np.float32), rng)
        for finding in LESIONS
        for _ in range(LESIONS_PER_FINDING)
    ]
    phantoms = [make_phantom(PHANTOM_SEED, index, SIDE) for index in range(PHANTOMS)]
    drawn_places = [(i, one.finding, one.box) for i, one in enumerate(drawn)]
    phantom_places = [
        (i, annotation.finding, annotation.box)
        for i, phantom in enumerate(phantoms)
        for annotation in phantom.record.annotations
    ]
    made = []
    for name, pixels, places in (
        ("drawn lesions", [one.pixels for one in drawn], drawn_places),
        ("phantoms", [one.pixels for one in phantoms], phantom_places),
    ):
        features = frozen_features(network, grey_levels(pixels), 0, seed=0)[0]
        image = np.array([i for i, _, _ in places])
        finding = np.array([CHESTXRAY8.index(one) for _, one, _ in places])
        boxes = np.array([[b.x_min, b.y_min, b.x_max, b.y_max] for *_, b in places])
        made.append(Guide(name, features, image, finding, boxes))
    return made


def grey_levels(pixels: Sequence[np.ndarray]) -> np.ndarray:
    """Grey levels in [0, 255], as (image, row, column), of images in [0, 1]."""
    return np.rint(np.stack(pixels) * 255).astype(np.uint8)


def score_maps(guide: Guide, maps: np.ndarray) -> GuideScore:
    """The accuracy of the boxes of each lesion's map, and of the boxes of maps of other images.

    The maps are (lesion, row, column).
    """
    regions = find_regions(maps.astype(np.float64), (60.0, 180.0))
    pixels = SIDE / maps.shape[1]
    boxes = [regions.boxes[regions.map_index == row] * pixels for row in range(len(maps))]
    own, permuted = [], []
    for finding in np.unique(guide.finding):
        rows = np.flatnonzero(guide.finding == finding)
        own.append(np.mean([hits(boxes[i], guide.boxes[i]) for i in rows], axis=0))
        others = [
            np.mean([hits(boxes[j], guide.boxes[i]) for i, j in zip(rows, shift, strict=True)], 0)
            for shift in (np.roll(rows, by) for by in SHIFTS)
        ]
        permuted.append(np.mean(others, axis=0))
    (a, b), (c, d) = np.mean(own, axis=0).tolist(), np.mean(permuted, axis=0).tolist()
    return GuideScore((a, b), (c, d), float(np.mean([len(one) for one in boxes])))


def hits(boxes: np.ndarray, truth: np.ndarray) -> tuple[bool, bool]:
    """Whether one of a map's boxes is correct: by IoBB above 0.25, and by IoU above 0.1."""
    if not len(boxes):
        return False, False
    corner = np.minimum(boxes[:, 2:], truth[2:]) - np.maximum(boxes[:, :2], truth[:2])
    shared = np.clip(corner, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    union = areas + (truth[2:] - truth[:2]).prod() - shared
    return bool((shared / areas > 0.25).any()), bool((shared / union > 0.1).any())
