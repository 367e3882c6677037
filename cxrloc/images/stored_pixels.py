"""Checks for all file formats: the image's size, and colour channels that show only grey."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8, UInt16, UInt32

from cxrloc.errors import CxrlocError
from cxrloc.images.intensity import grey_levels

Words = UInt8[np.ndarray, "row col"] | UInt16[np.ndarray, "row col"] | UInt32[np.ndarray, "row col"]
Channels = (
    UInt8[np.ndarray, "row col channel"]
    | UInt16[np.ndarray, "row col channel"]
    | UInt32[np.ndarray, "row col channel"]
)

MAX_MEGAPIXELS = 80.0
"""Larger images are refused before memory is allocated, unless `--max-megapixels` allows them.

A large radiograph has 15 million pixels.
"""

LONGEST_SIDES = 20
"""An image whose sides differ by more than this factor is refused, as it could not be drawn."""

LARGEST_COLOUR = 8 / 255
"""Channels that differ by no more than this share of their range count as grey.

Lossy compression makes grey channels differ by a few levels; a coloured mark by more.
"""


def check_size(path: Path, rows: int, columns: int, max_megapixels: float) -> None:
    """Refuse an image that has no pixels or too many.

    Raises:
        CxrlocError: rows or columns are 0, or the image is a strip or larger than allowed.
    """
    if rows < 1 or columns < 1:
        raise CxrlocError(f"{path}: {rows} rows x {columns} columns: the image has no pixels")
    if max(rows, columns) > LONGEST_SIDES * min(rows, columns):
        raise CxrlocError(
            f"{path}: {rows} rows x {columns} columns: one side is more than {LONGEST_SIDES} times "
            "the other, so this is no radiograph"
        )
    if rows * columns > 1e6 * max_megapixels:
        raise CxrlocError(
            f"{path}: {rows} rows x {columns} columns: more than the {max_megapixels:g} million "
            "pixels that are taken for a radiograph; the header is damaged, or --max-megapixels "
            "must be raised"
        )


def single_channel(
    path: Path,
    channels: Channels,
) -> Words:
    """The grey image in equal colour channels: the green channel, which is nearest to luminance.

    Raises:
        CxrlocError: the channels differ by more than `LARGEST_COLOUR`.

    >>> grey = np.full((2, 2, 3), 7, dtype=np.uint8)
    >>> single_channel(Path("a.png"), grey).tolist()
    [[7, 7], [7, 7]]
    """
    top = int(np.iinfo(channels.dtype).max)
    spread = _spread(channels)
    if spread > LARGEST_COLOUR * top:
        raise _coloured(path, spread, top)
    return np.ascontiguousarray(channels[:, :, 1])


def grey_of_colour(
    path: Path,
    channels: Channels,
    photometric: str,
    bits: int,
) -> tuple[Float32[np.ndarray, "row col"], tuple[str, ...]]:
    """Grey levels of a grey DICOM image that is stored in three channels, and a warning.

    The label may be wrong: three equal channels are grey whatever it says, and so is luminance
    with two channels of chrominance in the middle of their range (PS3.3 C.7.6.3.1.2).

    Args:
        path: names the file in errors.
        channels: as they are stored.
        photometric: what Photometric Interpretation (0028,0004) calls them.
        bits: of each channel.

    Raises:
        CxrlocError: the image is grey by neither rule.
    """
    top, middle = 2**bits - 1, 2 ** (bits - 1)
    by_label = _rgb(channels, middle, top) if photometric.startswith("YBR") else channels
    spread, most = _spread(by_label), LARGEST_COLOUR * top
    chrominance = channels[:, :, 1:].astype(np.int32) - middle
    warnings: tuple[str, ...] = ()
    label = f"PhotometricInterpretation (0028,0004) is {photometric}, but the pixels are"
    if spread <= most:
        grey = by_label[:, :, 1]
    elif _spread(channels) <= most:
        grey = channels[:, :, 1]
        warnings = (f"{label} three equal channels, and read as grey",)
    elif int(np.abs(chrominance).max()) <= most:
        grey = channels[:, :, 0]
        warnings = (f"{label} luminance without colour, and read as grey",)
    else:
        raise _coloured(path, spread, top)
    low, high = 0.0, float(top)
    if photometric.startswith("YBR_PARTIAL"):
        # ITU-R BT.601: black is 16 and white 235 of 255.
        low, high = 16 / 255 * top, 235 / 255 * top
    words = np.arange(2 ** (8 * channels.itemsize), dtype=np.float64)
    table = np.clip((words - low) / (high - low), 0.0, 1.0).astype(np.float32)
    return grey_levels(np.ascontiguousarray(grey), table), warnings


def _rgb(
    channels: Channels,
    middle: int,
    top: int,
) -> Channels:
    """Red, green and blue of luminance and chrominance (PS3.3 C.7.6.3.1.2, YBR_FULL)."""
    grey, blue, red = np.moveaxis(channels.astype(np.float32), 2, 0)
    blue, red = blue - middle, red - middle
    rgb = (
        grey + 1.402 * red,
        grey - 0.344136 * blue - 0.714136 * red,
        grey + 1.772 * blue,
    )
    return np.clip(np.rint(np.stack(rgb, axis=2)), 0, top).astype(channels.dtype)


def _spread(
    channels: Channels,
) -> int:
    """The largest difference between the channels of any pixel."""
    return int((channels.max(axis=2).astype(np.int64) - channels.min(axis=2)).max())


def _coloured(path: Path, spread: int, top: int) -> CxrlocError:
    return CxrlocError(
        f"{path}: a colour image (channels differ by up to {spread} of {top}); radiographs "
        "are grey: save it without coloured marks"
    )
