"""The step that reads: from the URI of an image to the network's input.

It runs in processes of its own. Nothing here imports torch, so that such a process starts in about
a second and takes some hundred megabytes less.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from cxrloc.archive.isolation import Item, Lost
from cxrloc.archive.store import local_copy, opened
from cxrloc.images.read import read_radiograph
from cxrloc.inference.prepared import Failure, Image, Prepared, prepare_image
from cxrloc.models.described import Described
from cxrloc.types import CxrlocError


def prepare_reading(
    models: Sequence[Described], max_megapixels: float, keep_pixels: bool, device: str
) -> Callable[[list[Item]], list[Prepared | Lost]]:
    """The function of a process that reads images.

    Args:
        models: what the input is prepared for; descriptions suffice.
        max_megapixels: larger images are refused.
        keep_pixels: send the radiograph's pixels along, of which pictures are made.
        device: is not used, because reading needs none.
    """
    read = partial(_read, models=models, max_megapixels=max_megapixels, keep_pixels=keep_pixels)
    return lambda items: [read(item.uri) for item in items]


def _read(
    uri: str, models: Sequence[Described], max_megapixels: float, keep_pixels: bool
) -> Prepared | Lost:
    try:
        with local_copy(uri) as path:
            read = partial(read_radiograph, path, max_megapixels=max_megapixels)
            made = prepare_image(Image(uri, read), models)
            if isinstance(made, Failure):
                return lost("read", made.reason, uri, path)
    except CxrlocError as error:
        return lost("read", str(error), uri)
    if keep_pixels:
        return made
    # Pictures alone need the pixels; without them an image is sent to the network many times
    # faster. Their range remains, by which a blank image is known.
    pixels = made.radiograph.pixels
    ends = np.array([[pixels.min(), pixels.max()]], dtype=pixels.dtype)
    return made._replace(radiograph=replace(made.radiograph, pixels=ends))


def lost(stage: str, reason: str, uri: str, path: Path | None = None) -> Lost:
    """A failure; its reason does not repeat the image's name, so that equal reasons are counted."""
    for name in (uri, opened(uri)[1], str(path)):
        reason = reason.removeprefix(f"{name}: ")
    return Lost(stage, reason)
