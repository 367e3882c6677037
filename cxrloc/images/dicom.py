"""Reads the radiograph in a DICOM file."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from mmap import mmap
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from pydicom import uid
from pydicom.errors import BytesLengthException

from cxrloc.errors import CxrlocError
from cxrloc.images.dicom_bits import aligned, narrowed, stored_bits
from cxrloc.images.dicom_file import (
    DOUBLE_PIXELS,
    FLOAT_PIXELS,
    PARSING_ERRORS,
    DicomFile,
    read_dicom_file,
)
from cxrloc.images.dicom_frames import OFFSET_TABLES
from cxrloc.images.dicom_header import (
    HEADER_TAGS,
    age_years_of,
    header_warnings,
    laterality_of,
    not_a_chest,
    patient_orientation_of,
    sex_of,
    spacing_mm_of,
    take_first_frame,
    view_of,
)
from cxrloc.images.dicom_pixel_description import (
    DESCRIPTION_TAGS,
    PALETTE,
    PixelDescription,
    pixel_description,
)
from cxrloc.images.dicom_pixels import stored_pixels
from cxrloc.images.dicom_rendering import (
    RENDERING_TAGS,
    render,
    render_palette,
    twelve_bit_table,
)
from cxrloc.images.dicom_values import code_of, numbers
from cxrloc.images.intensity import grey_levels, looks_inverted
from cxrloc.images.stored_pixels import grey_of_colour
from cxrloc.types import Radiograph, View

OVERLAY_POSITIONS = tuple(0x60000102 + (group << 16) for group in range(0, 32, 2))
"""Overlay Bit Position (60xx,0102) of the 16 overlays that a file can have (PS3.3 C.9.2)."""

TAGS: tuple[str | int, ...] = (
    *HEADER_TAGS,
    *DESCRIPTION_TAGS,
    *RENDERING_TAGS,
    *OFFSET_TABLES,
    *OVERLAY_POSITIONS,
    "MediaStorageSOPClassUID",
)
"""Only these tags are read, so that no name and no id can leak into results."""

INFLATED_BYTES_PER_PIXEL = 8
"""A deflated data set may have this many bytes per allowed pixel: 16-bit colour has 6."""

FRAMES_UNREAD = "the functional groups of its frames cannot be read and are ignored"

_WARNINGS = threading.Lock()
"""Python has one record of warnings per process, so only one thread at a time may use it."""


def read_dicom(path: Path, data: mmap, voi: int, max_megapixels: float) -> Radiograph:
    """The first frame of a DICOM file as a radiograph, with the facts of its header.

    Args:
        path: names the file in errors.
        data: the file.
        voi: which of the file's VOI views, see `cxrloc.images.dicom_rendering.voi_views`.
        max_megapixels: larger images are refused.

    Raises:
        CxrlocError: the file is not a readable DICOM file, or does not offer this view.
    """
    try:
        # pydicom's warnings may quote header values such as names, so they are not passed on.
        with recorded_warnings():
            most_bytes = int(INFLATED_BYTES_PER_PIXEL * 1e6 * max_megapixels)
            file = read_dicom_file(path, data, TAGS, most_bytes)
            _check_is_image(path, file)
            try:
                about_frames = take_first_frame(file.header)
            except PARSING_ERRORS:
                about_frames = (FRAMES_UNREAD,)
            file = replace(file, warnings=(*file.warnings, *about_frames))
            description = pixel_description(path, file.header, max_megapixels)
        return _radiograph(path, file, description, voi)
    except PARSING_ERRORS as error:
        # The error's text may quote the header, so the message names only the kind of error.
        ends = isinstance(error, EOFError | BytesLengthException) or "out of range" in str(error)
        raise CxrlocError(
            f"{path}: a damaged DICOM file ({type(error).__name__} while reading its tags)"
            + (": is it cut short?" if ends else "")
        ) from error


@contextmanager
def recorded_warnings() -> Iterator[list[str]]:
    """Python warnings of this block as a list of lines, not raised and not printed.

    A warning that another thread gives meanwhile, outside of such a block, belongs to something
    else, and is not in the list.
    """
    lines: list[str] = []
    caught: dict[str, None] = {}
    thread = threading.get_ident()

    def keep(message: Warning | str, *about: object, **more: object) -> None:
        if threading.get_ident() == thread:
            caught[" ".join(str(message).split())] = None

    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = keep
        yield lines
        lines += caught


def _check_is_image(path: Path, file: DicomFile) -> None:
    """Refuse a file without pixels, saying what it holds instead.

    Raises:
        CxrlocError: no Pixel Data (7FE0,0010) of whole numbers.
    """
    if file.pixel_tag in (FLOAT_PIXELS, DOUBLE_PIXELS):
        raise CxrlocError(
            f"{path}: its pixels are floating-point numbers (7FE0,0008 or 7FE0,0009); radiographs "
            "are stored in whole numbers, in PixelData (7FE0,0010)"
        )
    if len(file.pixels) > 0:
        return
    kind = uid.UID(code_of(file.header, "SOPClassUID"))
    if kind.name == kind or "Image Storage" in kind.name:
        raise CxrlocError(
            f"{path}: no PixelData (7FE0,0010): the file holds no image, or is cut short before it"
        )
    raise CxrlocError(f"{path}: a {kind.name} file: it holds no image")


def _radiograph(path: Path, file: DicomFile, description: PixelDescription, voi: int) -> Radiograph:
    """The radiograph of the first frame."""
    header = file.header
    positions = (numbers(header, tag) for tag in OVERLAY_POSITIONS)
    overlay = any(position[:1] > [description.high_bit] for position in positions)
    with recorded_warnings() as complaints:
        stored = stored_pixels(path, description, file, overlay)
    bits_stored, read_stored = description.bits_stored, None
    description, misaligned = aligned(description, stored.words)
    description, words = narrowed(description, stored.words)
    if description.samples == 3:
        # PS3.3 C.11.2.1.2: VOI, modality and presentation transforms are for grey images only.
        channels = stored_bits(description, words)
        pixels, about = grey_of_colour(path, channels, stored.photometric, description.bits_stored)
        intensity, about = "the grey of three equal channels", (*about, *misaligned)
        # The shape of a presentation LUT is one of the transforms for grey images only.
        if description.photometric == "MONOCHROME1":
            pixels = np.float32(1.0) - pixels
            intensity += ", inverted"
    else:
        with recorded_warnings():
            if description.photometric == PALETTE:
                rendering = render_palette(path, header, description, words)
            else:
                rendering = render(path, header, description, words, voi)
                stored_table = twelve_bit_table(header, description)
                read_stored = partial(grey_levels, words, stored_table)
        # This stands outside the block above, so that threads compute their pixels in parallel.
        pixels = grey_levels(words, rendering.table)
        intensity, about = rendering.intensity, (*rendering.warnings, *misaligned)
    with recorded_warnings():
        view = view_of(header)
        return Radiograph(
            pixels=pixels,
            bits_stored=bits_stored,
            spacing_mm=spacing_mm_of(header),
            view=view,
            age_years=age_years_of(header),
            sex=sex_of(header),
            patient_orientation=patient_orientation_of(header),
            laterality=laterality_of(header),
            photometric_interpretation=description.photometric,
            intensity=intensity,
            file_format="DICOM",
            warnings=(
                *header_warnings(header),
                *file.warnings,
                *description.warnings,
                *about,
                *_polarity_warnings(pixels, description.photometric, view),
                *stored.warnings,
                *complaints,
            ),
            not_a_chest=not_a_chest(header),
            read_stored=read_stored,
        )


def _polarity_warnings(
    pixels: Float32[np.ndarray, "row col"], photometric: str, view: View | None
) -> tuple[str, ...]:
    if view is View.LATERAL or not looks_inverted(pixels):
        return ()
    return (
        f"PhotometricInterpretation (0028,0004) is {photometric}, but so shown the image looks "
        "inverted for a frontal chest (middle darker than lungs and air)",
    )
