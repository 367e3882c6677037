"""Checks that every file format shares: sizes, and colour that is none."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8, UInt16

from cxrloc.types import CxrlocError

MAX_PIXELS = 80_000_000
"""Larger images are refused before memory is taken; a large radiograph has 15 million pixels.

Below the 89 million from which Pillow warns of a decompression bomb.
"""

LONGEST_SIDES = 20
"""A strip whose sides differ by more than this factor is refused: it could not be drawn."""

LARGEST_COLOUR = 8 / 255
"""Channels that differ by no more than this share of their range are one grey channel.

Lossy compression of colour moves channels apart by a few levels; a coloured mark does by more.
"""


def check_size(path: Path, rows: int, columns: int) -> None:
    """Refuse an image without pixels, or with absurdly many.

    Raises:
        CxrlocError: rows or columns are 0, or the image is a strip or exceeds `MAX_PIXELS`.
    """
    if rows < 1 or columns < 1:
        raise CxrlocError(f"{path}: {rows} rows x {columns} columns: the image has no pixels")
    if max(rows, columns) > LONGEST_SIDES * min(rows, columns):
        raise CxrlocError(
            f"{path}: {rows} rows x {columns} columns: one side is more than {LONGEST_SIDES} times "
            "the other, so this is no radiograph"
        )
    if rows * columns > MAX_PIXELS:
        raise CxrlocError(
            f"{path}: {rows} rows x {columns} columns: more than the {MAX_PIXELS:,} pixels that "
            "are taken for a radiograph; the header is damaged, or the image must be reduced first"
        )


def single_channel(
    path: Path,
    channels: UInt8[np.ndarray, "row col channel"] | UInt16[np.ndarray, "row col channel"],
) -> UInt8[np.ndarray, "row col"] | UInt16[np.ndarray, "row col"]:
    """The grey image that red, green and blue all show; green, the nearest to luminance.

    Raises:
        CxrlocError: the channels differ by more than `LARGEST_COLOUR`.

    >>> grey = np.full((2, 2, 3), 7, dtype=np.uint8)
    >>> single_channel(Path("a.png"), grey).tolist()
    [[7, 7], [7, 7]]
    """
    highest = channels.max(axis=2).astype(np.int64)
    spread = int((highest - channels.min(axis=2)).max())
    top = int(np.iinfo(channels.dtype).max)
    if spread > LARGEST_COLOUR * top:
        raise CxrlocError(
            f"{path}: a colour image (channels differ by up to {spread} of {top}); radiographs "
            "are grey: save it without coloured marks"
        )
    return np.ascontiguousarray(channels[:, :, 1])
