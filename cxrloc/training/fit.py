"""The training loop. On a CPU, a resumed run gives bit-identical weights."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from cxrloc.datasets.batches import Batch
from cxrloc.files.setting_difference import first_difference
from cxrloc.training.checkpoints import (
    State,
    last_checkpoint,
    read_weights,
    restore,
    write_checkpoint,
    write_history,
    write_weights,
)
from cxrloc.training.distributed import from_first, joined, raise_together, rank
from cxrloc.training.fit_config import FitConfig, learning_rate, validations_since_best
from cxrloc.training.progress import Losses, Moment, ignore_progress
from cxrloc.training.step import Parts, parts_of, take_step

Batches = Callable[[int], Iterable[Sequence[Batch]]]
"""A function from the first step to the forward passes of each step, on the network's device."""

Validate = Callable[[nn.Module], Mapping[str, float]]
"""A function from a network in evaluation mode to its scores by name.

If the scores contain `validation_loss`, the best weights are chosen by it.
"""


@dataclass(frozen=True, slots=True)
class Run:
    """The folder of a training run, and what identifies the run.

    Attributes:
        out: folder of metrics.csv, last.ckpt and best.ckpt, created if absent. Only the first
            process writes and reads these files; the other processes may be on other hosts.
        resume: whether to continue from `out`/last.ckpt.
        identity: recipe and data as plain values. A checkpoint, or a process, with other values
            is refused.
        watch: function that is called with the progress about once a second.
        note: what every row of metrics.csv says of the data; empty for nothing.
    """

    out: Path
    resume: bool = False
    identity: Mapping[str, Any] = field(default_factory=dict)
    watch: Callable[[Moment], None] = ignore_progress
    note: str = ""


def fit(
    network: nn.Module, batches: Batches, validate: Validate, config: FitConfig, run: Run
) -> nn.Module:
    """Train a network in place; every process of `torchrun` calls this with its own batches.

    The gradient of a step is that of the summed loss of all its images, over all forward passes and
    processes, divided by the number of images. Random numbers of a step (dropout) depend only on
    seed, step and process.

    Args:
        network: network that returns (logits, features), on the device to train on.
        batches: called once with the number of the first step. For an exact resumption, the batches
            of a step must depend only on the number of the step.
        validate: called with the network whose weights are kept; its scores become columns of
            metrics.csv.
        config: settings of the training, with all lengths in steps.
        run: folder, identity and progress callback of the run.

    Returns:
        The network to keep, in evaluation mode: the best by validation loss, or the last.

    Raises:
        CxrlocError: the loss is not finite, the folder has a checkpoint of another run, or the data
            or settings of a process differ from those of the first process.
    """
    parts = parts_of(network, config)
    state = _first_state(parts, run)
    forward = joined(network)
    if config.hardware.compile:
        forward = cast(nn.Module, torch.compile(forward))
    losses = Losses(state, config, run.watch)
    for passes in batches(state.step):
        if state.step >= config.steps or _stopped(state, config):
            break
        rate = learning_rate(state.step, config, state.history)
        for each in take_step(forward, parts, passes, config, state.step, rate):
            losses.add(each)
        state.step += 1
        if state.step % config.validate_every == 0 or state.step == config.steps:
            _validate(parts, validate, config, run, losses)
            write = True
        else:
            write = losses.watch()
        if write and rank() == 0:
            write_checkpoint(run.out / "last.ckpt", parts._asdict(), state, run.identity)
    return _finished(parts, config, run)


def _first_state(parts: Parts, run: Run) -> State:
    """The initial state: from the checkpoint on the disk of process 0, or a new state."""
    run.out.mkdir(parents=True, exist_ok=True)
    checkpoint = from_first(partial(last_checkpoint, run.out / "last.ckpt", run.resume))
    found = first_difference(from_first(lambda: run.identity), run.identity)
    raise_together(found and f"process {rank()} has other data or settings than process 0: {found}")
    if checkpoint is not None:
        return restore(checkpoint, parts._asdict(), run.identity)
    (run.out / "best.ckpt").unlink(missing_ok=True)
    return State()


def _validate(
    parts: Parts, validate: Validate, config: FitConfig, run: Run, losses: Losses
) -> None:
    """Add a row to the history, and write the weights if they are the best so far."""
    state, kept = losses.state, _plain(parts.kept).eval()
    rate = learning_rate(state.step - 1, config, state.history)
    row = {"step": state.step, "learning_rate": rate, **losses.take(), **validate(kept)}
    state.history.append(row)
    if rank() == 0:
        write_history(run.out / "metrics.csv", state.history, run.note)
        if "validation_loss" in row and not validations_since_best(state.history):
            write_weights(run.out / "best.ckpt", kept)
    losses.watch(now=True)


def _stopped(state: State, config: FitConfig) -> bool:
    """Whether the validation loss has not fallen for `stop_after` validations."""
    return 0 < config.stop_after <= validations_since_best(state.history)


def _finished(parts: Parts, config: FitConfig, run: Run) -> nn.Module:
    """The network to keep, with the weights that process 0 has kept."""
    kept = _plain(parts.kept)

    def weights() -> dict[str, Tensor]:
        if config.keep == "best" and (run.out / "best.ckpt").exists():
            read_weights(run.out / "best.ckpt", kept)
        return {name: tensor.cpu() for name, tensor in kept.state_dict().items()}

    kept.load_state_dict(from_first(weights))
    return kept.eval()


def _plain(network: nn.Module) -> nn.Module:
    """The network without the wrapper that averages its weights."""
    return network.module if isinstance(network, AveragedModel) else network
