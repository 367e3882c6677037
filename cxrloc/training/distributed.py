"""Training in several processes under `torchrun`: ranks, sums and gathered results.

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

from cxrloc.errors import CxrlocError

T = TypeVar("T")
M = TypeVar("M", bound=nn.Module)

ACTIVATED = "BatchNormAct2d"
"""A timm layer with batch normalisation, dropout and activation in one; timm is an extra."""


@contextmanager
def processes(device: torch.device) -> Iterator[torch.device]:
    """Connect the processes that `torchrun` started, if any, for the time of the block.

    Args:
        device: the device to train on, as `own_device` names it.

    Yields:
        The device of this process.
    """
    if "LOCAL_RANK" not in os.environ or dist.is_initialized():
        yield device
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # Sums of tensors on a CPU, as in the validation loss, need gloo in addition to NCCL.
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
    """Whether this process is the first that `torchrun` started, which prints and writes for all.

    Unlike `rank`, this function also works before the processes connect and after they disconnect.
    """
    return "LOCAL_RANK" not in os.environ or os.environ["RANK"] == "0"


def world_size() -> int:
    """The number of processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def planned_world_size() -> int:
    """The number of processes that `torchrun` started, also before they are connected."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def own_device(name: str) -> str:
    """The name of the device of this process; under `torchrun` each process has its own GPU.

    Without the number of the GPU, a process would first allocate memory on the first GPU and only
    then switch to its own.

    >>> own_device("cpu")
    'cpu'
    """
    if "LOCAL_RANK" in os.environ and name in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{os.environ['LOCAL_RANK']}"
    return name


def summed(values: Tensor) -> Tensor:
    """The sum of a tensor over all processes, without a gradient.

    It is used for counts over the whole batch, such as |P| and |N| of W-CEL (Wang et al. 2017,
    Eq. 1), because each process sees only its own images.

    >>> summed(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    total = values.detach().clone()
    if world_size() > 1:
        dist.all_reduce(total)
    return total


def from_first(make: Callable[[], T]) -> T:
    """The result of `make` in process 0, sent to every process.

    So only the host of process 0 needs the files that `make` reads.

    Raises:
        CxrlocError: `make` failed in process 0; every process raises the same error.

    >>> from_first(lambda: "checkpoint")
    'checkpoint'
    """
    if world_size() == 1:
        return make()
    result: list[T | CxrlocError | None] = [None]
    if rank() == 0:
        try:
            result = [make()]
        except CxrlocError as error:
            result = [error]
    dist.broadcast_object_list(result, src=0)
    if isinstance(result[0], CxrlocError):
        raise result[0]
    return cast(T, result[0])


def raise_together(complaint: str) -> None:
    """Raise an error of one process in all processes, so that none of them waits for it forever.

    Raises:
        CxrlocError: a process has a complaint; the message is the first that is not empty.
    """
    complaints = [complaint]
    if world_size() > 1:
        complaints = [""] * world_size()
        dist.all_gather_object(complaints, complaint)
    if messages := [each for each in complaints if each]:
        raise CxrlocError(messages[0])


def joined(network: nn.Module) -> nn.Module:
    """A network whose gradients are averaged over all processes; with one process, `network`.

    Process 0 does not send its buffers to the others at every pass. The buffers are equal in all
    processes, because batch normalisation is either frozen or shared (`synchronised`).
    """
    if world_size() == 1:
        return network
    # Torch 2.13 renamed this setting and warns if the former name is used.
    if "forward_sync_buffers" in signature(DistributedDataParallel).parameters:
        return DistributedDataParallel(network, forward_sync_buffers=False)
    return DistributedDataParallel(network, broadcast_buffers=False)


def synchronised(network: M, device: torch.device, frozen_normalisation: bool) -> M:
    """The network with batch normalisation over the images of all processes, unless it is frozen.

    On accelerators the layer is PyTorch's own. PyTorch's layer does not accept tensors on a CPU, so
    `SharedBatchNorm` replaces it there. With it the tests compare two CPU processes with one
    process, and so check what several GPUs would compute. timm's `BatchNormAct2d` keeps its dropout
    and activation after the normalisation.

    Raises:
        CxrlocError: a layer does more than normalise, and is not timm's `BatchNormAct2d`.
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
    # PyTorch's converter would drop dropout and activation of these layers, so timm's is used. timm
    # is installed wherever such a layer exists.
    from timm.layers import convert_sync_batchnorm

    return convert_sync_batchnorm(network)


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation with mean and variance over the images of all processes together.

    Ioffe and Szegedy 2015, Algorithm 1, with sums over all processes; gradients flow through these
    sums. Every process must have the same number of images.

    Attributes:
        drop: dropout of timm's `BatchNormAct2d`, applied to the normalised images; the identity for
            a layer that only normalises.
        act: activation of `BatchNormAct2d`, applied after `drop`; otherwise the identity.
    """

    def __init__(self, layer: nn.BatchNorm2d) -> None:
        super().__init__(layer.num_features, layer.eps, layer.momentum)
        self.drop = getattr(layer, "drop", nn.Identity())
        self.act = getattr(layer, "act", nn.Identity())
        self.load_state_dict(layer.state_dict())

    def forward(
        self, images: Float[Tensor, "batch channel row col"]
    ) -> Float[Tensor, "batch channel row col"]:
        """The normalised images; in training mode the running statistics are updated too."""
        normalised = self._normalised(images) if self.training else super().forward(images)
        return self.act(self.drop(normalised))

    def _normalised(self, images: Tensor) -> Tensor:
        count = images[:, 0].numel() * world_size()
        wide = images.float()  # autocast may have made them narrower than sums can be
        mean = _Sum.apply(wide.sum(dim=(0, 2, 3))) / count
        centred = wide - mean[:, None, None]
        variance = _Sum.apply(centred.square().sum(dim=(0, 2, 3))) / count
        # PyTorch's running variance is the unbiased one, hence the factor n / (n - 1).
        self._move_statistics(mean.detach(), variance.detach() * (count / (count - 1)))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(images.dtype)

    def _move_statistics(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        assert self.momentum is not None  # None, an average of all batches, no backbone has
        self.get_buffer("running_mean").lerp_(mean, self.momentum)
        self.get_buffer("running_var").lerp_(unbiased_variance, self.momentum)
        self.get_buffer("num_batches_tracked").add_(1)


class _Sum(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of the gradients of all processes."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return summed(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return summed(gradient)


def own_share(items: Sequence[T]) -> Sequence[T]:
    """The items of this process: every `world_size()`-th item, starting at number `rank()`.

    >>> own_share("abc")
    'abc'
    """
    return items[rank() :: world_size()]


def gathered(computed: Tensor, count: int) -> Tensor:
    """The rows that all processes computed for their `own_share`, in the order of the items.

    No row is lost or duplicated, also if the items cannot be shared evenly.

    >>> gathered(torch.tensor([[1.0], [2.0]]), count=2)
    tensor([[1.],
            [2.]])
    """
    if world_size() == 1:
        return computed
    parts: list[Tensor] = [computed] * world_size()
    dist.all_gather_object(parts, computed.cpu())
    rows = torch.empty((count, *computed.shape[1:]), dtype=computed.dtype)
    for process, part in enumerate(parts):
        rows[process :: world_size()] = part
    return rows
