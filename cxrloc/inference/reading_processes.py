"""Images that processes read, because threads of Python cannot feed a GPU.

Nothing here imports torch, so that such a process starts in about a second.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack
from functools import partial

from cxrloc.errors import CxrlocError
from cxrloc.inference.prepared import Failure, Image, Prepared, failure_of
from cxrloc.inference.read_ahead import Read, reader_for
from cxrloc.inference.threads import map_in_threads
from cxrloc.models.described import Described
from cxrloc.workers import (
    IN_A_SCRIPT,
    Limits,
    StartError,
    TaskDiedError,
    TaskProcess,
    Turns,
    packed,
)

OF_AN_IMAGE = Limits(seconds=600.0, start_seconds=600.0)
"""Limits of a process that reads, which only a process that hangs exceeds."""


def images_of_processes(
    models: Sequence[Described], images: Iterable[Image], workers: int, keep_pixels: bool
) -> Generator[Prepared | Failure, None, None]:
    """Yields what `read_ahead.prepared_images` does, read by `workers` processes.

    An image whose process dies is a `Failure`.

    Raises:
        CxrlocError: a process does not start.
    """
    read = reader_for(models, keep_pixels)
    with ExitStack() as stack:
        processes = [TaskProcess(partial(_prepare, read), OF_AN_IMAGE) for _ in range(workers)]
        for process in processes:
            stack.callback(process.close)
        turns = Turns([process.run for process in processes])
        yield from map_in_threads(partial(_read_elsewhere, turns), images, workers)


def can_be_sent(images: Sequence[Image]) -> bool:
    """Whether other processes can read the images; they lack the functions of a notebook.

    The first image stands for all.
    """
    try:
        packed(images[:1])
    except Exception:  # pickle raises errors of every kind
        return False
    return True


def _prepare(read: Read) -> Read:
    """The function that a `TaskProcess` runs; it asks for it when it starts."""
    return read


def _read_elsewhere(turns: Turns[Image, Prepared | Failure], image: Image) -> Prepared | Failure:
    try:
        return turns(image)
    except StartError as error:
        raise CxrlocError(
            f"a process that reads images does not start: it {error}; {IN_A_SCRIPT}"
        ) from error
    except TaskDiedError as error:
        return failure_of(image.image_id, error)
