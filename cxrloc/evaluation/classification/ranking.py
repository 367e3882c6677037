"""How well scores order images and findings: ROC and precision-recall curves, rankings per image.

Three quantities go by the name "AP" in this field. Here they have three names:
`pr_average_precision` (area under a finding's precision-recall curve, `unit_statistics`),
`image_ranking_precision` (Dong et al. 2017: how high an image's own findings rank in its list of
findings) and `detection_average_precision` (boxes, `localization.detection_ap`).

A number that needs positives and negatives is None ("not defined") without both, never 0 or 0.5.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from sklearn.metrics import roc_auc_score, roc_curve


@dataclass(frozen=True, slots=True, eq=False)
class Roc:
    """An ROC curve from (0, 0) to (1, 1), one point per distinct score.

    Attributes:
        thresholds: a unit is called positive when its score >= threshold; in falling order, the
            first is infinite.
        false_positive_rate: share of the negatives called positive.
        sensitivity: share of the positives called positive.
    """

    thresholds: Float[np.ndarray, " point"]
    false_positive_rate: Float[np.ndarray, " point"]
    sensitivity: Float[np.ndarray, " point"]


def roc(truth: Bool[np.ndarray, " unit"], scores: Float[np.ndarray, " unit"]) -> Roc | None:
    """The ROC curve of one finding; None without both classes.

    Units with equal scores change their class together, so ties give a diagonal segment.

    >>> curve = roc(np.array([True, False, True]), np.array([0.9, 0.5, 0.5]))
    >>> curve.false_positive_rate, curve.sensitivity
    (array([0., 0., 1.]), array([0. , 0.5, 1. ]))
    """
    if truth.all() or not truth.any():
        return None
    false_positive_rate, sensitivity, thresholds = roc_curve(truth, scores, drop_intermediate=False)
    return Roc(thresholds, false_positive_rate, sensitivity)


def auc(truth: Bool[np.ndarray, " unit"], scores: Float[np.ndarray, " unit"]) -> float | None:
    """Area under the ROC curve: the chance that a positive outscores a negative, ties count half.

    The result is None without both classes. Intervals come from `auc_intervals`, whose bootstrap
    is a hundred times faster than a loop over this function.

    >>> auc(np.array([True, True, False, False]), np.array([0.9, 0.4, 0.4, 0.1]))
    0.875
    >>> auc(np.array([True, True]), np.array([0.9, 0.4])) is None
    True
    """
    if truth.all() or not truth.any():
        return None
    return float(roc_auc_score(truth, scores))


def image_ranking_precision(
    truth: Bool[np.ndarray, "unit finding"],
    scores: Float[np.ndarray, "unit finding"],
    threshold: float | None = None,
) -> Float[np.ndarray, " labelled"]:
    """Average precision of each image's ranked list of findings, as Dong et al. define it.

    Source: Dong et al. 2017, section V.D and figure 7. An image with m findings that stand at
    ranks r_1 < ... < r_m of its list, sorted by falling probability: AP = (1/m) sum_i i / r_i.
    Ties count against the model: a finding's rank is the number of findings with its score or more,
    and i is the number of true ones among them, as in scikit-learn's label ranking average
    precision.
    Images without any finding have no AP: they are left out of the result.

    Args:
        truth: findings that the image has.
        scores: one per finding.
        threshold: the list holds scores above it only, and a true finding that is not on the
            list adds 0 (the paper's task 3). None: all findings are on the list.

    >>> scores = np.array([[0.9, 0.7, 0.5, 0.3, 0.0]])
    >>> image_ranking_precision(np.array([[True, True, False, True, False]]), scores).round(4)
    array([0.9167])
    """
    labelled = truth.any(axis=1)
    truth, scores = truth[labelled], scores[labelled]
    at_least = scores[:, None, :] >= scores[:, :, None]  # unit finding other
    # i / r_i of every finding: true findings with at least its score, over all such findings.
    precision = (at_least & truth[:, None, :]).sum(axis=2) / at_least.sum(axis=2)
    if threshold is not None:
        precision = np.where(scores > threshold, precision, 0.0)
    return np.sum(precision * truth, axis=1) / truth.sum(axis=1)


def cumulative_shares(
    values: Float[np.ndarray, " n"],
) -> tuple[Float[np.ndarray, " distinct"], Float[np.ndarray, " distinct"]]:
    """The distinct values in rising order and the share of values at or below each (figure 8).

    >>> cumulative_shares(np.array([0.5, 1.0, 0.5, 0.25]))
    (array([0.25, 0.5 , 1.  ]), array([0.25, 0.75, 1.  ]))
    """
    distinct, counts = np.unique(values, return_counts=True)
    return distinct, np.cumsum(counts) / values.size


def in_top(
    scores: Float[np.ndarray, "unit finding"], k: int
) -> tuple[Bool[np.ndarray, "unit finding"], Bool[np.ndarray, "unit finding"]]:
    """Two masks of the findings among an image's k highest: surely there, and possibly there.

    Source: Dong et al. 2017, section V.A (top-3 sensitivity; k = 1 is their table II's decision).
    "Possibly" means that the finding is among them if ties favour it. Ties count against the model:
    a positive counts as called only if it is surely among them, and a negative counts as called if
    it is possibly among them. So a constant score has sensitivity 0 and specificity 0.

    >>> in_top(np.array([[0.6, 0.3, 0.3, 0.1]]), k=2)
    (array([[ True, False, False, False]]), array([[ True,  True,  True, False]]))
    """
    rising = np.sort(scores, axis=1)
    findings = scores.shape[1]
    if k >= findings:
        everywhere = np.ones(scores.shape, dtype=bool)
        return everywhere, everywhere
    return scores > rising[:, findings - k - 1, None], scores >= rising[:, findings - k, None]


def points_under_roc(
    curve: Roc,
    false_positive_rate: Float[np.ndarray, " reader"],
    sensitivity: Float[np.ndarray, " reader"],
) -> Bool[np.ndarray, " reader"]:
    """Which operating points lie strictly below an ROC curve.

    Source: Pham et al. 2019, section 4.6: the model is better than the readers whose points it
    leaves below; averaged over findings ("2.6 out of 3 radiologists"). Between its points the curve
    is straight; where the curve rises vertically, the upper end of the rise counts.

    >>> curve = roc(np.array([True, False, True, False]), np.array([0.9, 0.6, 0.5, 0.1]))
    >>> points_under_roc(curve, np.array([0.0, 0.5, 0.25]), np.array([0.5, 0.9, 0.6]))
    array([False,  True, False])
    """
    x, y = curve.false_positive_rate, curve.sensitivity
    left = np.searchsorted(x, false_positive_rate, side="right") - 1
    right = np.minimum(left + 1, x.size - 1)
    width = x[right] - x[left]
    share = np.divide(
        false_positive_rate - x[left], width, out=np.zeros_like(width), where=width > 0
    )
    return sensitivity < y[left] + share * (y[right] - y[left])


def reader_points(
    truth: Bool[np.ndarray, " unit"], readings: Bool[np.ndarray, "reader unit"]
) -> tuple[Float[np.ndarray, " reader"], Float[np.ndarray, " reader"]]:
    """False positive rate and sensitivity of radiologists who call each unit positive or not.

    Source: Pham et al. 2019, section 4.6. The truth must contain both classes.

    >>> reader_points(np.array([True, True, False]), np.array([[True, False, True]]))
    (array([1.]), array([0.5]))
    """
    return readings[:, ~truth].mean(axis=1), readings[:, truth].mean(axis=1)
