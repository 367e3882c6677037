"""Many images through models: read ahead, in batches, on one device or on several."""

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TypeVar

from cxrloc.devices import CPU, choose_devices, share_threads
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.inference.batches import Work, batch_function, images_together
from cxrloc.inference.localized import Localized
from cxrloc.inference.prepared import (
    Failure,
    Image,
    InferenceSettings,
    Prepared,
    failure_of,
    without_pixels,
)
from cxrloc.inference.read_ahead import prepared_images
from cxrloc.inference.reading_processes import can_be_sent, images_of_processes
from cxrloc.inference.threads import map_in_threads
from cxrloc.models.any_layer import with_layer
from cxrloc.models.model import Model
from cxrloc.workers import (
    IN_A_SCRIPT,
    Limits,
    StartError,
    TaskDiedError,
    TaskProcess,
    Turns,
    packed,
)

T = TypeVar("T")

WORTH_PROCESSES = 256
"""Fewest images for which processes that read, or a further GPU, save more time than they cost."""

OF_A_BATCH = Limits(seconds=3600.0, start_seconds=600.0)
"""Limits of a process that computes, which only a process that hangs exceeds."""


def in_batches(
    models: Sequence[Model],
    images: Iterable[Image],
    settings: InferenceSettings,
    work: Work[T],
    keep_pixels: bool = True,
) -> Iterator[T | Failure]:
    """Yields the results of models on images, one per image, in the order of the images.

    An image that cannot be read gives a `Failure`; the others go on. A GPU computes while the next
    batch is read, and several devices compute at the same time, each in a process of its own. Two
    batches for each device and twice `settings.workers` images are held in memory at most. The
    user's own networks are checked at the first batch (`check_own_network`).

    Each process runs a script of the user again, so a script must call this function under
    `if __name__ == "__main__":`.

    Args:
        models: the models.
        images: the images; only those of a sequence, whose number is known, are read by processes
            and computed on further GPUs of "auto".
        settings: how the models are run.
        work: what is computed.
        keep_pixels: whether the results hold the pixels of the radiographs, which pictures need.

    Raises:
        UsageError: the versions or a device do not exist.
        CxrlocError: the user's own network does not give the outputs that are required, or a
            process does not start.
    """
    devices = devices_for(images, settings)
    as_bytes = _packed(models, settings.device) if len(devices) > 1 else None
    settings = replace(settings, device=devices[0])
    on_cpu = choose_devices(devices[0])[0] == CPU
    with ExitStack() as stack:
        if as_bytes is None:
            devices = devices[:1]
            run = batch_function(models, settings, work)
        else:
            # What the models cannot do is refused before any process starts.
            work([with_layer(model, settings.layer) for model in models], settings)
            run = stack.enter_context(_on_devices(devices, as_bytes, settings, work))
        by = prepared_images if on_cpu or not _worth_processes(images) else images_of_processes
        prepared = by(models, images, settings.workers, keep_pixels)
        stack.enter_context(closing(prepared))
        batches = iter(lambda: list(islice(prepared, images_together(settings))), [])
        if on_cpu and len(devices) == 1:
            # A thread beside the network would slow it down: both start teams of OpenMP threads.
            results: Iterator[list[T | Failure]] = map(run, batches)
        else:
            results = stack.enter_context(closing(map_in_threads(run, batches, len(devices))))
        for each in results:
            yield from each


def devices_for(images: Iterable[Image], settings: InferenceSettings) -> list[str]:
    """The names of the devices that compute: those that are named, or as many GPUs as save time.

    Raises:
        UsageError: a device does not exist.
    """
    devices = [str(device) for device in choose_devices(settings.device)]
    if settings.device == "auto":
        return devices[: max(1, len(_listed(images)) // WORTH_PROCESSES)]
    return devices


def _packed(models: Sequence[Model], devices: str) -> bytes | None:
    """The models as bytes for other processes; None if one cannot be sent and "auto" is asked for.

    Raises:
        UsageError: one cannot be sent, and the user names several devices.
    """
    try:
        return packed(models)
    except Exception as error:  # pickle raises errors of every kind
        if devices == "auto":
            return None
        raise UsageError(
            "--device: a model that cannot be sent to other processes runs on one device: name "
            f"one ({error})"
        ) from error


@contextmanager
def _on_devices(
    devices: Sequence[str], models: bytes, settings: InferenceSettings, work: Work[T]
) -> Iterator[Callable[[Sequence[Prepared | Failure]], list[T | Failure]]]:
    """The function that gives the results of a batch, computed by the first device that is free."""
    with ExitStack() as stack:
        pool = []
        for device in devices:
            device_settings = replace(settings, device=device)
            prepare = partial(_prepared_device, models, device_settings, work, len(devices))
            process: TaskProcess[list[Prepared], list[T | Failure]] = TaskProcess(
                prepare, OF_A_BATCH
            )
            stack.callback(process.close)
            pool.append(process)
        turns = Turns([process.run for process in pool])
        yield partial(_run_elsewhere, turns)


def _prepared_device(
    models: bytes, settings: InferenceSettings, work: Work[T], processes: int
) -> Callable[[list[Prepared]], list[T | Failure]]:
    """The function of a process that has the models on one device."""
    if settings.device == str(CPU):
        share_threads(processes)
    return batch_function(pickle.loads(models), settings, work)


def _run_elsewhere(
    turns: Turns[list[Prepared], list[T | Failure]], batch: Sequence[Prepared | Failure]
) -> list[T | Failure]:
    """The results of a batch; images are sent without their pixels, which results get back."""
    there = [without_pixels(item) for item in batch if isinstance(item, Prepared)]
    try:
        results = turns(there) if there else []
    except StartError as error:
        raise CxrlocError(
            f"--device: a process for a device does not start: it {error}; {IN_A_SCRIPT}"
        ) from error
    except TaskDiedError as error:
        if len(there) == 1:
            results = [failure_of(there[0].image_id, error)]
        else:  # one of them is the cause
            results = [result for item in there for result in _run_elsewhere(turns, [item])]
    done = iter(results)
    return [item if isinstance(item, Failure) else _with_pixels(next(done), item) for item in batch]


def _with_pixels(result: T | Failure, item: Prepared) -> T | Failure:
    if isinstance(result, Localized):
        return result._replace(radiograph=item.radiograph)
    return result


def _worth_processes(images: Iterable[Image]) -> bool:
    listed = _listed(images)
    return len(listed) >= WORTH_PROCESSES and can_be_sent(listed)


def _listed(images: Iterable[Image]) -> Sequence[Image]:
    """The images if they are a sequence; otherwise none, because their number is not known."""
    return images if isinstance(images, Sequence) else ()
