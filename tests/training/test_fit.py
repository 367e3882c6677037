import csv
from itertools import islice

import pytest
import torch
from torch import nn

from cxrloc.training.fit import FitConfig, fit, learning_rate, shuffled
from cxrloc.types import CxrlocError


class Tiny(nn.Module):
    """Finds bright images; dropout makes the random stream matter."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.prediction = nn.Sequential(nn.Dropout(0.2), nn.Linear(4, 1))

    def forward(self, images):
        features = self.features(images)
        return self.prediction(features.mean(dim=(2, 3))), features


IMAGES = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * torch.linspace(
    0.2, 1, 40
).reshape(-1, 1, 1, 1)
LABELS = (torch.arange(40) >= 20).float()[:, None]


def batches(first_step):
    for rows in shuffled(len(IMAGES), batch_size=8, seed=1, first_step=first_step):
        yield IMAGES[rows], LABELS[rows]


def accuracy(network):
    assert not network.training
    return {"accuracy": ((network(IMAGES)[0] > 0) == LABELS).float().mean().item()}


def new_network():
    torch.manual_seed(0)
    return Tiny()


CONFIG = FitConfig(
    steps=60, learning_rate=0.05, warmup_steps=5, averaging=0.8, validate_every=20, loss="w_cel"
)


def test_it_learns_and_writes_its_history(tmp_path):
    fit(new_network(), batches, accuracy, CONFIG, tmp_path)
    rows = list(csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["20", "40", "60"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert float(rows[-1]["accuracy"]) > 0.85


def test_resumed_training_is_equal_to_the_bit(tmp_path):
    whole = fit(new_network(), batches, accuracy, CONFIG, tmp_path / "whole")

    def killed(first_step):
        for step, batch in enumerate(batches(first_step), start=first_step):
            if step == 47:
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt):
        fit(new_network(), killed, accuracy, CONFIG, tmp_path / "parts")
    resumed = fit(Tiny(), batches, accuracy, CONFIG, tmp_path / "parts", resume=True)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_without_averaging_the_last_weights_are_kept(tmp_path):
    network = new_network()
    kept = fit(network, batches, accuracy, FitConfig(steps=10, learning_rate=0.01), tmp_path)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, kept.state_dict()[name]), name


def test_training_leaves_the_callers_random_numbers_alone(tmp_path):
    network = new_network()
    before = torch.get_rng_state()
    fit(network, batches, accuracy, FitConfig(steps=2, learning_rate=0.01), tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    fit(new_network(), batches, accuracy, FitConfig(steps=2, learning_rate=0.01), tmp_path)
    with pytest.raises(CxrlocError, match=r"last\.ckpt: written with other settings"):
        fit(Tiny(), batches, accuracy, FitConfig(steps=3, learning_rate=0.01), tmp_path, True)
    with pytest.raises(CxrlocError, match="nothing to resume"):
        fit(Tiny(), batches, accuracy, CONFIG, tmp_path / "empty", resume=True)


def test_a_loss_that_is_not_finite_stops_training(tmp_path):
    config = FitConfig(steps=10, learning_rate=1e30)
    with pytest.raises(CxrlocError, match="not finite by step 10"):
        fit(new_network(), batches, accuracy, config, tmp_path)


def test_an_unknown_loss_is_refused_with_those_that_exist():
    with pytest.raises(CxrlocError, match="choose one of cel, w_cel"):
        FitConfig(steps=1, learning_rate=1.0, loss="focal")


def test_each_epoch_is_a_new_order_of_all_images_and_any_step_can_be_first():
    a, b, c, d = islice(shuffled(10, batch_size=5, seed=3), 4)
    assert sorted(a + b) == sorted(c + d) == list(range(10))
    assert a + b != c + d
    assert next(shuffled(10, batch_size=5, seed=3, first_step=3)) == d


def test_the_learning_rate_ends_at_zero():
    config = FitConfig(steps=1000, warmup_steps=100, learning_rate=0.1)
    assert learning_rate(99, config) == learning_rate(100, config) == 0.1
    assert learning_rate(999, config) < 1e-6
