"""Logits, scores, operating points and calibration of a network on the validation images."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Integer
from scipy.special import logit
from torch import Tensor, nn

from cxrloc.datasets.batches import Feeding, ImageSet, evaluation_inputs
from cxrloc.devices import FittingBatches, autocast
from cxrloc.evaluation.classification.calibration import platt_coefficients
from cxrloc.evaluation.classification.operating_points import choose_operating_point
from cxrloc.evaluation.classification.ranking import auc
from cxrloc.evaluation.classification.truth import ATTRIBUTES
from cxrloc.findings import CHEXPERT_PARENTS
from cxrloc.inference.threads import map_in_threads
from cxrloc.models.feature_distance import mean_features
from cxrloc.models.probabilities import PROBABILITIES
from cxrloc.training.conditional import CONDITIONS
from cxrloc.training.distributed import gathered, own_share
from cxrloc.training.feeding import READ_AHEAD
from cxrloc.training.fit_config import FitConfig
from cxrloc.training.losses import LOSSES, loss_terms, probabilities_after
from cxrloc.types import Label

VALIDATION_IMAGES = {"cpu": 8}
"""Batch size of validation by device; a larger batch is no faster on a CPU."""

MOST_IMAGES = 128
"""Batch size of validation on other devices; it is halved if a batch does not fit in memory."""


class Outputs(NamedTuple):
    """What a network gives for the images of a set.

    Attributes:
        logits: of all findings.
        features: their mean over all cells (`mean_features`).
    """

    logits: Float[Tensor, "image finding"]
    features: Float[Tensor, "image depth"]


def outputs_of(
    images: ImageSet, feeding: Feeding, config: FitConfig, network: nn.Module
) -> Outputs:
    """The outputs for a whole set, in its order, on the CPU; the processes share the work.

    Validation keeps no activations for a backward pass, so its batches are larger than those of
    training.
    """
    share = np.array(own_share(range(len(images.slots))), dtype=np.int64)
    findings, depth = images.labels.shape[1], network.get_submodule("prediction").in_features

    def compute(first: int, size: int) -> Iterator[tuple[Tensor, ...]]:
        for inputs in _inputs(images, share[first:], size, feeding):
            logits, features = network(*inputs)
            yield torch.cat([logits.float(), mean_features(features)], dim=1).cpu().unbind()

    batches = FittingBatches(VALIDATION_IMAGES.get(feeding.device.type, MOST_IMAGES))
    with torch.inference_mode(), autocast(feeding.device, config.precision):
        rows = batches.results(len(share), compute)
    # A process may have no image, and no row.
    outputs = torch.stack(rows) if rows else torch.empty(0, findings + depth)
    every = gathered(outputs, len(images.slots))
    return Outputs(every[:, :findings], every[:, findings:])


def _inputs(
    images: ImageSet, rows: Integer[np.ndarray, " image"], size: int, feeding: Feeding
) -> Iterator[tuple[Tensor, ...]]:
    """Batches of `size` images in their order; for a GPU they are prepared ahead."""
    parts = (rows[first : first + size] for first in range(0, len(rows), size))
    prepare = partial(evaluation_inputs, images, feeding=feeding)
    if feeding.device.type == "cpu":
        return map(prepare, parts)
    return map_in_threads(prepare, parts, READ_AHEAD)


def validation_labels(
    labels: Float[np.ndarray, "image finding"],
    findings: Sequence[str],
    condition: str,
    loss: str,
    uncertain_truth: str = "unknown",
) -> Float[Tensor, "image finding"]:
    """The labels on which a stage is scored; NaN marks labels that are not scored.

    A conditional stage is not scored on children whose parent is absent (`CONDITIONS`). A network
    trained with softmax is scored only on images with exactly one label.

    Args:
        labels: 1, 0, -1 (uncertain) or NaN (unknown).
        findings: names of the columns.
        condition: a name of `CONDITIONS`, or empty.
        loss: a name of `LOSSES`.
        uncertain_truth: "unknown" leaves uncertain labels out, even if they are used in training;
            "negative" counts them as absent.

    >>> labels = np.array([[1.0, 0.0], [1.0, 1.0], [-1.0, 1.0]])
    >>> validation_labels(labels, ("Mass", "Nodule"), "", "softmax")
    tensor([[1., 0.],
            [nan, nan],
            [nan, nan]], dtype=torch.float64)
    """
    known = torch.from_numpy(labels)
    known = known.where(
        known != Label.UNCERTAIN, 0.0 if uncertain_truth == "negative" else torch.nan
    )
    if condition:
        known = CONDITIONS[condition](known, findings, CHEXPERT_PARENTS)
    if probabilities_after(loss) == "softmax":
        known = known.where(known.sum(dim=1, keepdim=True) == 1, torch.nan)
    return known


def validation_scores(
    logits: Tensor, labels: Tensor, loss: str, findings: Sequence[str]
) -> dict[str, float]:
    """Mean loss (`loss_terms`), mean AUC and AUC of each finding; NaN where one class is missing.

    `mean_auc` is the mean over findings, without No Finding and other `ATTRIBUTES`. If no label is
    known, the result is empty.
    """
    if not labels.isfinite().any():
        return {}
    areas, probabilities = {}, PROBABILITIES[probabilities_after(loss)](logits)
    for column, finding in enumerate(findings):
        truth, scores = _known(probabilities, labels, column)
        area = auc(truth, scores)
        areas[finding] = float("nan") if area is None else area
    counted = [area for finding, area in areas.items() if finding not in ATTRIBUTES]
    defined = [area for area in counted if not np.isnan(area)]
    return {
        "validation_loss": (LOSSES[loss](logits, labels) / loss_terms(loss, labels)).item(),
        "mean_auc": float(np.mean(defined)) if defined else float("nan"),
        **areas,
    }


def operating_points(
    logits: Tensor, labels: Tensor, loss: str, findings: Sequence[str]
) -> dict[str, float]:
    """Thresholds of the findings, chosen by Youden's index on the validation images.

    A finding that is present in all of these images, or in none, has no threshold.
    """
    points, probabilities = {}, PROBABILITIES[probabilities_after(loss)](logits)
    for column, finding in enumerate(findings):
        truth, scores = _known(probabilities, labels, column)
        if (point := choose_operating_point(truth, scores)) is not None:
            points[finding] = point.threshold
    return points


def calibration(
    logits: Tensor, labels: Tensor, loss: str, prevalence: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    """For each finding, the slope and intercept that turn raw into calibrated probabilities.

    Platt's sigmoid is fitted on the validation images. Then its intercept is changed by the log
    odds of the prevalence in the training set minus the log odds of the prevalence in the
    validation images. So the mean probability of patients like those of the training set is the
    prevalence there (Saerens et al. 2002, Eq. 4, in log odds). Findings with only one class, or
    whose fitted sigmoid does not rise, get no calibration. Networks trained with softmax get none
    either, because their probabilities must sum to 1.

    Args:
        logits: logits of the validation images.
        labels: labels of the validation images; NaN where unknown.
        loss: a name of `LOSSES`.
        prevalence: share of the training set's images with each finding, in the columns' order.
    """
    kind = probabilities_after(loss)
    if kind == "softmax":
        return {}
    found, probabilities = {}, PROBABILITIES[kind](logits)
    for column, (finding, share) in enumerate(prevalence.items()):
        truth, scores = _known(probabilities, labels, column)
        if not 0 < share < 1 or truth.all() or not truth.any():
            continue
        slope, intercept = platt_coefficients(truth, scores)
        if slope > 0:
            found[finding] = slope, intercept + float(logit(share) - logit(truth.mean()))
    return found


def _known(scores: Tensor, labels: Tensor, column: int) -> tuple[np.ndarray, np.ndarray]:
    """The truth and the scores of one finding, for the images whose label is known."""
    known = labels[:, column].isfinite()
    return (labels[known, column] == 1).numpy(), scores[known, column].numpy()
