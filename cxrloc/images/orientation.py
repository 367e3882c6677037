"""What the EXIF or XMP data of a PNG or JPEG say about its pixels: orientation and resolution."""

import math
import zlib
from contextlib import suppress
from numbers import Rational
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL.ExifTags import Base

from cxrloc.images.codestreams import segments
from cxrloc.images.dicom import recorded_warnings
from cxrloc.images.png_chunks import chunks

TURNS = {
    1: (False, 0, False),
    2: (False, 0, True),
    3: (False, 2, False),
    4: (False, 2, True),
    5: (True, 0, False),
    6: (True, 0, True),
    7: (True, 2, False),
    8: (True, 2, True),
}
"""EXIF orientation (CIPA DC-008, tag 274): whether rows and columns are exchanged, by how many
quarter turns the result is then rotated, and whether its rows are then mirrored."""

APP1, EXIF_START, XMP_START = 0xE1, b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
"""The application segment of a JPEG that holds EXIF data (CIPA DC-008, 4.7.2) or XMP data."""

TEXTS = {b"Raw profile type exif": "exif", b"XML:com.adobe.xmp": "xmp"}
"""Keywords of the texts of a PNG in which ImageMagick keeps EXIF data, and Adobe XMP data."""

LONGEST_TEXT = 2**20
"""Bytes of a compressed text that are looked at, as in Pillow."""


class ExifFacts(NamedTuple):
    """What EXIF data (CIPA DC-008, 4.6.5.1) say about the pixels.

    Attributes:
        orientation: 1 to 8; 1 where the file does not say it.
        across: pixels per unit of length in a row; 0 where the file does not say it.
        down: pixels per unit of length in a column; 0 where the file does not say it.
    """

    orientation: int = 1
    across: float = 0.0
    down: float = 0.0


def exif_of_png(data: bytes) -> ExifFacts:
    """The EXIF facts in the eXIf chunk or in a text of a PNG."""
    found: dict[str, bytes] = {}
    for kind, chunk in chunks(data):
        body = chunk[8:-4]
        if kind == b"eXIf":
            found["exif"] = body
        elif kind in (b"tEXt", b"zTXt", b"iTXt") and body.startswith((*TEXTS,)):
            keyword, _, rest = body.partition(b"\0")
            name, text = TEXTS.get(keyword, ""), _text(kind, rest)
            if name == "exif":  # its name, its length, and its bytes as hexadecimal digits
                text = _bytes_of(b"".join(text.split()[2:]))
            found.setdefault(name, text)
    return _exif_facts(found)


def exif_of_jpeg(data: bytes) -> ExifFacts:
    """The EXIF facts in the APP1 segments of a JPEG before its scan."""
    found: dict[str, bytes] = {}
    for marker, body in segments(data):
        for name, start in (("exif", EXIF_START), ("xmp", XMP_START)):
            if marker == APP1 and body.startswith(start):
                found.setdefault(name, body.removeprefix(XMP_START))
    return _exif_facts(found)


def upright(words: np.ndarray, orientation: int) -> np.ndarray:
    """The image turned or mirrored so that it stands upright, by its EXIF orientation.

    >>> upright(np.array([[1, 2], [3, 4]]), 6).tolist()
    [[3, 1], [4, 2]]
    """
    transposed, quarters, mirrored = TURNS[orientation]
    turned = np.rot90(words.T if transposed else words, quarters)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)


def _exif_facts(found: dict[str, bytes]) -> ExifFacts:
    """The facts in EXIF data; where they have no orientation, it is taken from XMP data.

    Both are read by Pillow. `tiff:Orientation` of XMP has the values of EXIF's tag (XMP
    specification, part 2).
    """
    image = Image.new("L", (1, 1))
    image.info.update(found)
    values: dict[int, object] = {}
    with recorded_warnings():
        for tag in (Base.Orientation, Base.XResolution, Base.YResolution):
            with suppress(Exception):  # damaged data raise errors of many kinds
                values[tag] = image.getexif().get(tag)
    turn = values.get(Base.Orientation)
    return ExifFacts(
        turn if isinstance(turn, int) and turn in TURNS else 1,
        _per_length(values.get(Base.XResolution)),
        _per_length(values.get(Base.YResolution)),
    )


def _per_length(value: object) -> float:
    """A resolution of EXIF data; 0 where it is no number."""
    number = float(value) if isinstance(value, Rational) else math.nan
    return number if math.isfinite(number) else 0.0


def _text(kind: bytes, rest: bytes) -> bytes:
    """A text of a PNG behind its keyword, inflated if it is compressed (PNG 11.3.3)."""
    packed = kind == b"zTXt"
    if kind == b"iTXt":  # flag and method of compression, two names that end in NUL, the text
        packed = rest[:1] == b"\1"
        rest = rest[1:2] + rest[2:].split(b"\0", 2)[-1]
    if not packed:
        return rest[1:] if kind == b"iTXt" else rest
    try:
        return zlib.decompressobj().decompress(rest[1:], LONGEST_TEXT)
    except zlib.error:
        return b""


def _bytes_of(digits: bytes) -> bytes:
    """The bytes that hexadecimal digits stand for; none where they are no such digits."""
    try:
        return bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return b""
