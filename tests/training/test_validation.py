"""How the validation images go through a network."""

import numpy as np
import torch
from torch import Tensor, nn

from cxrloc.datasets.batches import Feeding, ImageSet
from cxrloc.images.augment import Augmentation
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.training.fit_config import FitConfig
from cxrloc.training.schedules import ScheduleConfig
from cxrloc.training.uncertainty import ignore
from cxrloc.training.validation import logits_of

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

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if len(images) > self.fits:
            raise torch.OutOfMemoryError("as a card says")
        self.sizes.append(len(images))
        return images.mean(dim=(1, 2, 3))[:, None], images


def test_every_image_is_seen_once_in_its_order_and_in_16_bits() -> None:
    network = Mean(fits=99)
    logits = logits_of(IMAGES, FEEDING, CONFIG, network)
    np.testing.assert_allclose(logits[:, 0], MEANS, rtol=1e-5)
    assert network.sizes == [8, 8, 5]


def test_a_batch_that_does_not_fit_is_halved_and_no_image_is_lost() -> None:
    network = Mean(fits=3)
    logits = logits_of(IMAGES, FEEDING, CONFIG, network)
    np.testing.assert_allclose(logits[:, 0], MEANS, rtol=1e-5)
    assert network.sizes == [2] * 10 + [1]
