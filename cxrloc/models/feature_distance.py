"""How far an image is from those that a model was made for, in the model's own features.

Source: Lee et al. 2018, "A Simple Unified Framework for Detecting Out-of-Distribution Samples and
Adversarial Attacks" (NeurIPS), for one class: the Mahalanobis distance. There are fewer images than
features, so the covariance is that of probabilistic principal components (Tipping & Bishop 1999,
"Probabilistic Principal Component Analysis", J. R. Statist. Soc. B 61).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cxrloc.datasets.splits import draw_patients
from cxrloc.models.card import DistanceRule

INSIDE = 0.99
"""Share of the images of other validation patients that the threshold keeps inside."""

FOLDS = 5
"""The threshold is chosen on each fifth of the patients by the images of the other four."""

MOST_DIRECTIONS = 64
"""Most principal components of the features; 64 of 1,280 numbers add 160 kB to a model's file."""

FEWEST_IMAGES = 50
"""With fewer images in either half no distance is fitted: a 99th percentile would mean nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class TypicalFeatures:
    """The mean features of validation images, and the directions in which these differ most.

    Attributes:
        mean: over the images.
        directions: orthogonal vectors. The length w of each says how much larger the variance is in
            its direction: it is variance / (1 - w^2).
    """

    mean: Float[Tensor, " depth"]
    directions: Float[Tensor, "direction depth"]


def mean_features(
    features: Float[Tensor, "batch depth row col"],
) -> Float[Tensor, "batch depth"]:
    """The mean over all cells, whatever the pooling of the network is."""
    return features.float().mean(dim=(2, 3))


def distances(
    pooled: Float[Tensor, "batch depth"], typical: TypicalFeatures, variance: float
) -> Float[Tensor, " batch"]:
    """The Mahalanobis distance from the mean of the typical features.

    Lee et al. 2018, Eq. 2: sqrt(d' S^-1 d) with d = f - mean. The inverse of the covariance S is
    (I - V' V) / variance, where the rows of V are the directions.

    >>> typical = TypicalFeatures(torch.zeros(2), torch.tensor([[0.75**0.5, 0.0]]))
    >>> distances(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), typical, variance=1.0)
    tensor([1., 2.])
    """
    apart = (pooled - typical.mean).double()
    along = apart @ typical.directions.double().T
    squared = (apart.square().sum(dim=1) - along.square().sum(dim=1)) / variance
    return squared.clamp(min=0).sqrt().float()


def fit_distance(
    pooled: Float[Tensor, "image depth"], patient_ids: Sequence[str], seed: int = 0
) -> tuple[TypicalFeatures, DistanceRule] | None:
    """The typical features of validation images, and the rule that tells which images are outside.

    Half of the patients give the features and the threshold, which keeps `INSIDE` of their images
    inside, each judged by the images of other patients among them. The images of the other half of
    the patients measure how many are outside.

    Args:
        pooled: mean features of the validation images.
        patient_ids: their patients.
        seed: of the draw of the half.

    Returns:
        Features and rule; None if there are too few images, or if their features do not vary.
    """
    chosen = draw_patients(patient_ids, share=0.5, seed=seed)
    first = torch.tensor([patient in chosen for patient in patient_ids], dtype=torch.bool)
    fitted, other = pooled[first].double(), pooled[~first]
    if min(len(fitted), len(other)) < FEWEST_IMAGES:
        return None
    typical, variance = _fitted(fitted)
    if not variance > 0:
        return None
    left_out = torch.empty(len(fitted))
    for rows, judged in _folds([patient for patient in patient_ids if patient in chosen]):
        left_out[judged] = distances(fitted[judged].float(), *_fitted(fitted[rows]))
    threshold = left_out.quantile(INSIDE).item()
    outside = (distances(other, typical, variance) > threshold).float().mean().item()
    return typical, DistanceRule(threshold, variance, len(other), outside)


def _fitted(rows: Float[Tensor, "image depth"]) -> tuple[TypicalFeatures, float]:
    """The typical features of these images, and the variance in all other directions.

    Tipping & Bishop 1999, Eq. 7 and 8: the leading eigenvectors of the covariance keep their
    variances c, and all other directions have the mean v of the variances that are left. Weighted
    by w^2 = 1 - v / c, an eigenvector gives the inverse (I - w^2 u u') / v in its direction.
    """
    mean = rows.mean(dim=0)
    _, lengths, vectors = torch.linalg.svd((rows - mean) / len(rows) ** 0.5, full_matrices=False)
    variances = lengths.square()
    # At most half of the components that vary, so that the others have a variance to be averaged.
    kept = min(MOST_DIRECTIONS, int((variances > 1e-9 * variances[0]).sum()) // 2)
    left = (variances[kept:].sum() / (rows.shape[1] - kept)).item()
    weights = (1 - left / variances[:kept]).clamp(min=0).sqrt()
    directions = weights[:, None] * vectors[:kept]
    return TypicalFeatures(mean.float(), directions.float()), left


def _folds(patient_ids: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the rows to fit and the rows to judge, which share no patient."""
    from sklearn.model_selection import GroupKFold

    folds = min(FOLDS, len(set(patient_ids)))
    yield from GroupKFold(folds).split(patient_ids, groups=patient_ids)
