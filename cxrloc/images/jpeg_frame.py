"""What a JPEG stream says of its image, before a decoder sees it."""

import struct
from dataclasses import dataclass

LOSSLESS = 0xC3
EXTENDED = 0xC1
"""Start-of-frame markers (ITU-T T.81, table B.1) of the processes with more than 8 bits."""

SCAN = 0xDA
BEFORE_SCAN = (*range(0xC0, 0xD0), 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE)
"""Frames, tables, restart interval, application data and comments: all have a length."""

# The 0xC0 markers that start no frame: Huffman tables, a reserved one, arithmetic conditioning.
NO_FRAME = (0xC4, 0xC8, 0xCC)


@dataclass(frozen=True, slots=True)
class JpegFrame:
    """A frame header (ITU-T T.81, B.2.2)."""

    marker: int
    bits: int
    rows: int
    columns: int
    samples: int


def jpeg_frame(data: bytes) -> JpegFrame | None:
    """The frame header of a JPEG stream; None where the segments up to its scan are not in order.

    >>> jpeg_frame(bytes.fromhex("ffd8 ffc0 000b 08 0010 0020 01 011100 ffda 0000"))
    JpegFrame(marker=192, bits=8, rows=16, columns=32, samples=1)
    """
    frame, at = None, 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker == SCAN:
            return frame
        if marker not in BEFORE_SCAN:
            return None
        if 0xC0 <= marker <= 0xCF and marker not in NO_FRAME and at + 10 <= len(data):
            frame = JpegFrame(marker, *struct.unpack(">BHHB", data[at + 4 : at + 10]))
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
