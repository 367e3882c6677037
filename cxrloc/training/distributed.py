"""Several processes under `torchrun`: which one this is, sums over them, results gathered once.

Every function also works in a single process without `torchrun`, where it changes nothing.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from cxrloc.types import CxrlocError

T = TypeVar("T")
M = TypeVar("M", bound=nn.Module)

ACTIVATED = "BatchNormAct2d"
"""A layer of timm's, which is an extra: batch normalisation, dropout and activation in one."""


@contextmanager
def processes(device: torch.device) -> Iterator[torch.device]:
    """Join the processes that `torchrun` started, if it did, for the time of the block.

    Args:
        device: what to train on, as `own_device` names it.

    Yields:
        The device of this process.
    """
    if "LOCAL_RANK" not in os.environ or dist.is_initialized():
        yield device
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # Sums of tensors on a CPU, as in the validation loss, need gloo beside NCCL.
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
        dist.barrier()  # a process that ends early may break the connections of the others
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Number of this process, from 0; process 0 writes the files."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_main_process() -> bool:
    """Whether this process prints and writes for all: the first of those that `torchrun` started.

    Unlike `rank` this is known before the processes have joined, and after they have left.
    """
    return "LOCAL_RANK" not in os.environ or os.environ["RANK"] == "0"


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def planned_world_size() -> int:
    """How many processes `torchrun` started, also before they have joined."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def own_device(name: str) -> str:
    """The name of the device that this process takes: of several GPUs under `torchrun` its own.

    A process that only asked for "cuda" would else take memory on the first GPU before it turns to
    its own.

    >>> own_device("cpu")
    'cpu'
    """
    if "LOCAL_RANK" in os.environ and name in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{os.environ['LOCAL_RANK']}"
    return name


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


def from_first(make: Callable[[], T]) -> T:
    """The result of `make` in process 0, sent to every process: only its host needs the files.

    Raises:
        CxrlocError: process 0 cannot make it, for the reason that it gives.

    >>> from_first(lambda: "checkpoint")
    'checkpoint'
    """
    if world_size() == 1:
        return make()
    made: list[T | CxrlocError | None] = [None]
    if rank() == 0:
        try:
            made = [make()]
        except CxrlocError as error:
            made = [error]
    dist.broadcast_object_list(made, src=0)
    if isinstance(made[0], CxrlocError):
        raise made[0]
    return cast(T, made[0])


def raise_together(complaint: str) -> None:
    """Raise in every process the error that one of them found, so that none waits for it.

    Raises:
        CxrlocError: the first complaint that is not empty.
    """
    complaints = [complaint]
    if world_size() > 1:
        complaints = [""] * world_size()
        dist.all_gather_object(complaints, complaint)
    if said := [each for each in complaints if each]:
        raise CxrlocError(said[0])


def joined(network: nn.Module) -> nn.Module:
    """A network whose gradients are the mean of all processes'; of a single one, itself.

    Process 0 need not send its buffers round at every pass: they are alike everywhere, as batch
    normalisation moves nowhere or together (`synchronised`).
    """
    if world_size() == 1:
        return network
    # Torch 2.13 gave the setting another name, and warns of its former one.
    if "forward_sync_buffers" in signature(DistributedDataParallel).parameters:
        return DistributedDataParallel(network, forward_sync_buffers=False)
    return DistributedDataParallel(network, broadcast_buffers=False)


def synchronised(network: M, device: torch.device, frozen_normalisation: bool) -> M:
    """The network with batch normalisation over the images of all processes, if it moves at all.

    On accelerators this is PyTorch's own layer. It takes no tensors on a CPU, where it is replaced
    by `SharedBatchNorm`, so that two CPU processes can be held against one and the tests can prove
    what several GPUs would compute. timm's `BatchNormAct2d` still drops and activates after it.

    Raises:
        CxrlocError: a layer does more than normalise, and is none of timm's.
    """
    names = {type(each).__name__ for each in network.modules() if isinstance(each, _BatchNorm)}
    if frozen_normalisation or not names:
        return network
    if other := sorted(names - {"BatchNorm2d", ACTIVATED}):
        raise CxrlocError(
            f"several processes cannot share the batch normalisation of {other[0]} layers: set "
            "frozen_normalisation = true in [fit], or use one process"
        )
    if device.type != "cpu":
        return _synchronised_on_accelerators(network, ACTIVATED in names)
    for name, layer in [*network.named_modules()]:
        if isinstance(layer, nn.BatchNorm2d):
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, SharedBatchNorm(layer))
    return network


def _synchronised_on_accelerators(network: M, activated: bool) -> M:
    if not activated:
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    # That would lose what else the layers do. Who has such a layer has timm.
    from timm.layers import convert_sync_batchnorm

    return convert_sync_batchnorm(network)


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation whose mean and variance are those of all processes' images together.

    Ioffe and Szegedy 2015, Algorithm 1, with sums over processes, through which gradients flow.
    Every process must have as many images.

    Attributes:
        drop: what timm's `BatchNormAct2d` does to the normalised images first.
        act: and then; of a layer that only normalises both are the identity.
    """

    def __init__(self, layer: nn.BatchNorm2d) -> None:
        super().__init__(layer.num_features, layer.eps, layer.momentum)
        self.drop = getattr(layer, "drop", nn.Identity())
        self.act = getattr(layer, "act", nn.Identity())
        self.load_state_dict(layer.state_dict())

    def forward(
        self, images: Float[Tensor, "batch channel row col"]
    ) -> Float[Tensor, "batch channel row col"]:
        """The normalised images; in training the running statistics move too."""
        normalised = self._normalised(images) if self.training else super().forward(images)
        return self.act(self.drop(normalised))

    def _normalised(self, images: Tensor) -> Tensor:
        count = images[:, 0].numel() * world_size()
        wide = images.float()  # autocast may have made them narrower than sums can be
        mean = _Sum.apply(wide.sum(dim=(0, 2, 3))) / count
        centred = wide - mean[:, None, None]
        variance = _Sum.apply(centred.square().sum(dim=(0, 2, 3))) / count
        self._move_statistics(mean.detach(), variance.detach() * (count / (count - 1)))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(images.dtype)

    def _move_statistics(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        assert self.momentum is not None  # None, an average of all batches, no backbone has
        self.get_buffer("running_mean").lerp_(mean, self.momentum)
        self.get_buffer("running_var").lerp_(unbiased_variance, self.momentum)
        self.get_buffer("num_batches_tracked").add_(1)


class _Sum(torch.autograd.Function):
    """The sum over all processes, whose gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return summed(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return summed(gradient)


def own_share(items: Sequence[T]) -> Sequence[T]:
    """The items of this process: every `world_size()`-th one, from number `rank()` on.

    >>> own_share("abc")
    'abc'
    """
    return items[rank() :: world_size()]


def gathered(own: Tensor, count: int) -> Tensor:
    """The rows that all processes made of their `own_share`, in the order of the items.

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
