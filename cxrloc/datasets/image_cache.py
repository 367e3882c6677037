"""Images decoded and resized once: a memory-mapped file of grey levels at the network's size.

The cache has its own protection against crashes instead of using lmdb: training reads one array
that is mapped into memory as a whole, which a key-value store such as lmdb does not offer.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from filelock import FileLock
from jaxtyping import Float, Integer, Shaped

from cxrloc.errors import CxrlocError
from cxrloc.files.whole import closed_after, named_errors, write_text
from cxrloc.images.preprocessing import PIXELS_VERSION, Preprocessing, preprocess, uncropped
from cxrloc.types import Radiograph


@dataclass(frozen=True, slots=True, eq=False)
class ImagesToDecode:
    """Images that are being decoded for the cache.

    Iterating yields the bytes of each image, or the reason why it could not be read; images are
    decoded lazily.

    Attributes:
        images: the bytes of each image, or the reason why it could not be read.
        count: number of images.
        bytes_needed: on the disk, for all images.
        folder: of the cache.
    """

    images: Iterator[bytes | str]
    count: int
    bytes_needed: int
    folder: Path

    def __iter__(self) -> Iterator[bytes | str]:
        return self.images

    def __len__(self) -> int:
        return self.count


Watch = Callable[[ImagesToDecode], Iterable[bytes | str]]
"""A function that passes the images on, and may show progress."""

_KEY = 33  # characters of a key in the index, with its line's end
_HASH = re.compile(r"[0-9a-f]{32}")
_BLOCK = 64  # images per write
_WORTH_PROCESSES = 256  # fewest images for which starting processes saves time


class Source(NamedTuple):
    """An image to cache.

    Attributes:
        key: a text that changes whenever the pixels may have changed.
        read: function that reads the image; it can be pickled, to be sent to another process.
    """

    key: str
    read: Callable[[], Radiograph]


@dataclass(frozen=True, slots=True, eq=False)
class CachedImages:
    """Images by slot, and the slots of the sources that were asked for.

    Attributes:
        pixels: grey levels of the whole file, 0 to 255 or to 65,535, memory-mapped.
        slots: index into `pixels` of each source; -1 if the source could not be read.
        failures: reasons why sources could not be read, by position among the sources.
        folder: of the cache, where the files `pixels` and `index` lie.
    """

    pixels: Shaped[np.ndarray, "slot row col"]
    slots: Integer[np.ndarray, " source"]
    failures: dict[int, str]
    folder: Path


def images_sha256(
    images: CachedImages,
    slots: Integer[np.ndarray, "*any"],
    labels: Float[np.ndarray, "image finding"],
) -> str:
    """A hash over labels and pixels, in the order of `slots`.

    Reading the pixels of a large data set takes minutes. The hash is therefore kept in the cache,
    in a file named by the labels and the keys of the images, so that it is computed only once and
    not at every start of every process.

    Args:
        images: of the cache.
        slots: of the images to hash, in order.
        labels: of these images.
    """
    index = np.fromfile(images.folder / "index", dtype=f"S{_KEY}") if slots.size else np.empty(0)
    keys = hashlib.sha256(index[slots.ravel()].tobytes() + labels.tobytes()).hexdigest()
    kept = images.folder / f"sha256-{keys}"
    with FileLock(images.folder / "sha256-lock"):
        if kept.is_file() and len(known := kept.read_text("ascii")) == 64:
            return known
        digest = hashlib.sha256(labels.tobytes())
        for slot in slots.flat:
            digest.update(images.pixels[slot].tobytes())
        write_text(kept, digest.hexdigest())
    return digest.hexdigest()


def file_key(path: Path) -> str:
    """A text that changes with a file: its path, its size and the time of its last change.

    Raises:
        OSError: the file is not there.
    """
    state = path.stat()
    return f"{os.path.realpath(path)} {state.st_size} {state.st_mtime_ns}"


def cached_images(
    sources: Sequence[Source], preprocessing: Preprocessing, folder: Path, watch: Watch = iter
) -> CachedImages:
    """The images preprocessed for the network, but not normalised; missing ones are decoded first.

    `folder` gets a sub-folder for each size, setting and `PIXELS_VERSION`. In this sub-folder, line
    i of `index` is the key of image i of `pixels`. The line is appended after the pixels are on the
    disk, so an image that a killed process did not finish has no line, and its place is written
    again. Only one process fills the cache at a time; other processes wait and then find all images
    in the cache.

    Departs: 8-bit images keep 8 bits after the resize, others 16; `preprocess` itself gives
    floats.

    Args:
        sources: images; an image that cannot be read is listed in `failures`.
        preprocessing: of the network; its mean and standard deviation are not used here.
        folder: of the cache, made if absent.
        watch: gets every image that was not in the cache, for example to show progress.
    """
    plain = replace(uncropped(preprocessing), mean=(0.0,), std=(1.0,), standardised=False)
    depth = np.uint8 if (plain.bit_depth or 16) <= 8 else np.uint16
    place = folder / hashlib.sha256(f"{PIXELS_VERSION} {plain}".encode()).hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    keys = [hashlib.sha256(source.key.encode()).hexdigest()[: _KEY - 1] for source in sources]
    image_bytes = plain.size**2 * np.dtype(depth).itemsize
    reasons: dict[str, str] = {}
    with FileLock(place / "lock"):
        known = _read_index(place, image_bytes)
        missing = {
            key: source.read for key, source in zip(keys, sources, strict=True) if key not in known
        }
        images = _make(list(missing.values()), plain, depth)
        decoded = watch(ImagesToDecode(images, len(missing), len(missing) * image_bytes, folder))
        with (
            _appended(place / "pixels", len(known) * image_bytes) as pixels,
            _appended(place / "index", len(known) * _KEY) as index,
        ):
            waiting: list[tuple[str, bytes]] = []
            for key, image in zip(missing, decoded, strict=True):
                if isinstance(image, str):
                    reasons[key] = image
                    continue
                waiting.append((key, image))
                if len(waiting) == _BLOCK:
                    _append(pixels, index, waiting)
            _append(pixels, index, waiting)
        known = _read_index(place, image_bytes)
    shape = (len(known), plain.size, plain.size)
    mapped = (
        np.memmap(place / "pixels", depth, "r", shape=shape) if known else np.empty(shape, depth)
    )
    failures = {i: reasons[key] for i, key in enumerate(keys) if key in reasons}
    slots = np.array([known.get(key, -1) for key in keys], dtype=np.int64)
    return CachedImages(mapped, slots, failures, place)


def _read_index(place: Path, image_bytes: int) -> dict[str, int]:
    """Slots by key, of the images that are complete in both files.

    A last line without a line break was not finished. If `pixels` is shorter than the index, as in
    an incomplete copy, the images behind its end are made again.
    """
    path, pixels = place / "index", place / "pixels"
    text = path.read_text("ascii", errors="replace") if path.exists() else ""
    whole = min(len(text) // _KEY, pixels.stat().st_size // image_bytes if pixels.exists() else 0)
    keys = [text[k * _KEY : (k + 1) * _KEY - 1] for k in range(whole)]
    # The number of a line is the slot, so no line after a damaged one can be trusted.
    good = next((k for k, key in enumerate(keys) if not _HASH.fullmatch(key)), whole)
    return {key: slot for slot, key in enumerate(keys[:good])}


@contextmanager
def _appended(path: Path, size: int) -> Iterator[BinaryIO]:
    """A file to append to, first cut to the size; an error in the block keeps its own text."""
    with named_errors(path):
        file = path.open("ab")
    with closed_after(file):
        with named_errors(path):
            file.truncate(size)
        yield file


def _append(pixels: BinaryIO, index: BinaryIO, waiting: list[tuple[str, bytes]]) -> None:
    """Write the pixels of the waiting images, flush them to the disk, then write their keys."""
    for file, parts in (
        (pixels, [image for _, image in waiting]),
        (index, [f"{key}\n".encode() for key, _ in waiting]),
    ):
        with named_errors(Path(file.name)):
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
    waiting.clear()


def _make(
    reads: Sequence[Callable[[], Radiograph]], preprocessing: Preprocessing, depth: type
) -> Iterator[bytes | str]:
    """Yields the pixels of each image in order, or the reason why it could not be read."""
    make = partial(_pixels, preprocessing, depth)
    workers = os.cpu_count() or 1
    if len(reads) < _WORTH_PROCESSES or workers == 1:
        yield from map(make, reads)
        return
    # Processes are spawned, because forking is not safe once torch has started threads.
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        yield from pool.map(make, reads, chunksize=16)


def _pixels(
    preprocessing: Preprocessing, depth: type, read: Callable[[], Radiograph]
) -> bytes | str:
    try:
        grey, _ = preprocess(read(), preprocessing)
    except CxrlocError as error:
        return str(error)
    top = np.iinfo(depth).max
    return np.rint(grey[0].clip(0, 1) * top).astype(depth).tobytes()
