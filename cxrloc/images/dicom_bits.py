"""Finds the bits of the stored words that hold the image."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Integer
from pydicom import uid

from cxrloc.errors import CxrlocError
from cxrloc.images.dicom_pixel_description import PixelDescription
from cxrloc.images.stored_pixels import Channels, Words

LOSSY = (
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLSNearLossless,
    uid.JPEG2000,
    uid.HTJ2K,
)


def in_range(
    path: Path,
    description: PixelDescription,
    stream_bits: int | None,
    pixels: Integer[np.ndarray, "*shape"],
    has_overlay: bool,
) -> Words | Channels:
    """Decoded samples as words of the allocated size, within the bits that are stored.

    Values of a lossy codec can overshoot the stored bits a little, and are clipped. Bits of a
    lossless codec beyond the stored ones are part of the image, so the header is wrong; unless they
    are an overlay, which the table of grey levels leaves out.

    Args:
        path: names the file in errors.
        description: of the pixels.
        stream_bits: depth that the stream states; None where it states none.
        pixels: what the decoder returned.
        has_overlay: whether bits above the stored ones belong to an overlay.

    Raises:
        CxrlocError: a stream has more bits than the header allows, and uses them.
    """
    bits, size = description.bits_stored, description.bits_allocated // 8
    at_bottom = description.high_bit == bits - 1
    too_deep, clipped = False, description.syntax in LOSSY and at_bottom and bits < 8 * size
    if clipped:
        # Decoders return negative numbers where they know the sign, else the bits as they are.
        signed = description.signed and pixels.dtype.kind == "i"
        low = -(2 ** (bits - 1)) if signed else 0
        values = pixels if signed else pixels.view(f"u{pixels.itemsize}")
        # Compression errors are far smaller than half of the range.
        too_deep = int(values.max()) >= low + 1.5 * 2**bits
        pixels = np.clip(values, low, low + 2**bits - 1)
    words = pixels.astype(f"{pixels.dtype.kind}{size}", copy=False).view(f"u{size}")
    if stream_bits is not None and at_bottom and not (clipped or has_overlay):
        too_deep = share_above(words, description) > 0
    if too_deep:
        raise CxrlocError(
            f"{path}: PixelData (7FE0,0010), {description.syntax.name}: the stream has "
            f"{stream_bits} bits and uses more than the {bits} of BitsStored (0028,0101)"
        )
    return words


def bits_warnings(
    words: Words | Channels, description: PixelDescription, has_overlay: bool
) -> tuple[str, ...]:
    """A warning where bits above the stored ones are set and do not belong to an overlay."""
    if has_overlay or not (share := share_above(words, description)):
        return ()
    return (
        f"{100 * share:.3g} % of the pixels use bits above BitsStored (0028,0101) "
        f"{description.bits_stored}, which are left out: if the header is wrong, the grey levels "
        "are too",
    )


def share_above(words: Words | Channels, description: PixelDescription) -> float:
    """Share of words in which bits above the highest stored one do not just extend the sign."""
    top = description.high_bit + 1
    if top == description.bits_allocated or words.max() < 2**top:
        return 0.0
    if not description.signed:
        return float((words >= 2**top).mean())
    # Sign-extended words wrap around to 0 .. 2^top - 1 when half the range is added.
    half = words.dtype.type(2 ** (top - 1))
    return float(((words + half >= 2**top) & (words >= 2**top)).mean())


def narrowed(
    description: PixelDescription, words: Words | Channels
) -> tuple[PixelDescription, Words | Channels]:
    """Words of 32 bits as words of 16, with their description; shorter words as they are.

    Up to 16 stored bits keep their values. Of more, the values that the image uses are numbered in
    their order, and the description gets the value of each number. If the image uses more than
    65,536 values, neighbours share a number and the lowest of them, and there is a warning. In
    colour the lowest bits are left out.
    """
    if words.itemsize < 4:
        return description, words
    bits = description.bits_stored
    values = stored_bits(description, words)
    if bits <= 16 or description.samples == 3:
        kept = min(bits, 16)
        plain = replace(description, bits_allocated=16, bits_stored=kept, high_bit=kept - 1)
        return plain, (values >> (bits - kept)).astype(np.uint16)
    numbers = values.astype(np.int64)
    if description.signed:
        numbers -= (numbers >> (bits - 1)) << bits
    used, ranks = np.unique(numbers, return_inverse=True)
    shared = -(-used.size // 2**16)
    warnings = description.warnings
    if shared > 1:
        warnings += (
            f"the image uses {used.size:,} grey values, and every {shared} neighbours are read as "
            "one: at most 65,536 are kept",
        )
    narrow = (ranks.reshape(numbers.shape) // shared).astype(np.uint16)
    return replace(description, values=used[::shared], warnings=warnings), narrow


def stored_bits(description: PixelDescription, channels: Words | Channels) -> Words | Channels:
    """The stored bits, shifted and masked (PS3.5 8.1.1).

    >>> four_at_the_top = PixelDescription(
    ...     uid.ExplicitVRLittleEndian,
    ...     rows=1,
    ...     columns=1,
    ...     samples=3,
    ...     photometric="RGB",
    ...     bits_allocated=8,
    ...     bits_stored=4,
    ...     high_bit=7,
    ...     signed=False,
    ...     planar=False,
    ...     frames=1,
    ... )
    >>> stored_bits(four_at_the_top, np.full((1, 1, 3), 0xA5, dtype=np.uint8)).tolist()
    [[[10, 10, 10]]]
    """
    shift = description.high_bit + 1 - description.bits_stored
    return (channels >> shift) & (2**description.bits_stored - 1)


def aligned(
    description: PixelDescription, words: Words | Channels
) -> tuple[PixelDescription, tuple[str, ...]]:
    """The description with the words' true high bit, and a warning if the header has another one.

    Some headers place the stored bits at the top of each word, and the words have them at the
    bottom.
    """
    shift = description.high_bit + 1 - description.bits_stored
    at_bottom = replace(description, high_bit=description.bits_stored - 1)
    below = words.dtype.type(2**shift - 1)
    if shift == 0 or share_above(words, at_bottom) or not (words & below).any():
        return description, ()
    warning = (
        f"HighBit (0028,0102) is {description.high_bit}, but the stored bits end at "
        f"{at_bottom.high_bit}: so they are read"
    )
    return at_bottom, (warning,)
