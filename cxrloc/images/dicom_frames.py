"""Finds the first compressed frame of a DICOM file, and checks its stream against the header."""

from pathlib import Path

from pydicom import uid
from pydicom.encaps import generate_fragments, get_frame

from cxrloc.errors import CxrlocError
from cxrloc.images.codestreams import (
    BASELINE,
    END_OF_IMAGE,
    EXTENDED,
    JPEG_LS,
    LOSSLESS,
    CodedImage,
    coded_image,
    has_end,
    missing_tiles,
    most_samples,
)
from cxrloc.images.decoder_process import DecodingError
from cxrloc.images.dicom_file import DicomFile
from cxrloc.images.dicom_pixel_bytes import ITEM
from cxrloc.images.dicom_pixel_description import PixelDescription

OFFSET_TABLES = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")

KINDS = {
    0: "JPEG 2000",
    BASELINE: "JPEG Baseline",
    EXTENDED: "JPEG Extended",
    LOSSLESS: "JPEG Lossless",
    JPEG_LS: "JPEG-LS",
}
"""What a stream is, by the marker in its header, in words of the names of transfer syntaxes."""

NO_END_MARKER = "the compressed stream has no end marker: it may be cut short"
ZEROS_BEFORE_END = "zero bytes before the end marker of the JPEG-LS stream were left out"

# pydicom and Pillow raise these errors on damaged or contradictory pixel data.
DECODING_ERRORS = (
    ArithmeticError,
    AttributeError,
    DecodingError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


def first_frame(
    path: Path, description: PixelDescription, file: DicomFile
) -> tuple[bytes, tuple[str, ...]]:
    """The stream of the first frame, and a warning where its offset table is missing.

    Raises:
        CxrlocError: the pixel data are not compressed, or their items do not hold the frame.
    """
    if file.pixels[:4] != ITEM:
        raise CxrlocError(
            f"{path}: PixelData (7FE0,0010) is not compressed, but TransferSyntaxUID (0002,0010) is"
            f" {description.syntax.name}: the header is wrong"
        )
    table, *fragments = generate_fragments(bytes(file.pixels))
    if len(fragments) == description.frames:
        # PS3.5 A.4: every frame has a fragment of its own, so a wrong offset table does no harm.
        return fragments[0], ()
    if description.frames == 1:
        if fragments:  # all of them belong to the frame
            return b"".join(fragments), ()
        warning = "PixelData (7FE0,0010) begins without the item of its offset table"
        return table, (warning,)
    tables = (file.header.get(keyword) for keyword in OFFSET_TABLES)
    offsets = tuple(table for table in tables if table)
    try:
        frame = get_frame(
            bytes(file.pixels),
            0,
            number_of_frames=description.frames,
            extended_offsets=offsets if len(offsets) == 2 else None,
        )
    except DECODING_ERRORS as error:
        raise undecoded(path, description.syntax, str(error)) from error
    return frame, ()


def checked_frame(path: Path, description: PixelDescription, frame: bytes) -> CodedImage | None:
    """What a stream says of itself; None for RLE, which says nothing.

    Raises:
        CxrlocError: the stream disagrees with the file's header, or is too short for its size.
    """
    syntax = description.syntax
    if syntax == uid.RLELossless:
        _check_planes(path, description, frame)
        return None
    stream = _checked(path, description, coded_image(frame))
    if stream.rows * stream.columns * stream.samples > most_samples(stream, len(frame)):
        raise undecoded(path, syntax, "the stream is too short for its size: is it cut short?")
    if absent := missing_tiles(frame):
        raise undecoded(path, syntax, f"tiles are missing ({absent}): is it cut short?")
    return stream


def repairs(frame: bytes, syntax: uid.UID) -> list[tuple[bytes, tuple[str, ...]]]:
    """The streams to decode in turn until one is whole, each with a warning of its repair.

    A stream without an end marker gets one, since decoders refuse even a whole stream without it,
    and the JPEG-LS decoder takes minutes on a stream that is cut short. The bytes at the end may be
    half of a marker, the padding to an even length (PS3.5 A.4), or zeros that belong to the image.
    """
    if syntax == uid.RLELossless:
        return [(frame, ())]
    if not has_end(frame):
        starts = dict.fromkeys((frame, frame[:-1], frame.rstrip(b"\0\xff")))
        return [(start + END_OF_IMAGE, (NO_END_MARKER,)) for start in starts]
    end = frame.rfind(END_OF_IMAGE)
    without = frame[:end].rstrip(b"\0") + frame[end:]
    if syntax in uid.JPEGLSTransferSyntaxes and without != frame:
        return [(frame, ()), (without, (ZEROS_BEFORE_END,))]
    return [(frame, ())]


def refusal(error: Exception, frame: bytes, syntax: uid.UID) -> str:
    """Why a decoder refused a frame, in words."""
    text = str(error).partition("raised by all available plugins:")[2] or str(error)
    stream = coded_image(frame)
    if stream is not None and (kind := KINDS.get(stream.marker, "")) not in syntax.name:
        return f"the stream is {kind}, which is another transfer syntax"
    if "'NoneType' object has no attribute" in text or "cannot reshape" in text:  # gdcm's refusal
        text = "the stream is damaged"
    if stream is not None and not has_end(frame):
        text += "; it has no end marker: is it cut short?"
    return text


def undecoded(path: Path, syntax: uid.UID, reason: str) -> CxrlocError:
    """The error about a frame that cannot be decoded."""
    why = " ".join(reason.split())
    return CxrlocError(
        f"{path}: PixelData (7FE0,0010), {syntax.name}, cannot be decoded: {why[:300]}"
    )


def _checked(path: Path, description: PixelDescription, stream: CodedImage | None) -> CodedImage:
    """The stream's header, after a check that it agrees with the file's header."""
    syntax = description.syntax
    if stream is None:
        raise undecoded(path, syntax, "the compressed stream has no header")
    size = stream.rows, stream.columns, stream.samples
    described = description.rows, description.columns, description.samples
    too_deep = stream.bits > description.bits_allocated
    too_flat = stream.bits <= 8 < description.bits_stored
    if size != described or too_deep or too_flat:
        raise undecoded(
            path,
            syntax,
            f"the stream has {_words(*size, stream.bits)}, but the header says "
            f"{_words(*described, description.bits_stored)}",
        )
    return stream


def _check_planes(path: Path, description: PixelDescription, frame: bytes) -> None:
    """Refuse an RLE frame with another number of segments than samples have bytes (PS3.5 G.5)."""
    found, bits = int.from_bytes(frame[:4], "little"), description.bits_allocated
    if found != description.samples * bits // 8:
        raise undecoded(
            path,
            description.syntax,
            f"the stream has {found} bytes per pixel, but the header says {description.samples} x "
            f"{bits} bits",
        )


def _words(rows: int, columns: int, samples: int, bits: int) -> str:
    return f"{rows} rows x {columns} columns of {samples} x {bits} bits"
