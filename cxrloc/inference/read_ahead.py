"""Images that threads read ahead of the network.

Nothing here imports torch, because exported graphs run without it.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial

from cxrloc.inference.prepared import Failure, Image, Prepared, prepare_image, without_pixels
from cxrloc.inference.threads import map_in_threads
from cxrloc.models.described import Described, description_of

Read = Callable[[Image], Prepared | Failure]
"""A function that reads an image and prepares it for models."""


def prepared_images(
    models: Sequence[Described], images: Iterable[Image], workers: int, keep_pixels: bool = True
) -> Generator[Prepared | Failure, None, None]:
    """Yields the images as inputs of the models, in their order.

    At most twice `workers` images are held in memory.

    Args:
        models: what the inputs are prepared for; descriptions suffice.
        images: the images.
        workers: number of threads.
        keep_pixels: whether the radiographs keep their pixels, which pictures are drawn from.
    """
    return map_in_threads(reader_for(models, keep_pixels), images, workers)


def reader_for(models: Sequence[Described], keep_pixels: bool) -> Read:
    """The function that reads an image for models; it can be sent to other processes."""
    return partial(_read, models=tuple(map(description_of, models)), keep_pixels=keep_pixels)


def _read(image: Image, models: Sequence[Described], keep_pixels: bool) -> Prepared | Failure:
    prepared = prepare_image(image, models)
    return prepared if keep_pixels or isinstance(prepared, Failure) else without_pixels(prepared)
