"""Thresholds chosen on some patients and applied to others.

Results on the images on which a threshold was chosen are too optimistic. Choe et al. 2020 choose in
this way and call the result MaxBoxAcc. Here such a threshold is called the oracle's choice, and
every number that depends on it says so.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from cxrloc.errors import UsageError
from cxrloc.evaluation.resampling import rarest_class

ORACLE = "oracle: the scored patients"
FIXED = "fixed beforehand"


@dataclass(frozen=True, slots=True)
class ThresholdProtocol:
    """The patients on whom thresholds are chosen.

    Attributes:
        tuning_share: share of the patients on whom thresholds are chosen; the other patients are
            scored. 0: no thresholds are chosen.
        oracle: also choose thresholds on all patients, who are then scored too.
        seed: seed for drawing the tuning patients.
    """

    tuning_share: float = 0.3
    oracle: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.tuning_share < 1:
            raise UsageError(
                f"tuning share {self.tuning_share:g}: give a share of at least 0 and below 1"
            )


def tuning_patients(
    carries: Bool[np.ndarray, "patient finding"], protocol: ThresholdProtocol
) -> Bool[np.ndarray, " patient"]:
    """The patients on whom thresholds are chosen: the given share of each stratum, rounded.

    A stratum is the rarest finding that a patient carries, so that every finding with enough
    patients is on both sides.

    >>> tuning = tuning_patients(np.ones((10, 1), dtype=bool), ThresholdProtocol(tuning_share=0.3))
    >>> int(tuning.sum())
    3
    """
    generator = np.random.default_rng(protocol.seed)
    chosen = np.zeros(carries.shape[0], dtype=bool)
    strata = rarest_class(carries)
    for stratum in np.unique(strata):
        members = generator.permutation(np.flatnonzero(strata == stratum))
        chosen[members[: round(protocol.tuning_share * members.size)]] = True
    return chosen


def best_level(
    numerator: Float[np.ndarray, "patient finding level"],
    denominator: Float[np.ndarray, "patient finding level"],
    patients: Bool[np.ndarray, " patient"],
) -> int | None:
    """The level with the highest mean over findings of numerator / denominator; None without any.

    All findings share the level; of equally good levels, the lowest is taken. Findings that these
    patients lack are left out of the mean.

    >>> hits = np.array([[[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 1.0]]])
    >>> best_level(hits, np.ones((3, 1, 2)), np.array([True, True, True]))
    1
    >>> best_level(hits, np.ones((3, 1, 2)), np.array([True, False, False]))
    0
    """
    top, bottom = numerator[patients].sum(axis=0), denominator[patients].sum(axis=0)
    known = (bottom > 0).all(axis=1)
    if not known.any():
        return None
    return int((top[known] / bottom[known]).mean(axis=0).argmax())


def best_score(
    matched: Bool[np.ndarray, " detection"], score: Float[np.ndarray, " detection"], boxes: float
) -> float:
    """The score from which detections have the highest F1; infinite where there is none.

    F1 = 2 matched / (called + annotated boxes). Detections must be sorted by falling score. Of
    scores with equal F1, the highest is taken.

    >>> best_score(np.array([True, False, True]), np.array([0.9, 0.5, 0.4]), boxes=2)
    0.4
    """
    last = np.flatnonzero(np.diff(score, append=-np.inf) != 0)
    if not last.size:
        return np.inf
    f1 = 2 * np.cumsum(matched)[last] / (last + 1 + boxes)
    return float(score[last[f1.argmax()]])
