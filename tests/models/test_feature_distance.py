"""The distance of an image from the validation images, in the model's own features."""

import numpy as np
import torch
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA

from cxrloc.datasets.splits import draw_patients
from cxrloc.models.feature_distance import (
    FEWEST_IMAGES,
    MOST_DIRECTIONS,
    TypicalFeatures,
    distances,
    fit_distance,
)

GENERATOR = torch.Generator().manual_seed(0)
DEPTH = 160
SCALES = torch.linspace(3, 0.05, DEPTH)
"""Standard deviation of each feature: a few differ much between images, most do not."""


def drawn(images: int) -> torch.Tensor:
    return 5 + SCALES * torch.randn(images, DEPTH, generator=GENERATOR)


def patients(images: int, each: int = 1) -> list[str]:
    return [str(image // each) for image in range(images)]


def share_outside(images: torch.Tensor, of: torch.Tensor) -> float:
    """The share of images that is outside by the distance fitted on others."""
    fitted = fit_distance(of, patients(len(of)))
    assert fitted is not None
    typical, rule = fitted
    return (distances(images, typical, rule.variance) > rule.threshold).float().mean().item()


def test_distances_are_those_of_mahalanobis() -> None:
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    variances = np.array([9.0, 4.0, 0.5, 0.5, 0.5, 0.5])
    covariance = basis.T @ np.diag(variances) @ basis
    mean, asked = torch.arange(6.0), torch.randn(7, 6, generator=GENERATOR)
    weights = np.sqrt(1 - 0.5 / variances[:2])
    typical = TypicalFeatures(mean, torch.from_numpy(weights[:, None] * basis[:2]).float())
    expected = cdist(asked, mean[None], "mahalanobis", VI=np.linalg.inv(covariance))[:, 0]
    np.testing.assert_allclose(distances(asked, typical, 0.5), expected, rtol=1e-5)


def test_the_covariance_is_that_of_probabilistic_components() -> None:
    """scikit-learn's PCA has the same precision matrix, but divides by n - 1."""
    pooled, names = drawn(600), patients(600)
    fitted = fit_distance(pooled, names)
    assert fitted is not None
    typical, rule = fitted
    half = draw_patients(names, 0.5, seed=0)
    first = torch.tensor([name in half for name in names])
    oracle = PCA(MOST_DIRECTIONS, svd_solver="full").fit(pooled[first].double().numpy())
    asked = drawn(9).double().numpy()
    shrunk = first.sum().item() / (first.sum().item() - 1)
    expected = cdist(asked, oracle.mean_[None], "mahalanobis", VI=oracle.get_precision())[:, 0]
    found = distances(torch.from_numpy(asked).float(), typical, rule.variance)
    np.testing.assert_allclose(found, expected * shrunk**0.5, rtol=1e-3)
    assert rule.measured_images == (~first).sum()


def test_other_patients_are_inside_and_another_direction_is_outside() -> None:
    own = drawn(600)
    assert share_outside(drawn(300), of=own) < 0.04
    turned = drawn(100).flip(dims=(1,))  # the features that do not differ differ much
    assert share_outside(turned, of=own) > 0.9


def test_images_of_one_patient_do_not_vouch_for_each_other() -> None:
    """With ten equal images of each patient, those of a patient left out are far all the same."""
    once = drawn(80)
    alone = fit_distance(once.repeat_interleave(10, dim=0), patients(800))
    grouped = fit_distance(once.repeat_interleave(10, dim=0), patients(800, each=10))
    assert alone is not None
    assert grouped is not None
    assert grouped[1].threshold > 1.1 * alone[1].threshold


def test_without_enough_images_or_any_difference_there_is_no_distance() -> None:
    assert fit_distance(drawn(FEWEST_IMAGES), patients(FEWEST_IMAGES)) is None
    assert fit_distance(drawn(500), ["the same patient"] * 500) is None
    assert fit_distance(torch.ones(500, DEPTH), patients(500)) is None
