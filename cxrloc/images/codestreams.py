"""The size and depth that a compressed stream states, read before a decoder sees the stream."""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

BASELINE, EXTENDED, LOSSLESS = 0xC0, 0xC1, 0xC3
"""Start-of-frame markers of sequential JPEG (ITU-T T.81, table B.1); baseline has 8 bits."""

JPEG_LS = 0xF7
"""Start-of-frame marker of JPEG-LS (ITU-T T.87, C.2.2); its header has the layout of T.81."""

J2K_START = b"\xff\x4f\xff\x51"
"""SOC and SIZ, with which every JPEG 2000 codestream begins (ITU-T T.800, A.3)."""

JP2_START = b"\x00\x00\x00\x0cjP  "
"""The signature box of a JP2 file (ITU-T T.800, I.5.1); DICOM allows only the bare codestream."""

END_OF_IMAGE = b"\xff\xd9"
"""EOI of JPEG and JPEG-LS, EOC of JPEG 2000: the last two bytes of a whole stream."""

TILE_PART = 0x90
"""SOT, which begins each tile-part of a JPEG 2000 codestream (ITU-T T.800, A.4.2)."""

SCAN = 0xDA
BEFORE_SCAN = (*range(0xC0, 0xD0), 0xDB, 0xDD, *range(0xE0, 0xF0), JPEG_LS, 0xF8, 0xFE)
"""Frames, tables, restart interval, application data and comments: all have a length."""

MOST_SEGMENTS = 20_000
"""Segments and fill bytes before a scan after which a JPEG is refused; millions take minutes."""

# The 0xC0 markers that start no frame: Huffman tables, a reserved one, arithmetic conditioning.
NO_FRAME = (0xC4, 0xC8, 0xCC)


@dataclass(frozen=True, slots=True)
class CodedImage:
    """Size and depth of an image, as its compressed stream states them.

    Attributes:
        marker: start-of-frame marker of a JPEG or JPEG-LS stream; 0 for JPEG 2000.
        bits: precision of a sample.
        rows: height.
        columns: width.
        samples: channels.
        signed: whether samples are signed numbers; None where the stream does not say it.
    """

    marker: int
    bits: int
    rows: int
    columns: int
    samples: int
    signed: bool | None = None


def coded_image(data: bytes) -> CodedImage | None:
    """The image that a JPEG, JPEG-LS or JPEG 2000 stream promises; None where it has no header."""
    if data.startswith(JP2_START):
        data = data[max(0, data.find(J2K_START)) :]
    return _j2k_image(data) if data.startswith(J2K_START) else jpeg_frame(data)


def jpeg_frame(data: bytes) -> CodedImage | None:
    """The frame header of a JPEG stream; None where the segments up to its scan are not in order.

    >>> jpeg_frame(bytes.fromhex("ffd8 ffc0 000b 08 0010 0020 01 011100 ffda 0000"))
    CodedImage(marker=192, bits=8, rows=16, columns=32, samples=1, signed=None)
    """
    frame = None
    for marker, body in segments(data):
        if marker == SCAN:
            return frame
        starts_frame = marker == JPEG_LS or (0xC0 <= marker <= 0xCF and marker not in NO_FRAME)
        if starts_frame and len(body) >= 6:
            # ITU-T T.81, B.2.2: precision, lines, samples per line, components.
            frame = CodedImage(marker, *struct.unpack(">BHHB", body[:6]))
    return None


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers and contents of a JPEG's segments up to its scan (ITU-T T.81, B.1.1.4).

    The segments end early where they are not in order, or more than `MOST_SEGMENTS`.
    """
    at = 2
    for _ in range(MOST_SEGMENTS):
        if at + 4 > len(data) or data[at] != 0xFF:
            return
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte, which has no length
            at += 1
            continue
        if marker != SCAN and marker not in BEFORE_SCAN:
            return
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield marker, data[at + 4 : end]
        if marker == SCAN:
            return
        at = end


def most_samples(stream: CodedImage, size: int) -> float:
    """How many samples a stream of `size` bytes can hold at most, whatever its header promises.

    ITU-T T.81: every sample of the lossless process, and the first and the last coefficient of
    every 8 x 8 block of the sequential ones, take a Huffman code of one bit or more. Other
    processes have no such bound.
    """
    samples_per_bit = {LOSSLESS: 1, BASELINE: 32, EXTENDED: 32}
    return samples_per_bit.get(stream.marker, math.inf) * 8 * size


def missing_tiles(data: bytes) -> int:
    """How many tiles of a JPEG 2000 stream are absent; 0 for other streams.

    ITU-T T.800, A.4.2 and A.5.1: SIZ gives the number of tiles, and the header of every tile-part
    gives its tile and its length. OpenJPEG leaves absent tiles black without a word.
    """
    start = data.find(J2K_START) if data.startswith((J2K_START, JP2_START)) else -1
    if start < 0 or len(data) < start + 43:
        return 0
    right, bottom, _, _, width, height, left, top = struct.unpack_from(">8I", data, start + 8)
    if not (width and height):
        return 0
    expected = -(-(right - left) // width) * -(-(bottom - top) // height)
    found, at = set(), start + 2
    while at + 12 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == TILE_PART:
            tile, length = struct.unpack_from(">HI", data, at + 4)
            found.add(tile)
            at += length or len(data)  # the last tile-part may leave its length open
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return max(0, expected - len(found))


def has_end(frame: bytes) -> bool:
    """Whether an end marker closes a stream; a few bytes, or any number of zeros, may follow it."""
    return END_OF_IMAGE in frame.rstrip(b"\0")[-32:]


def _j2k_image(data: bytes) -> CodedImage | None:
    """The SIZ segment of a JPEG 2000 codestream (ITU-T T.800, A.5.1)."""
    if len(data) < 43:
        return None
    right, bottom, left, top = struct.unpack(">4I", data[8:24])
    samples, precision = struct.unpack(">HB", data[40:43])
    # The highest bit of Ssiz tells signed samples; the rest is the precision less 1.
    size = bottom - top, right - left
    return CodedImage(0, (precision & 0x7F) + 1, *size, samples, precision > 0x7F)
