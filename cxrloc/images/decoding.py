"""Decodes compressed frames to arrays; `decoder_process` runs this module in its own process.

On some damaged streams, native decoders crash or never return. This module imports only what the
decoders need, so that the process starts fast.
"""

import importlib
import json
import os
import sys
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np

CPU_SECONDS, CPU_SECONDS_PER_MEGAPIXEL = 10, 1
"""Processor time that one frame may take; a decoder needs about .1 s per million pixels."""

MEMORY, MEMORY_PER_SAMPLE = 2**29, 48
"""Bytes that one frame may add to the process's memory; decoders take up to 12 per sample."""


def serve() -> None:
    """Decode frames from standard input to standard output, until the input ends."""
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a native library prints must not get among the replies
    while message := read_message(requests):
        request, data = message
        try:
            _limit(request)
            pixels, photometric = decode(request, data)
        except BaseException as error:  # the Rust decoder's panic is no Exception
            write_message(replies, {"error": f"{error}" or type(error).__name__}, b"")
            continue
        reply = {"shape": pixels.shape, "dtype": pixels.dtype.str, "photometric": photometric}
        write_message(replies, reply, np.ascontiguousarray(pixels).data)


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


def decode(request: dict[str, Any], data: bytes) -> tuple[np.ndarray, str]:
    """The pixels of one frame, and the photometric interpretation that they have.

    Args:
        request: the `syntax`, the `plugin` of pydicom (or "opencv" for a PNG), and pydicom's
            `options` for the image.
        data: the frame.

    Raises:
        Exception: whatever the decoder raises on damaged streams.
    """
    options = request["options"]
    if request["plugin"] == "opencv":
        return _png_channels(data), ""
    if request["plugin"] == "gdcm" and request["extended"]:
        return _extended_jpeg(options, data), options["photometric_interpretation"]
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
    return pixels, str(properties["photometric_interpretation"])


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
