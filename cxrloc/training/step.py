"""One step of training: forward and backward passes over a batch, then an update of the weights."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cxrloc.datasets.batches import Batch
from cxrloc.devices import autocast
from cxrloc.training.distributed import rank, world_size
from cxrloc.training.fit_config import FitConfig
from cxrloc.training.losses import LOSSES, loss_terms
from cxrloc.training.optimizers import OPTIMIZERS, parameter_groups, set_training


class Parts(NamedTuple):
    """The objects whose state a checkpoint holds.

    Attributes:
        network: the network, which returns (logits, features).
        kept: the network with averaged weights, or `network` itself if weights are not averaged.
        optimizer: the optimizer of the network's weights.
        scaler: the scaler of the loss, used in fp16.
    """

    network: nn.Module
    kept: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler


def parts_of(network: nn.Module, config: FitConfig) -> Parts:
    """A network with its average, optimizer and loss scaler; it must be on the training device."""
    device = next(network.parameters()).device
    groups = parameter_groups(
        network, config.weight_decay, config.backbone_rate, config.frozen_layers
    )
    kept = network
    if config.averaging:
        average = get_ema_multi_avg_fn(config.averaging)
        kept = AveragedModel(network, multi_avg_fn=average, use_buffers=True).eval()
    return Parts(
        network=network,
        kept=kept,
        optimizer=OPTIMIZERS[config.optimizer](
            groups,
            config.schedule.learning_rate,
            config.momentum,
            config.hardware.fused and device.type == "cuda",
        ),
        scaler=torch.amp.GradScaler(device.type, enabled=config.precision == "fp16"),
    )


def take_step(
    forward: nn.Module,
    parts: Parts,
    passes: Sequence[Batch],
    config: FitConfig,
    step: int,
    rate: float,
) -> list[Tensor]:
    """Train on the images of one step, in place.

    Random numbers (dropout) depend only on seed, step and process.

    Args:
        forward: the network itself, or its wrapper that averages gradients over processes.
        parts: the result of `parts_of`.
        passes: forward passes of the step.
        config: how the network is trained.
        step: number of the step, from 0.
        rate: learning rate of the step.

    Returns:
        For each pass, the sum of the losses of its images and the number of terms in this sum
        (`loss_terms`).
    """
    for group in parts.optimizer.param_groups:
        group["lr"] = group["factor"] * rate
    set_training(
        parts.network, config.backbone_rate, config.frozen_normalisation, config.frozen_layers
    )
    device = next(parts.network.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(_seed(config.seed, step))
        losses = []
        for number, batch in enumerate(passes, start=1):
            with _joined(forward, last=number == len(passes)):
                losses.append(_learn(forward, batch, config, parts.scaler))
    _move(parts, config)
    return losses


def _seed(seed: int, step: int) -> int:
    """A seed for the random numbers of one step in one process."""
    return int(np.random.SeedSequence([seed, step, rank()]).generate_state(1)[0])


def _joined(forward: nn.Module, last: bool) -> AbstractContextManager[None]:
    """A context in which processes exchange gradients only if the pass is the last of its step."""
    if isinstance(forward, DistributedDataParallel) and not last:
        return forward.no_sync()
    return nullcontext()


def _learn(
    forward: nn.Module, batch: Batch, config: FitConfig, scaler: torch.amp.GradScaler
) -> Tensor:
    """The summed loss of one forward and backward pass, and the number of terms in this sum."""
    with autocast(batch.labels.device, config.precision, reuse_weights=False):
        logits, _ = forward(*batch.inputs)
    loss = LOSSES[config.loss](logits.float(), batch.labels)
    # DistributedDataParallel averages gradients over the processes. We multiply by the number of
    # processes to get their sum.
    scaler.scale(loss * (world_size() / config.batch_size)).backward()
    return torch.stack([loss.detach(), loss_terms(config.loss, batch.labels)])


def _move(parts: Parts, config: FitConfig) -> None:
    """Update the weights by the optimizer, and then their average."""
    if config.clip_norm:
        parts.scaler.unscale_(parts.optimizer)
        nn.utils.clip_grad_norm_(parts.network.parameters(), config.clip_norm)
    parts.scaler.step(parts.optimizer)
    parts.scaler.update()
    parts.optimizer.zero_grad()
    if isinstance(parts.kept, AveragedModel):
        parts.kept.update_parameters(parts.network)
