"""Decodes compressed frames to arrays; `decoder_process` runs this module in its own process.

On some damaged streams, native decoders crash or never return. This module imports only what the
decoders need, so that the process starts fast.
"""

import importlib
import json
import os
import sys
import tempfile
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple

import numpy as np

CPU_SECONDS, CPU_SECONDS_PER_MEGAPIXEL = 10, 1
"""Processor time that one frame may take; a decoder needs about .1 s per million pixels."""

MEMORY, MEMORY_PER_SAMPLE = 2**29, 48
"""Bytes that one frame may add to the process's memory; decoders take up to 12 per sample."""

DAMAGE = ("Corrupt JPEG data", "Premature end of JPEG", "Inconsistent progression")
"""How libjpeg's messages about damaged data begin; it decodes such data as far as it can."""


class Decoded(NamedTuple):
    """One frame.

    Attributes:
        pixels: samples of rows, columns and perhaps channels.
        photometric: the photometric interpretation that the pixels have; empty for a PNG.
        damage: what the decoder says about damaged data that it decoded nevertheless; else empty.
    """

    pixels: np.ndarray
    photometric: str
    damage: str = ""


def serve() -> None:
    """Decode frames from standard input to standard output, until the input ends."""
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    with tempfile.TemporaryFile() as printed:
        # Native libraries print what they complain about; it must not get among the replies.
        for stream in (1, 2):
            os.dup2(printed.fileno(), stream)
        while message := read_message(requests):
            request, data = message
            printed.seek(0)
            printed.truncate()
            try:
                _limit(request)
                decoded = decode(request, data)
            except BaseException as error:  # the Rust decoder's panic is no Exception
                write_message(replies, {"error": f"{error}" or type(error).__name__}, b"")
                continue
            reply = {
                "shape": decoded.pixels.shape,
                "dtype": decoded.pixels.dtype.str,
                "photometric": decoded.photometric,
                "damage": decoded.damage or _printed_damage(printed),
            }
            write_message(replies, reply, np.ascontiguousarray(decoded.pixels).data)


def read_message(file: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """The next message that `write_message` wrote; None where the file has ended."""
    line = file.readline()
    if not line.endswith(b"\n"):
        return None
    head = json.loads(line)
    data = file.read(head["bytes"])
    return (head, data) if len(data) == head["bytes"] else None


def write_message(file: BinaryIO, head: dict[str, Any], data: bytes | memoryview) -> None:
    """Write one line of JSON and the bytes that belong to it."""
    size = memoryview(data).nbytes
    file.write(json.dumps({**head, "bytes": size}).encode() + b"\n")
    file.write(data)
    file.flush()


def decode(request: dict[str, Any], data: bytes) -> Decoded:
    """The pixels of one frame.

    Args:
        request: the `syntax`, the `plugin` of pydicom (or "opencv" for a PNG), and pydicom's
            `options` for the image.
        data: the frame.

    Raises:
        Exception: whatever the decoder raises on damaged streams.
    """
    options = request["options"]
    if request["plugin"] == "opencv":
        return Decoded(_png_channels(data), "")
    if request["plugin"] == "gdcm" and request["extended"]:
        return Decoded(_extended_jpeg(options, data), options["photometric_interpretation"])
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder

    # The reader handles unused bits, signs and colour, because it knows the faults of headers.
    pixels, properties = get_decoder(request["syntax"]).as_array(
        encapsulate([data]),
        index=0,
        raw=True,
        decoding_plugin=request["plugin"],
        **options,
    )
    damage = jpeg_damage(data) if request["plugin"] == "pillow" else ""
    return Decoded(pixels, str(properties["photometric_interpretation"]), damage)


def jpeg_damage(data: bytes) -> str:
    """What libjpeg says about the damage of a JPEG of 8 bits; empty where it is whole.

    Pillow reads a JPEG whose scan is cut without a word if it ends in an end marker. simplejpeg
    raises libjpeg's warnings. Decoding at an eighth of the size finds the same damage, since the
    damage shows before the size matters, and takes a third of the time.
    """
    import simplejpeg

    try:
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        return str(error) if str(error).startswith(DAMAGE) else ""
    return ""


def _printed_damage(printed: BinaryIO) -> str:
    """The first line about damaged data among those that the decoder printed."""
    printed.seek(0)
    lines = printed.read(10_000).decode("ascii", "replace").splitlines()
    return next((line.strip() for line in lines if line.startswith(DAMAGE)), "")


def _png_channels(data: bytes) -> np.ndarray:
    """Blue, green, red and perhaps alpha of a PNG of 16 bits, which Pillow would cut to 8."""
    cv2 = importlib.import_module("cv2")
    channels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if channels is None:
        raise ValueError("its pixels cannot be decoded")
    return channels


def _extended_jpeg(options: dict[str, Any], data: bytes) -> np.ndarray:
    """Pixels of a 12-bit JPEG by gdcm directly, since pydicom's gdcm plug-in does not decode it."""
    gdcm = importlib.import_module("gdcm")
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(data)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((options["columns"], options["rows"], 1))
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation.MONOCHROME2
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
    bits, signed = options["bits_stored"], options["pixel_representation"]
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, bits, bits - 1, signed))
    # gdcm returns the bytes of the pixels as text.
    pixels = (image.GetBuffer() or "").encode("utf-8", "surrogateescape")
    return np.frombuffer(pixels, dtype="<u2").reshape(options["rows"], options["columns"])


def _limit(request: dict[str, Any]) -> None:
    """Bound the processor time and memory of the next frame, where the system can (Unix)."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        samples = request["options"]["rows"] * request["options"]["columns"]
        samples *= request["options"]["samples_per_pixel"]
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = CPU_SECONDS + int(CPU_SECONDS_PER_MEGAPIXEL * samples / 1e6)
        spent = int(used.ru_utime + used.ru_stime)
        resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with open("/proc/self/statm") as file:  # noqa: PTH123  # pathlib is not imported here
            taken = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        most = taken + MEMORY + MEMORY_PER_SAMPLE * samples
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
