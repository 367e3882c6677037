import math

import pytest
import torch
from torch.optim.lr_scheduler import CyclicLR, ReduceLROnPlateau

from cxrloc.errors import CxrlocError
from cxrloc.training.schedules import (
    LENGTHS,
    SCHEDULES,
    Progress,
    ScheduleConfig,
    in_steps,
    plateau,
    step_decay,
    triangular2,
)

CONFIGS = {
    "constant": ScheduleConfig(0.1, "constant"),
    "step": ScheduleConfig(0.1, "step", decay_every=7),
    "cosine": ScheduleConfig(0.1, warmup_steps=5),
    "triangular2": ScheduleConfig(0.1, "triangular2", base_learning_rate=0.01, half_cycle_steps=4),
    "plateau": ScheduleConfig(0.1, "plateau"),
}


def an_optimizer(learning_rate):
    return torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=learning_rate)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_stays_between_zero_and_its_highest_rate(name):
    config = CONFIGS[name]
    rates = [
        SCHEDULES[name](Progress(step, 50, [1.0] * (step // 10)), config) for step in range(50)
    ]
    assert all(0 < rate <= config.learning_rate for rate in rates)


@pytest.mark.parametrize("half_cycle", [1, 3, 10])
def test_triangular2_is_torchs_with_momentum_left_alone(half_cycle):
    optimizer = an_optimizer(0.001)
    peer = CyclicLR(optimizer, 0.001, 0.02, half_cycle, mode="triangular2", cycle_momentum=False)
    config = ScheduleConfig(
        0.02, "triangular2", base_learning_rate=0.001, half_cycle_steps=half_cycle
    )
    for step in range(5 * half_cycle):
        assert triangular2(Progress(step, 99), config) == pytest.approx(peer.get_last_lr()[0])
        optimizer.step()
        peer.step()


@pytest.mark.parametrize("patience", [0, 2])
def test_plateau_is_torchs_without_a_threshold(patience):
    losses = torch.rand(40, generator=torch.Generator().manual_seed(1)).tolist()
    optimizer = an_optimizer(1.0)
    peer = ReduceLROnPlateau(optimizer, factor=0.5, patience=patience, threshold=0, eps=0)
    config = ScheduleConfig(1.0, "plateau", decay=0.5, patience=patience)
    for count, loss in enumerate(losses, start=1):
        peer.step(loss)
        rate = plateau(Progress(count, 40, losses[:count]), config)
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"])


def test_a_loss_that_is_not_a_number_is_no_improvement():
    config = ScheduleConfig(1.0, "plateau", decay=0.5)
    assert plateau(Progress(3, 9, [0.5, math.nan, 0.4]), config) == 0.5


def test_the_rate_of_a_step_needs_no_memory_of_those_before():
    config = CONFIGS["step"]
    assert step_decay(Progress(21, 50), config) == pytest.approx(0.1 * 0.1**3)


@pytest.mark.parametrize(("steps", "epochs"), LENGTHS.items())
def test_every_length_may_be_given_in_epochs(steps, epochs):
    """2.5 epochs of 10 steps are 25 steps; less than a step is a step."""
    name = {"half_cycle_steps": "triangular2", "decay_every": "step"}.get(steps, "cosine")
    for length, expected in ((2.5, 25), (0.01, 1)):
        config = in_steps(ScheduleConfig(0.1, name, **{epochs: length}), steps_per_epoch=10)
        assert config == ScheduleConfig(0.1, name, **{steps: expected})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "linear"}, "'linear' is unknown: constant, step, cosine"),
        ({"name": "triangular2"}, "needs half_cycle_steps"),
        ({"name": "step"}, "needs decay_every or decay_every_epochs"),
        ({"warmup_steps": 2, "warmup_epochs": 1.0}, "warmup_steps = 2 and warmup_epochs = 1.0: gi"),
        ({"half_cycle_epochs": -1.0}, "half_cycle_epochs = -1.0: give one of the two"),
        ({"base_learning_rate": 0.2}, "at or above base_learning_rate"),
        ({"decay": 1.5}, "decay must be above 0"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(values, message):
    with pytest.raises(CxrlocError, match=message):
        ScheduleConfig(0.1, **values)
