"""Names of devices, and the way of an array to a GPU."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from cxrloc import devices
from cxrloc.devices import CPU, FittingBatches, choose_device, choose_devices, sent
from cxrloc.errors import UsageError
from tests.fake_gpu import FakeStreams

CUDA = torch.device("cuda", 0)


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cpu,gpu", "", "cpu,"])
def test_a_device_that_is_not_there_is_refused_by_its_option(name: str) -> None:
    with pytest.raises(UsageError, match=r"--device .*: not usable on this machine"):
        choose_devices(name)


def test_devices_of_two_types_are_refused() -> None:
    with pytest.raises(UsageError, match="--device meta,cpu: name devices of one type"):
        choose_devices("meta,cpu")


def test_all_gpus_are_taken_by_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "choose_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    assert choose_devices("auto") == (torch.device("cuda", 0), torch.device("cuda", 1))


def test_without_a_gpu_there_is_the_cpu() -> None:
    if torch.accelerator.is_available():
        pytest.skip("this machine has an accelerator")
    assert choose_devices("auto") == (choose_device("auto"),) == (CPU,)


def test_pixels_reach_a_gpu_as_they_are_stored_on_a_stream_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    streams = FakeStreams(monkeypatch)
    with FakeTensorMode(allow_non_fake_inputs=True):
        first = sent(np.zeros((2, 3), np.uint16), CUDA)
        second = sent(torch.zeros(4), CUDA)
    assert (first.device, first.dtype, second.device) == (CUDA, torch.uint16, CUDA)
    computing = streams.computing
    copying, again = computing.waits_for  # what computes waits for each copy, and no other way
    assert copying is again is not computing
    assert copying.pinned == computing.reads == [(2, 3), (4,)]
    assert copying.reads == computing.pinned == copying.waits_for == []


def test_on_a_cpu_nothing_is_copied() -> None:
    values = np.zeros(3, np.float32)
    sent(values, CPU)[0] = 1
    assert values[0] == 1


@pytest.mark.parametrize(
    ("fits", "tried"),
    [
        (8, [8, 8]),
        (7, [8, 4, 4, 4, 4]),  # found once, and kept for the second time
        (3, [8, 4, 2, 2, 2, 2, 2, 2, 2, 2]),
        (1, [8, 4, 2, *[1] * 16]),
    ],
)
def test_a_batch_that_does_not_fit_is_halved_for_good(fits: int, tried: list[int]) -> None:
    sizes = []

    def compute(first: int, size: int) -> list[range]:
        sizes.append(size)
        if size > fits:
            raise torch.OutOfMemoryError("as a GPU says")
        return [range(first, first + size)]

    batches = FittingBatches(8)
    assert batches.results(8, compute) == batches.results(8, compute) == list(range(8))
    assert sizes == tried


def test_an_image_that_does_not_fit_alone_is_an_error() -> None:
    def compute(first: int, size: int) -> list[range]:
        raise torch.OutOfMemoryError("as a GPU says")

    with pytest.raises(torch.OutOfMemoryError):
        FittingBatches(4).results(8, compute)


def test_results_from_before_a_batch_that_does_not_fit_are_kept_in_order() -> None:
    starts = []

    def compute(first: int, size: int) -> Iterator[range]:
        starts.append((first, size))
        for start in range(first, 10, size):
            if size == 2 and start == 4:
                raise torch.OutOfMemoryError("as a GPU says")
            yield range(start, start + size)

    assert FittingBatches(2).results(10, compute) == list(range(10))
    assert starts == [(0, 2), (4, 1)]


@pytest.mark.parametrize("nothing", [[], [()]])
def test_a_computation_without_results_does_not_run_for_ever(nothing: list[tuple[()]]) -> None:
    with pytest.raises(RuntimeError, match="no results came from image number 0 on"):
        FittingBatches(4).results(8, lambda first, size: nothing)
