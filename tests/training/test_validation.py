"""Passing the validation images through a network."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cxrloc.datasets.batches import Feeding, ImageSet
from cxrloc.images.augment import Augmentation
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.probabilities import calibrated
from cxrloc.training.fit_config import FitConfig
from cxrloc.training.schedules import ScheduleConfig
from cxrloc.training.uncertainty import ignore
from cxrloc.training.validation import calibration, outputs_of

PIXELS = np.random.default_rng(0).integers(0, 65536, (21, 4, 4), dtype=np.uint16)
IMAGES = ImageSet(PIXELS, np.arange(21)[::-1, None], np.zeros((21, 1), np.float32))
FEEDING = Feeding(
    Preprocessing(4, mean=(0.0,), std=(1.0,)), Augmentation(), ignore, torch.device("cpu")
)
CONFIG = FitConfig(ScheduleConfig(0.1), batch_size=4, steps=1)
MEANS = PIXELS[::-1].reshape(21, -1).mean(axis=1) / 65535


class Mean(nn.Module):
    """Its logit is the mean grey level; it fails as a full card does where a batch is too large."""

    def __init__(self, fits: int) -> None:
        super().__init__()
        self.fits = fits
        self.sizes: list[int] = []
        self.prediction = nn.Linear(1, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if len(images) > self.fits:
            raise torch.OutOfMemoryError("as a card says")
        self.sizes.append(len(images))
        return images.mean(dim=(1, 2, 3))[:, None], images


def test_every_image_is_seen_once_in_its_order_and_in_16_bits() -> None:
    network = Mean(fits=99)
    logits = outputs_of(IMAGES, FEEDING, CONFIG, network).logits
    np.testing.assert_allclose(logits[:, 0], MEANS, rtol=1e-5)
    assert network.sizes == [8, 8, 5]


def test_a_batch_that_does_not_fit_is_halved_and_no_image_is_lost() -> None:
    network = Mean(fits=3)
    logits = outputs_of(IMAGES, FEEDING, CONFIG, network).logits
    np.testing.assert_allclose(logits[:, 0], MEANS, rtol=1e-5)
    assert network.sizes == [2] * 10 + [1]


def half_sick(count: int) -> tuple[Tensor, Tensor]:
    """Logits of patients of whom a share sigmoid(2 z - 1) has the finding, half of all."""
    z = torch.linspace(-3, 4, count)
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(count, generator=generator) < torch.sigmoid(2 * z - 1)).float()
    return z[:, None], labels[:, None]


def test_platts_slope_and_intercept_are_those_that_made_the_labels() -> None:
    """At the prevalence of the validation images nothing is moved."""
    logits, labels = half_sick(20000)
    found = calibration(logits, labels, "cel", {"Mass": labels.mean().item()})
    np.testing.assert_allclose(found["Mass"], (2, -1), atol=0.1)


def test_the_mean_calibrated_probability_is_the_prevalence() -> None:
    logits, labels = half_sick(20000)
    share = labels.mean().item()
    found = calibration(logits, labels, "cel", {"Mass": share})["Mass"]
    raw = torch.sigmoid(logits[:, 0]).tolist()
    assert np.isclose(np.mean([calibrated(each, found) for each in raw]), share, atol=0.005)
    rarer = calibration(logits, labels, "cel", {"Mass": 0.1})["Mass"]
    assert rarer[0] == found[0]
    assert np.isclose(rarer[1] - found[1], np.log(1 / 9) - np.log(share / (1 - share)))


NAN = float("nan")


@pytest.mark.parametrize(
    ("labels", "loss", "share"),
    [
        pytest.param([1, 1, 1, 1], "cel", 0.5, id="no validation image without the finding"),
        pytest.param([0, 0, NAN, NAN], "cel", 0.5, id="none with it among the known"),
        pytest.param([1, 1, 0, 0], "cel", 0.5, id="a network that is right the wrong way round"),
        pytest.param([0, 0, 1, 1], "cel", 0.0, id="a finding that no training image has"),
        pytest.param([0, 0, 1, 1], "softmax", 0.5, id="probabilities that sum to 1"),
    ],
)
def test_what_cannot_be_calibrated_stays_as_it_is(
    labels: list[float], loss: str, share: float
) -> None:
    logits = torch.tensor([[-2.0], [-1.0], [1.0], [2.0]])
    assert calibration(logits, torch.tensor(labels)[:, None], loss, {"Mass": share}) == {}
