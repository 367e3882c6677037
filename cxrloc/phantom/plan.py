"""Draws what a phantom shows, without its pixels: patient, view, findings, boxes, drain.

Every random draw depends on (seed, index) alone, so phantoms can be made in any order.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from cxrloc.findings import CHESTXRAY8
from cxrloc.phantom.anatomy import SIDES, Anatomy, sample_anatomy, sample_patient
from cxrloc.phantom.curves import Points
from cxrloc.phantom.lesions import LESIONS, Lesion
from cxrloc.types import Affine, View

_CORRELATION = np.array(
    [
        (1.00, 0.07, 0.37, 0.21, 0.06, -0.03, 0.14, 0.10),
        (0.07, 1.00, 0.39, 0.05, -0.07, -0.07, 0.02, -0.17),
        (0.37, 0.39, 1.00, 0.25, 0.20, 0.06, 0.12, 0.15),
        (0.21, 0.05, 0.25, 1.00, 0.04, 0.12, 0.29, 0.00),
        (0.06, -0.07, 0.20, 0.04, 1.00, 0.30, -0.01, 0.12),
        (-0.03, -0.07, 0.06, 0.12, 0.30, 1.00, -0.03, 0.03),
        (0.14, 0.02, 0.12, 0.29, -0.01, -0.03, 1.00, -0.09),
        (0.10, -0.17, 0.15, 0.00, 0.12, 0.03, -0.09, 1.00),
    ]
)
"""Tetrachoric correlations of the eight findings, from the 112,120 label rows of ChestX-ray14."""

PREVALENCE = 0.16
"""Prevalence of each finding, by which three images in ten have no finding."""

DRAIN_WITH_PNEUMOTHORAX = 0.4
DRAIN_WITHOUT_PNEUMOTHORAX = 0.05
_VISITS = (1, 1, 1, 2, 3)
"""Number of images of each of five patients in a row, who take eight indices."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a phantom shows, before it is drawn.

    Attributes:
        seed: seed of the series; seed and index determine everything else.
        index: the phantom's place in its series.
        follow_up: 0 for a patient's first image.
        anatomy: the chest.
        lesions: the lesions on the image; an image without lesions has "No Finding".
        drain: the centre line of a chest drain in body coordinates, None without one.
    """

    seed: int
    index: int
    follow_up: int
    anatomy: Anatomy
    lesions: tuple[Lesion, ...]
    drain: Points | None


def _visit(seed: int, index: int) -> tuple[int, int]:
    """The patient's number and the number of the visit.

    Numbers start above ChestX-ray14's 30,805 patients, so that no phantom is taken for one of them.

    >>> [_visit(0, index) for index in range(9)][2:]
    [(100002, 0), (100003, 0), (100003, 1), (100004, 0), (100004, 1), (100004, 2), (100005, 0)]
    """
    block, place = divmod(index, sum(_VISITS))
    patient = int(np.searchsorted(np.cumsum(_VISITS), place, side="right"))
    follow_up = place - sum(_VISITS[:patient])
    return 100_000 * (seed + 1) + len(_VISITS) * block + patient, follow_up


def _sample_findings(rng: np.random.Generator) -> list[str]:
    """The findings of an image: equally frequent, together as often as in ChestX-ray14."""
    liability = np.linalg.cholesky(_CORRELATION) @ rng.standard_normal(len(CHESTXRAY8))
    present = liability < ndtri(PREVALENCE)
    return [finding for finding, there in zip(CHESTXRAY8, present, strict=True) if there]


def plan_phantom(seed: int, index: int) -> Plan:
    """What phantom `index` of the series `seed` shows; takes a few milliseconds.

    >>> plan_phantom(0, 3) == plan_phantom(0, 4), plan_phantom(0, 3).anatomy.patient.number
    (False, 100003)
    """
    number, follow_up = _visit(seed, index)
    patient = sample_patient(np.random.default_rng([seed, 0, number]), number)
    rng = np.random.default_rng([seed, 1, index])
    view = View.AP if rng.random() < 0.4 else View.PA
    findings = _sample_findings(rng)
    sides = {finding: int(rng.choice(SIDES)) for finding in findings}
    loss = [0.0, 0.0]
    if "Atelectasis" in sides:
        loss[sides["Atelectasis"] > 0] = float(rng.uniform(0.0, 0.014))
    enlarged = "Cardiomegaly" in sides
    anatomy = sample_anatomy(rng, patient, view, enlarged, (loss[0], loss[1]))
    lesions = tuple(LESIONS[finding](rng, anatomy, sides[finding]) for finding in findings)
    air = "Pneumothorax" in sides
    treated = rng.random() < (DRAIN_WITH_PNEUMOTHORAX if air else DRAIN_WITHOUT_PNEUMOTHORAX)
    side = sides.get("Pneumothorax", int(rng.choice(SIDES)))
    drain = _drain(rng, anatomy, side) if treated else None
    return Plan(seed, index, follow_up, anatomy, lesions, drain)


def _drain(rng: np.random.Generator, anatomy: Anatomy, side: int) -> Points:
    """A drain from the side wall up towards the apex."""
    m, w, top = anatomy.midline, anatomy.patient.half_width, anatomy.top
    entry = top + rng.uniform(0.5, 0.7) * anatomy.height
    path = [(1.5, entry + 0.12), (1.12, entry + 0.05), (0.9, entry - 0.01), (0.78, entry - 0.1)]
    path += [(0.7, entry - 0.2), (rng.uniform(0.35, 0.65), top + rng.uniform(0.06, 0.14))]
    return np.array([(m + side * w * u, y) for u, y in path])


def posed(points: Points, pose: Affine) -> Points:
    """The points in unit image coordinates, from body coordinates.

    >>> posed(np.array([[0.5, 0.5]]), Affine(x0=0.1)).tolist()
    [[0.6, 0.5]]
    """
    x, y = points[:, 0], points[:, 1]
    return np.stack(
        [pose.xx * x + pose.xy * y + pose.x0, pose.yx * x + pose.yy * y + pose.y0], axis=1
    )


def lesion_box(lesion: Lesion, pose: Affine) -> Float[np.ndarray, "4"]:
    """The lesion's bounding box in unit image coordinates, clipped to the image."""
    points = posed(np.concatenate(lesion.outlines), pose)
    return np.concatenate([points.min(axis=0), points.max(axis=0)]).clip(0.0, 1.0)
