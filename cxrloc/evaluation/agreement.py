"""Agreement of models: rank correlations, and the units on which they disagree most."""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata


def rank_correlations(
    scores: Float[np.ndarray, "model unit finding"],
) -> tuple[Float[np.ndarray, "model model"], Bool[np.ndarray, " finding"]]:
    """Spearman's rank correlation between all pairs of models, averaged over findings.

    Source: Baltruschat et al. 2019, table 5. `Open:` the paper does not say whether each finding is
    ranked on its own; here it is, so that a model's order of findings does not count as agreement.
    A finding on which a model gives one score to all units has no correlation. It is left out for
    all models, and its entry in the second result is False. If no finding is left, all correlations
    are NaN.

    >>> a, b = np.array([[0.1], [0.2], [0.3]]), np.array([[0.5], [0.9], [0.6]])
    >>> rank_correlations(np.array([a, b]))
    (array([[1. , 0.5],
           [0.5, 1. ]]), array([ True]))
    """
    defined = (np.ptp(scores, axis=1) > 0).all(axis=0)
    ranks = rankdata(scores[:, :, defined], axis=1)
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    ranks = ranks / np.linalg.norm(ranks, axis=1, keepdims=True)
    per_finding = np.einsum("auf,buf->fab", ranks, ranks)
    if not defined.any():
        return np.full(per_finding.shape[1:], np.nan), defined
    return per_finding.mean(axis=0), defined


def disagreements(
    scores: Float[np.ndarray, "model unit finding"], most: int
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"], Float[np.ndarray, " pair"]]:
    """The (unit, finding) pairs on whose rank models differ most, the largest difference first.

    Probabilities of two models need not share a scale. So each score is replaced by the share of
    units ranked below it (a tied unit counts half). The disagreement of a pair is the largest share
    among the models minus the smallest: 0 where all models rank the unit equally, near 1 where one
    model ranks it first and another ranks it last.

    Returns:
        Index of the unit, index of the finding, disagreement.

    >>> a, b = np.array([[0.1], [0.2], [0.3]]), np.array([[0.9], [0.6], [0.5]])
    >>> disagreements(np.array([a, b]), most=2)
    (array([0, 2]), array([0, 0]), array([0.66666667, 0.66666667]))
    """
    shares = (rankdata(scores, axis=1) - 0.5) / scores.shape[1]
    difference = np.ptp(shares, axis=0)
    order = np.argsort(-difference, axis=None, kind="stable")[:most]
    unit, finding = np.unravel_index(order, difference.shape)
    return unit, finding, difference[unit, finding]
