import csv
from dataclasses import replace

import pytest
import torch
from torch import nn

from cxrloc.datasets.batches import Batch, shuffled
from cxrloc.errors import CxrlocError
from cxrloc.files.setting_difference import first_difference
from cxrloc.training.fit import Run, fit
from cxrloc.training.fit_config import FitConfig, learning_rate, resolved
from cxrloc.training.optimizers import parameter_groups, set_training
from cxrloc.training.schedules import ScheduleConfig


class Tiny(nn.Module):
    """Finds bright images; dropout makes the random stream matter."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.prediction = nn.Sequential(nn.Dropout(0.2), nn.Linear(4, 1))

    def forward(self, images):
        features = self.backbone(images)
        return self.prediction(features.mean(dim=(2, 3))), features


IMAGES = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * torch.linspace(
    0.2, 1, 40
).reshape(-1, 1, 1, 1)
LABELS = (torch.arange(40) >= 20).float()[:, None]


def batches(first_step, passes=1):
    for rows in shuffled(LABELS.bool().numpy(), batch_size=8, seed=1, first_step=first_step):
        parts = torch.tensor(rows).chunk(passes)
        yield [Batch((IMAGES[part],), LABELS[part]) for part in parts]


def validate(network):
    assert not network.training
    logits = network(IMAGES)[0]
    loss = nn.functional.binary_cross_entropy_with_logits(logits, LABELS)
    accuracy = ((logits > 0) == LABELS).float().mean()
    return {"validation_loss": loss.item(), "accuracy": accuracy.item()}


def new_network():
    torch.manual_seed(0)
    return Tiny()


CONFIG = FitConfig(
    schedule=ScheduleConfig(learning_rate=0.05, warmup_steps=5),
    batch_size=8,
    steps=60,
    averaging=0.8,
    validate_every=20,
    loss="w_cel",
    keep="last",
)
SHORT = replace(CONFIG, steps=4, validate_every=2, averaging=0.0)


def test_it_learns_and_writes_its_history(tmp_path):
    moments = []
    run = Run(tmp_path, watch=moments.append)
    fit(new_network(), batches, validate, CONFIG, run)
    rows = list(csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["20", "40", "60"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert float(rows[-1]["accuracy"]) > 0.85
    assert (moments[-1].step, moments[-1].steps, moments[-1].seconds_left) == (60, 60, 0)
    assert moments[-1].images_per_second > 0
    assert moments[-1].validation["accuracy"] == float(rows[-1]["accuracy"])


@pytest.mark.parametrize("last_step", [0, 3, 8, 13], ids=lambda step: f"killed in step {step}")
def test_resumed_training_is_equal_to_the_bit(tmp_path, monkeypatch, last_step):
    """Before the first validation, between two, at one, and in the second epoch of five steps."""
    monkeypatch.setattr("cxrloc.training.progress.CHECKPOINT_SECONDS", 0)
    config = replace(CONFIG, steps=16, validate_every=4)
    whole = fit(new_network(), batches, validate, config, Run(tmp_path / "whole"))

    def killed(first_step):
        for step, batch in enumerate(batches(first_step), start=first_step):
            if step == last_step:
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt):
        fit(new_network(), killed, validate, config, Run(tmp_path / "parts"))
    resumed = fit(new_network(), batches, validate, config, Run(tmp_path / "parts", resume=True))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    tables = [
        [
            {name: value for name, value in row.items() if name != "images_per_second"}
            for row in csv.DictReader((tmp_path / place / "metrics.csv").read_text().splitlines())
        ]
        for place in ("whole", "parts")
    ]
    assert tables[0] == tables[1]


def test_passes_that_share_a_step_add_up_to_it(tmp_path):
    """Without batch normalisation, dropout and W-CEL, whose balance is that of a pass."""
    config = replace(SHORT, loss="cel", frozen_normalisation=True, optimizer="sgd")
    states = []
    for passes in (1, 4):
        network = new_network()
        network.prediction[0].p = 0.0
        shared = replace(config, accumulation=passes)
        run = Run(tmp_path / str(passes))
        fit(network, lambda step, n=passes: batches(step, n), validate, shared, run)
        states.append(network.state_dict())
    for name, tensor in states[0].items():
        torch.testing.assert_close(tensor, states[1][name])


def test_without_averaging_the_last_weights_are_kept(tmp_path):
    network = new_network()
    assert fit(network, batches, validate, SHORT, Run(tmp_path)) is network


def test_the_best_weights_are_kept_and_training_stops_when_nothing_gets_better(tmp_path):
    losses = iter([0.5, 0.3, 0.4, 0.6, 0.1])
    seen = []

    def scripted(network):
        seen.append(network.prediction[1].weight.detach().clone())
        return {"validation_loss": next(losses)}

    config = replace(SHORT, steps=100, stop_after=2, keep="best")
    kept = fit(new_network(), batches, scripted, config, Run(tmp_path))
    assert len(seen) == 4
    assert torch.equal(kept.prediction[1].weight, seen[1])
    again = fit(new_network(), batches, scripted, config, Run(tmp_path, resume=True))
    assert len(seen) == 4
    assert torch.equal(again.prediction[1].weight, seen[1])


def test_a_frozen_backbone_does_not_move_and_neither_do_its_statistics(tmp_path):
    network = new_network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fit(network, batches, validate, replace(SHORT, backbone_rate=0.0), Run(tmp_path))
    moved = {n for n, tensor in network.state_dict().items() if not torch.equal(tensor, before[n])}
    assert moved == {"prediction.1.weight", "prediction.1.bias"}


def test_a_slower_backbone_moves_by_its_share(tmp_path):
    """One step of plain gradient descent from the same start."""
    moves = []
    for rate in (1.0, 0.1):
        network = new_network()
        before = network.backbone[0].weight.detach().clone()
        config = replace(SHORT, steps=1, optimizer="sgd", momentum=0.0, backbone_rate=rate)
        fit(network, batches, validate, config, Run(tmp_path / str(rate)))
        moves.append(network.backbone[0].weight.detach() - before)
    torch.testing.assert_close(moves[1], 0.1 * moves[0], rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_clipped_gradient_is_no_longer_than_asked_for(tmp_path, precision):
    """In fp16 the gradient is that of 65,536 times the loss, and is clipped without that factor."""
    network = new_network()
    before = [parameter.detach().clone() for parameter in network.parameters()]
    schedule = ScheduleConfig(learning_rate=1.0, name="constant")
    config = replace(SHORT, schedule=schedule, steps=1, optimizer="sgd", momentum=0.0)
    config = replace(config, clip_norm=1e-3, precision=precision)
    fit(network, batches, validate, config, Run(tmp_path))
    steps = [a.detach() - b for a, b in zip(network.parameters(), before, strict=True)]
    assert torch.stack([step.norm() for step in steps]).norm() == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_learns_too_and_keeps_float32_weights(tmp_path, precision):
    config = replace(CONFIG, precision=precision)
    kept = fit(new_network(), batches, validate, config, Run(tmp_path))
    assert validate(kept)["accuracy"] > 0.8
    assert {parameter.dtype for parameter in kept.parameters()} == {torch.float32}


def test_training_leaves_the_callers_random_numbers_alone(tmp_path):
    network = new_network()
    before = torch.get_rng_state()
    fit(network, batches, validate, SHORT, Run(tmp_path))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_checkpoint_of_another_run_is_refused_by_what_differs(tmp_path):
    fit(new_network(), batches, validate, SHORT, Run(tmp_path, identity={"data": "a", "seed": 1}))
    other = Run(tmp_path, resume=True, identity={"data": "b", "seed": 1})
    with pytest.raises(CxrlocError, match=r"last\.ckpt: .*data is 'a' there and 'b' here"):
        fit(new_network(), batches, validate, SHORT, other)
    with pytest.raises(CxrlocError, match=r"last\.ckpt is there"):
        fit(new_network(), batches, validate, SHORT, Run(tmp_path))


EMPTY = {"none": None, "zero": 0, "text": "", "tuple": (), "table": {}, "nested": {"zero": 0.0}}


def test_settings_that_are_empty_alike_go_on(tmp_path):
    first = fit(new_network(), batches, validate, SHORT, Run(tmp_path, identity=EMPTY))
    other = Run(tmp_path, resume=True, identity=EMPTY)
    again = fit(new_network(), batches, validate, SHORT, other)
    torch.testing.assert_close(again.state_dict(), first.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"zero": None}, "zero is 0 there and none here"),
        ({"zero": ""}, "zero is 0 there and '' here"),
        ({"text": ()}, "text is '' there and an empty list here"),
        ({"nested": {}}, "nested.zero is 0 there and missing here"),
        ({"new": 0}, "new is missing there and 0 here"),
    ],
)
def test_what_is_empty_in_another_way_or_missing_is_another_setting(changed, message):
    assert first_difference(EMPTY, {**EMPTY, **changed}) == message


def test_a_loss_that_is_not_finite_stops_training(tmp_path):
    config = replace(SHORT, schedule=ScheduleConfig(learning_rate=1e30))
    with pytest.raises(CxrlocError, match="not finite by step 2"):
        fit(new_network(), batches, validate, config, Run(tmp_path))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"loss": "focal"}, "loss 'focal' is unknown: choose one of"),
        ({"optimizer": "lion"}, "choose one of sgd, adam, adamw"),
        ({"precision": "int4"}, "choose one of fp32, bf16, fp16"),
        ({"epochs": 2}, "either steps or epochs, above 0"),
        ({"accumulation": 3}, "a batch of 8 cannot be shared by 3 passes"),
        ({"batch_size": 0}, "batch_size = 0: it must be 1 or more"),
        ({"accumulation": 0}, "accumulation = 0: it must be 1 or more"),
        ({"steps": -5, "epochs": 1}, "steps = -5: it must be 0 or more"),
        ({"validate_every": -1}, "validate_every = -1: it must be 0 or more"),
        ({"validate_every_epochs": 0.0}, "validate_every_epochs = 0.0: it must be above 0"),
        ({"seed": -1}, "seed = -1: it must be 0 or more"),
        ({"averaging": 1.0}, "averaging = 1.0: it must be 0 or more and below 1"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(wrong, message):
    with pytest.raises(CxrlocError, match=message):
        replace(CONFIG, **wrong)


def test_epochs_become_steps_once_the_number_of_images_is_known():
    config = resolved(replace(CONFIG, steps=0, epochs=3, validate_every=0), images=41)
    assert (config.steps, config.validate_every) == (15, 5)
    often = resolved(replace(CONFIG, validate_every=0, validate_every_epochs=0.4), images=41)
    assert (often.steps, often.validate_every) == (60, 2)  # of 5 steps an epoch
    with pytest.raises(CxrlocError, match="7 training images are fewer than a batch"):
        resolved(CONFIG, images=7)


def test_a_plateau_cuts_the_rate_by_the_validation_losses_of_the_history():
    schedule = ScheduleConfig(learning_rate=8.0, name="plateau", decay=0.5)
    config = replace(CONFIG, schedule=schedule)
    assert learning_rate(30, config, [{"validation_loss": 0.5}]) == 8.0
    assert learning_rate(50, config, [{"validation_loss": 0.5}, {"validation_loss": 0.6}]) == 4.0


def test_frozen_layers_keep_weights_and_statistics_while_later_ones_learn():
    network = nn.ModuleDict(
        {"backbone": nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))}
    )
    groups = parameter_groups(network, weight_decay=0.0, backbone_rate=0.5, frozen_layers=2)
    set_training(network, backbone_rate=0.5, frozen_normalisation=False, frozen_layers=2)
    first, normalisation, last = network["backbone"]
    assert [p.requires_grad for p in network.parameters()] == [False] * 4 + [True] * 2
    assert sum(len(group["params"]) for group in groups) == 2
    assert (first.training, normalisation.training, last.training) == (False, False, True)
