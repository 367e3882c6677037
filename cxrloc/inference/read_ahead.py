"""Images that are read ahead of the network, by threads or by processes.

Nothing here imports torch, so that a process that reads starts in about a second.
"""

import pickle
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack
from functools import partial

from cxrloc.inference.prepared import (
    Failure,
    Image,
    Prepared,
    failure_of,
    prepare_image,
    without_pixels,
)
from cxrloc.inference.threads import map_in_threads
from cxrloc.models.described import Described, description_of
from cxrloc.workers import Limits, TaskDiedError, TaskProcess, Turns

OF_AN_IMAGE = Limits(seconds=600.0, start_seconds=600.0)
"""Limits of a process that reads: only one that hangs passes them."""

Read = Callable[[Image], Prepared | Failure]


def prepared_images(
    models: Sequence[Described],
    images: Iterable[Image],
    workers: int,
    in_processes: bool = False,
    keep_pixels: bool = True,
) -> Generator[Prepared | Failure, None, None]:
    """Yields the images as inputs of the models, in their order.

    At most twice `workers` images are held in memory.

    Args:
        models: what the inputs are prepared for; descriptions suffice.
        images: the images.
        workers: number of threads or processes.
        in_processes: read by processes, because threads of Python cannot feed a GPU. Images that
            cannot be sent to a process, such as those of a notebook, are read by threads anyway.
        keep_pixels: whether the radiographs keep their pixels, of which pictures are made.
    """
    described = tuple(map(description_of, models))
    read = partial(_read, models=described, keep_pixels=keep_pixels)
    with ExitStack() as stack:
        if in_processes:
            images = list(images)
            if _can_be_sent(images):
                pool = [TaskProcess(partial(_prepare, read), OF_AN_IMAGE) for _ in range(workers)]
                for process in pool:
                    stack.callback(process.close)
                read = partial(_read_elsewhere, Turns([process.run for process in pool]))
        yield from map_in_threads(read, images, workers)


def _read(image: Image, models: Sequence[Described], keep_pixels: bool) -> Prepared | Failure:
    made = prepare_image(image, models)
    return made if keep_pixels or isinstance(made, Failure) else without_pixels(made)


def _prepare(read: Read) -> Read:
    """What a `TaskProcess` calls for its function."""
    return read


def _read_elsewhere(turns: Turns[Image, Prepared | Failure], image: Image) -> Prepared | Failure:
    try:
        return turns(image)
    except TaskDiedError as error:
        return failure_of(image.image_id, error)


def _can_be_sent(images: Sequence[Image]) -> bool:
    """Whether the functions that read the images can be pickled; one stands for all."""
    try:
        pickle.dumps(images[:1])
    except Exception:  # pickle raises errors of every kind
        return False
    return True
