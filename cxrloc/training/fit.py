"""The training loop. On a CPU a resumed run gives the same weights to the bit."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from cxrloc.datasets.batches import Batch
from cxrloc.files.run_folder import first_difference
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
"""From a step on, the forward passes of each step, on the device of the network."""

Validate = Callable[[nn.Module], Mapping[str, float]]
"""Numbers by name of a network in evaluation mode; `validation_loss` chooses, if it is there."""


@dataclass(frozen=True, slots=True)
class Run:
    """The folder of a training run, and what identifies the run.

    Attributes:
        out: folder of metrics.csv, last.ckpt and best.ckpt, made if absent. Of several processes
            the first writes and reads them; the others need not see its disk.
        resume: go on from `out`/last.ckpt.
        identity: recipe and data as plain values. A checkpoint, or a process, with other values
            is refused.
        watch: called about once a second.
    """

    out: Path
    resume: bool = False
    identity: Mapping[str, Any] = field(default_factory=dict)
    watch: Callable[[Moment], None] = ignore_progress


def fit(
    network: nn.Module, batches: Batches, validate: Validate, config: FitConfig, run: Run
) -> nn.Module:
    """Train a network in place; every process of `torchrun` calls it with its own batches.

    The gradient of a step is that of the loss of all its images, over all forward passes and
    processes, divided by their number. Random numbers of a step (dropout) depend on seed, step
    and process alone.

    Args:
        network: gives (logits, features), on the device to train on.
        batches: called once with the first step to do; for an exact resumption what it gives must
            depend on the step alone.
        validate: called with the network whose weights are kept; its numbers become columns.
        config: the recipe, with its steps resolved.
        run: the folder, and the function that is told of progress.

    Returns:
        The network to keep, in evaluation mode: the best by validation loss, or the last.

    Raises:
        CxrlocError: the loss is not finite, there is a checkpoint of another run, or a process
            has other data or settings than the first.
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
    """The state to begin with: that of the checkpoint on the disk of process 0, or a new one."""
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
        write_history(run.out / "metrics.csv", state.history)
        if "validation_loss" in row and not validations_since_best(state.history):
            write_weights(run.out / "best.ckpt", kept)
    losses.watch(now=True)


def _stopped(state: State, config: FitConfig) -> bool:
    """Whether the validation loss has not fallen for too long."""
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
    """The network itself where it stands inside its average."""
    return network.module if isinstance(network, AveragedModel) else network
