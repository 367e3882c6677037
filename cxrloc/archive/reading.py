"""The step that reads: from the URI of an image to the network's input.

It runs in processes of its own. Nothing here imports torch, so that such a process starts in about
a second and takes some hundred megabytes less.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from cxrloc.archive.isolation import Item, Lost
from cxrloc.archive.store import local_copy, opened
from cxrloc.errors import CxrlocError
from cxrloc.images.read import read_radiograph
from cxrloc.inference.prepared import Failure, Image, Prepared, prepare_image, without_pixels
from cxrloc.models.described import Described


def prepare_reading(
    models: Sequence[Described], max_megapixels: float, keep_pixels: bool, device: str
) -> Callable[[list[Item]], list[Prepared | Lost]]:
    """The function of a process that reads images.

    Args:
        models: descriptions of the models that the input is prepared for.
        max_megapixels: larger images are refused.
        keep_pixels: whether to also send the radiograph's pixels, which pictures are drawn from.
        device: not used, because images are read without a device.
    """
    read = partial(_read, models=models, max_megapixels=max_megapixels, keep_pixels=keep_pixels)
    return lambda items: [read(item.uri) for item in items]


def _read(
    uri: str, models: Sequence[Described], max_megapixels: float, keep_pixels: bool
) -> Prepared | Lost:
    try:
        with local_copy(uri) as path:
            read = partial(read_radiograph, path, max_megapixels=max_megapixels)
            prepared = prepare_image(Image(uri, read), models)
            if isinstance(prepared, Failure):
                return lost("read", prepared.reason, uri, path)
    except CxrlocError as error:
        return lost("read", str(error), uri)
    return prepared if keep_pixels else without_pixels(prepared)


def lost(stage: str, reason: str, uri: str, path: Path | None = None) -> Lost:
    """A failure; its reason does not repeat the image's name, so that equal reasons are counted."""
    for name in (uri, opened(uri)[1], str(path)):
        reason = reason.removeprefix(f"{name}: ")
    return Lost(stage, reason)
