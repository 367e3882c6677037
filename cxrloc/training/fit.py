"""The training loop: batches in, a network and its history out; resumable to the bit on a CPU."""

import csv
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cxrloc.training.losses import LOSSES
from cxrloc.types import CxrlocError

Batches = Callable[[int], Iterable[tuple[Tensor, Tensor]]]
"""The batches from a step on: (images [batch channel row col], labels [batch finding])."""

Validate = Callable[[nn.Module], Mapping[str, float]]
"""Numbers by name of a network in evaluation mode."""

_Parts = Mapping[str, nn.Module | torch.optim.Optimizer]
_History = list[dict[str, float]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FitConfig:
    """How a network is trained: AdamW, linear warm-up, cosine decay to 0.

    Attributes:
        steps: batches to learn from.
        learning_rate: its peak.
        loss: a name of `LOSSES`.
        warmup_steps: over which the learning rate rises to its peak.
        weight_decay: of weights; biases and normalisation have none.
        averaging: decay per step of the exponential average of weights that is validated and
            kept; 0: the last weights themselves.
        validate_every: steps between validations, each followed by a checkpoint.
        seed: of the random numbers drawn while training (dropout).

    Raises:
        CxrlocError: the loss is unknown.
    """

    steps: int
    learning_rate: float
    loss: str = "cel"
    warmup_steps: int = 0
    weight_decay: float = 0.0
    averaging: float = 0.0
    validate_every: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise CxrlocError(f"loss {self.loss!r} is unknown: choose one of {', '.join(LOSSES)}")


def learning_rate(step: int, config: FitConfig) -> float:
    """Linear warm-up to the peak, then half a cosine down to 0 after the last step.

    >>> config = FitConfig(steps=6, warmup_steps=2, learning_rate=1.0)
    >>> [round(learning_rate(step, config), 2) for step in range(6)]
    [0.5, 1.0, 1.0, 0.85, 0.5, 0.15]
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / (config.steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def shuffled(count: int, batch_size: int, seed: int, first_step: int = 0) -> Iterator[list[int]]:
    """Endless batches of indices, a new order each epoch; a batch sampler for a `DataLoader`.

    The indices of a step depend on nothing but the arguments. Those that fill no whole batch at
    an epoch's end are left out of that epoch.

    >>> batches = shuffled(count=4, batch_size=2, seed=0)
    >>> sorted(next(batches) + next(batches))
    [0, 1, 2, 3]
    """
    per_epoch = count // batch_size
    step = first_step
    while True:
        epoch, start = divmod(step, per_epoch)
        order = np.random.default_rng([seed, epoch]).permutation(count).tolist()
        for batch in range(start, per_epoch):
            yield order[batch * batch_size : (batch + 1) * batch_size]
            step += 1


def fit(
    network: nn.Module,
    batches: Batches,
    validate: Validate,
    config: FitConfig,
    out: Path,
    resume: bool = False,
) -> nn.Module:
    """Train a network in place; `out` gets metrics.csv and last.ckpt.

    Args:
        network: gives (logits, features), on the device to train on.
        batches: called once with the first step to do; for an exact resumption its batches must
            depend on the step alone (see `shuffled`).
        validate: called with the network whose weights are kept; its numbers become columns.
        config: the recipe.
        out: a folder, made if absent.
        resume: go on from `out`/last.ckpt.

    Returns:
        The network to keep, in evaluation mode.

    Raises:
        CxrlocError: the loss is not finite, or the checkpoint is missing or of another config.
    """
    out.mkdir(parents=True, exist_ok=True)
    device = next(network.parameters()).device
    optimizer = _optimizer(network, config)
    average = get_ema_multi_avg_fn(config.averaging)
    kept = AveragedModel(network, multi_avg_fn=average, use_buffers=True).eval()
    parts: _Parts = {"network": network, "kept": kept, "optimizer": optimizer}
    history: _History = []
    losses: list[Tensor] = []
    step, images_seen, since = 0, 0, time.perf_counter()
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        if resume:
            history = _read_checkpoint(out / "last.ckpt", parts, config)
            step = int(history[-1]["step"])
        for images, labels in islice(batches(step), config.steps - step):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, config)
            logits, _ = network.train()(images.to(device))
            loss = LOSSES[config.loss](logits, labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            kept.update_parameters(network)
            step += 1
            losses.append(loss.detach() / labels.numel())
            images_seen += len(images)
            if step % config.validate_every == 0 or step == config.steps:
                per_second = images_seen / (time.perf_counter() - since)
                row = {"step": step, "loss": _mean(losses, step), "images_per_second": per_second}
                history.append({**row, **validate(kept.module)})
                _write_progress(out, history, parts, config)
                losses, images_seen, since = [], 0, time.perf_counter()
    return kept.module


def _optimizer(network: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    """AdamW that decays weights only, not biases and normalisation (one axis)."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    free = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def _mean(losses: list[Tensor], step: int) -> float:
    """Mean loss per label; checked here, not per step, so that a GPU need not be waited for."""
    mean = torch.stack(losses).mean().item()
    if not math.isfinite(mean):
        raise CxrlocError(f"the loss was not finite by step {step}: lower the learning rate")
    return mean


def _write_progress(out: Path, history: _History, parts: _Parts, config: FitConfig) -> None:
    """The table so far, and a checkpoint that replaces the last one only once it is whole."""
    log.info(", ".join(f"{name} {value:.4g}" for name, value in history[-1].items()))
    with (out / "metrics.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, fieldnames=history[-1])
        table.writeheader()
        table.writerows(history)
    checkpoint: dict[str, Any] = {name: part.state_dict() for name, part in parts.items()}
    checkpoint |= {"history": history, "config": asdict(config), "rng": torch.get_rng_state()}
    torch.save(checkpoint, out / "last.ckpt.part")
    (out / "last.ckpt.part").replace(out / "last.ckpt")


def _read_checkpoint(path: Path, parts: _Parts, config: FitConfig) -> _History:
    """Put everything back to where it was; the history's last row says at which step."""
    if not path.is_file():
        raise CxrlocError(f"{path}: nothing to resume, there is no checkpoint")
    checkpoint = torch.load(path, weights_only=True)
    if checkpoint["config"] != asdict(config):
        raise CxrlocError(f"{path}: written with other settings: {checkpoint['config']}")
    for name, part in parts.items():
        part.load_state_dict(checkpoint[name])
    torch.set_rng_state(checkpoint["rng"])
    return checkpoint["history"]
