"""The devices of this machine: names, how arrays reach them, and the precision of their arithmetic.

torch is imported here, so a module that must start without torch does not import this one.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from cxrloc.errors import UsageError

T = TypeVar("T")

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Precisions of forward passes by name, with the type that autocast computes in, if any."""

CPU = torch.device("cpu")


def choose_device(name: str) -> torch.device:
    """The device with this name; "auto" takes a GPU if there is one.

    Raises:
        UsageError: the device is unknown, or not in this machine.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or CPU
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"--device {name}: not usable on this machine ({reason})") from error
    return device


def choose_devices(name: str) -> tuple[torch.device, ...]:
    """The devices with these names, separated by commas; "auto" takes all GPUs, or the CPU.

    A device that is named twice is used by two processes.

    Raises:
        UsageError: a device is unknown, or not in this machine, or they are of several types.

    >>> choose_devices("cpu,cpu")
    (device(type='cpu'), device(type='cpu'))
    """
    if name != "auto":
        devices = tuple(choose_device(each.strip()) for each in name.split(","))
        if len({device.type for device in devices}) > 1:
            raise UsageError(
                f"--device {name}: name devices of one type, because the precision and the batch "
                "size are chosen for one"
            )
        return devices
    first = choose_device("auto")
    if first.type == "cpu":
        return (first,)
    return tuple(
        torch.device(first.type, number) for number in range(torch.accelerator.device_count())
    )


def share_threads(processes: int) -> None:
    """Let torch use this process's share of the threads, where several processes compute at once.

    By default each process uses as many threads as there are cores, and they would wait for each
    other.
    """
    torch.set_num_threads(max(1, torch.get_num_threads() // processes))


def sent(values: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """The values on a device, in their own type.

    To a CUDA GPU they are sent from pinned memory on a stream of their own. So the copy runs while
    the GPU computes, and only operations that use the copy wait for it.

    >>> sent(np.array([1, 65535], np.uint16), CPU).dtype
    torch.uint16
    """
    here = torch.as_tensor(values)
    if device.type != "cuda":
        return here.to(device)
    stream = _copying(device)
    with torch.cuda.stream(stream):
        there = here.pin_memory().to(device, non_blocking=True)
    computing = torch.cuda.current_stream(device)
    computing.wait_stream(stream)
    # The memory belongs to the copying stream, which must not use it again before it was read.
    there.record_stream(computing)
    return there


@cache
def _copying(device: torch.device) -> Any:
    """The stream of a GPU that copies."""
    return torch.cuda.Stream(device)


class FittingBatches:
    """Batches whose size is halved when one does not fit into the memory of a GPU.

    Attributes:
        size: images in a batch; it stays at the size that was found to fit.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def results(self, count: int, compute: Callable[[int, int], Iterable[Sequence[T]]]) -> list[T]:
        """The results of images, one each.

        Args:
            count: number of images.
            compute: yields the results of one batch after the other; it gets the number of the
                first image and the size of the batches.

        Raises:
            torch.OutOfMemoryError: a single image does not fit.
            RuntimeError: `compute` yields nothing.
        """
        results: list[T] = []
        while len(results) < count:
            first = len(results)
            size = min(self.size, count - first)
            try:
                for batch in compute(first, size):
                    results += batch
            except torch.OutOfMemoryError:
                if size == 1:
                    raise
                self.size = size // 2  # tried after this block, where nothing holds memory
            else:
                if len(results) == first:
                    raise RuntimeError(f"no results came from image number {first} on")
        return results


def autocast(device: torch.device, precision: str, reuse_weights: bool = True) -> torch.autocast:
    """The context in which a network computes in a precision, a name of `PRECISIONS`.

    Args:
        device: of the network.
        precision: of products and convolutions; weights stay in float32.
        reuse_weights: converted weights are kept until the end of the block. In training they must
            not be, because the next pass of the block may have other weights.
    """
    narrow = PRECISIONS[precision]
    return torch.autocast(
        device.type, narrow, enabled=narrow is not None, cache_enabled=reuse_weights
    )
