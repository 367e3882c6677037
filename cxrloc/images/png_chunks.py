"""The chunks of a PNG file: what stands in them, and whether they are whole."""

import struct
import zlib
from collections.abc import Iterator

from cxrloc.images.formats import PNG_START

PNG_GREY, PNG_PALETTE, PNG_GREY_ALPHA, PNG_ALPHA = 0, 3, 4, 6
"""Colour types of a PNG's IHDR chunk (PNG specification, 11.2.2)."""

PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Channels by colour type."""

ADAM7 = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)
"""First row, first column and their steps in each pass of an interlaced PNG (8.2)."""

MOST_CHUNKS = 20_000
"""Chunks after which a PNG is refused; Pillow takes a minute for a file of a million empty ones."""

BLOCK = 2**20  # bytes that are inflated at a time

PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf")
"""Chunks that describe the pixels; others may be damaged or larger than Pillow accepts."""


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kinds of a PNG's chunks, and the chunks with length and checksum (PNG specification, 5.3).

    Yields at most `MOST_CHUNKS` + 1.
    """
    at = len(PNG_START)
    for _ in range(MOST_CHUNKS + 1):
        if at + 12 > len(data):
            return
        length = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at : at + 12 + length]
        at += 12 + length


def checksum_is_right(chunk: bytes) -> bool:
    """Whether a chunk ends in the CRC of its kind and content (PNG specification, 5.3)."""
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")


def side_ratio(data: bytes) -> tuple[int, int]:
    """Pixels per unit of length across and down (11.3.4.3); equal where the file does not say."""
    body = next((chunk[8:-4] for kind, chunk in chunks(data) if kind == b"pHYs"), b"")
    across, down = struct.unpack(">II", body[:8]) if len(body) == 9 else (1, 1)
    return (across, down) if across and down else (1, 1)


def has_all_rows(data: bytes) -> bool:
    """Whether the pixels of a PNG inflate to as many bytes as its header promises (7.2, 8.2).

    Pixels whose own checksum is wrong do not inflate.
    """
    columns, rows, depth, colour = struct.unpack(">IIBB", data[16:26])
    bits = depth * PNG_CHANNELS.get(colour, 1)
    passes = ADAM7 if data[28] else ((0, 0, 1, 1),)
    promised = 0
    for first_row, first_column, row_step, column_step in passes:
        own_rows = -(-max(0, rows - first_row) // row_step)
        own_columns = -(-max(0, columns - first_column) // column_step)
        # Each row has one byte more, which names its filter.
        promised += own_rows * (1 + (own_columns * bits + 7) // 8) if own_columns else 0
    inflating, found = zlib.decompressobj(), 0
    for kind, chunk in chunks(data):
        rest = chunk[8:-4] if kind == b"IDAT" else b""
        while rest and found < promised:
            try:
                found += len(inflating.decompress(rest, BLOCK))
            except zlib.error:
                return False
            rest = inflating.unconsumed_tail
    return found >= promised
