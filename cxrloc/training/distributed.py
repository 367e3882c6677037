"""Several processes under `torchrun`: which one this is, sums over them, results gathered once.

Every function also works in a single process without `torchrun`, where it changes nothing.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cxrloc.types import CxrlocError

T = TypeVar("T")
M = TypeVar("M", bound=nn.Module)


@contextmanager
def processes(device: torch.device) -> Iterator[torch.device]:
    """Join the processes that `torchrun` started, if it did, for the time of the block.

    Args:
        device: what to train on; of several GPUs each process takes its own.

    Yields:
        The device of this process.
    """
    if "LOCAL_RANK" not in os.environ or dist.is_initialized():
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    # Sums of tensors on a CPU, as in the validation loss, need gloo beside NCCL.
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Number of this process, from 0; process 0 writes the files."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def summed(values: Tensor) -> Tensor:
    """The sum of a tensor over all processes, without a gradient.

    For counts that belong to the whole batch, such as |P| and |N| of W-CEL (Wang et al. 2017,
    Eq. 1), of which each process sees its own images only.

    >>> summed(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    total = values.detach().clone()
    if world_size() > 1:
        dist.all_reduce(total)
    return total


def synchronised(network: M, device: torch.device, frozen_normalisation: bool) -> M:
    """The network with batch normalisation over the images of all processes, if it moves at all.

    Raises:
        CxrlocError: PyTorch synchronises on accelerators only, and this is a CPU.
    """
    if frozen_normalisation or not any(isinstance(m, _BatchNorm) for m in network.modules()):
        return network
    if device.type == "cpu":
        raise CxrlocError(
            "several processes on a CPU cannot share batch normalisation: set "
            "frozen_normalisation = true in [fit], or use one process"
        )
    return nn.SyncBatchNorm.convert_sync_batchnorm(network)


def own_share(items: Sequence[T]) -> Sequence[T]:
    """Every `world_size()`-th item, from `rank()` on: each item belongs to one process.

    >>> own_share("abc")
    'abc'
    """
    return items[rank() :: world_size()]


def gathered(own: Tensor, count: int) -> Tensor:
    """Rows that the processes made of their `own_share` of `count` items, in the items' order.

    No item is lost or doubled, whether or not the processes share them evenly.

    >>> gathered(torch.tensor([[1.0], [2.0]]), count=2)
    tensor([[1.],
            [2.]])
    """
    if world_size() == 1:
        return own
    parts: list[Tensor] = [own] * world_size()
    dist.all_gather_object(parts, own.cpu())
    rows = torch.empty((count, *own.shape[1:]), dtype=own.dtype)
    for process, part in enumerate(parts):
        rows[process :: world_size()] = part
    return rows
