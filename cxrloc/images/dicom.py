"""A DICOM file's radiograph."""

import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from mmap import mmap
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from jaxtyping import Float32
from pydicom import Dataset, dcmread, uid
from pydicom.errors import BytesLengthException, InvalidDicomError

from cxrloc.images.dicom_header import (
    HEADER_TAGS,
    age_years_of,
    header_warnings,
    laterality_of,
    patient_orientation_of,
    sex_of,
    spacing_mm_of,
    view_of,
)
from cxrloc.images.dicom_pixels import (
    PIXEL_TAGS,
    check_whole,
    has_plain_words,
    pixel_data,
    stored_words,
)
from cxrloc.images.dicom_rendering import RENDERING_TAGS, Rendering, render, twelve_bit_table
from cxrloc.images.intensity import grey_levels, looks_inverted
from cxrloc.types import CxrlocError, Radiograph, View

# What pydicom raises on bytes that are no DICOM file, or a damaged one.
PARSING_ERRORS = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

DEFERRED_BYTES = 2**20
"""Larger values, which only pixels have, are not copied where they can be used as they lie."""

_WARNINGS = threading.Lock()
"""Python's record of warnings is one per process, so one thread at a time keeps it."""


def read_dicom(path: Path, data: mmap, voi: int = 0) -> Radiograph:
    """Grey levels and header facts of a DICOM file; of several frames the first.

    Args:
        path: names the file in errors.
        data: the file.
        voi: which of the file's VOI views, see `cxrloc.images.dicom_rendering.voi_views`.

    Raises:
        CxrlocError: not a DICOM file that can be read, or none with this view.
    """
    try:
        # pydicom's complaints of header values quote them, names included: they stay here.
        with recorded_warnings():
            dataset = _parse(path, data)
        with recorded_warnings() as complaints:
            words = stored_words(path, dataset, pixel_data(dataset, data))
        with recorded_warnings():
            rendering = render(path, dataset, words, voi)
        # Outside, so that threads do the arithmetic of their pixels side by side.
        pixels = grey_levels(words, rendering.table)
        with recorded_warnings():
            radiograph = _radiograph(dataset, pixels, rendering, complaints)
            stored = partial(grey_levels, words, twelve_bit_table(dataset, 8 * words.itemsize))
            return replace(radiograph, read_stored=stored)
    except PARSING_ERRORS as error:
        # The error's text may quote the header, so only its kind is told.
        raise CxrlocError(
            f"{path}: a damaged DICOM file ({type(error).__name__} while reading its "
            "tags): is it cut short?"
        ) from error


@contextmanager
def recorded_warnings() -> Iterator[list[str]]:
    """Python warnings of this block as a list of lines, not raised and not printed."""
    lines: list[str] = []
    with _WARNINGS, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield lines
        lines += dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught)


def _parse(path: Path, data: mmap) -> Dataset:
    """The tags that are needed; where only the pixels' end is missing, an error that says so."""
    try:
        dataset = _read_tags(data, DEFERRED_BYTES)
        return dataset if has_plain_words(dataset) else _read_tags(data)
    except PARSING_ERRORS:
        check_whole(path, _read_tags(data, with_pixels=False), data[data.tell() :])
        raise


def _read_tags(data: mmap, deferred: int | None = None, with_pixels: bool = True) -> Dataset:
    """The tags, and a transfer syntax also where the file does not name one."""
    data.seek(0)
    dataset = dcmread(
        cast(BinaryIO, data),  # of which pydicom needs what a map has
        deferred,
        stop_before_pixels=not with_pixels,
        force=True,
        specific_tags=[*HEADER_TAGS, *PIXEL_TAGS, *RENDERING_TAGS],
    )
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        plain = uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian if little is False else plain
    return dataset


def _radiograph(
    dataset: Dataset,
    pixels: Float32[np.ndarray, "row col"],
    rendering: Rendering,
    complaints: list[str],
) -> Radiograph:
    photometric = str(dataset.PhotometricInterpretation)
    view = view_of(dataset)
    polarity: tuple[str, ...] = ()
    if view is not View.LATERAL and looks_inverted(pixels):
        polarity = (
            f"PhotometricInterpretation (0028,0004) is {photometric}, but so shown the image looks "
            "inverted for a frontal chest (middle darker than lungs and air)",
        )
    return Radiograph(
        pixels=pixels,
        bits_stored=int(dataset.BitsStored),
        spacing_mm=spacing_mm_of(dataset),
        view=view,
        age_years=age_years_of(dataset),
        sex=sex_of(dataset),
        patient_orientation=patient_orientation_of(dataset),
        laterality=laterality_of(dataset),
        photometric_interpretation=photometric,
        intensity=rendering.intensity,
        file_format="DICOM",
        warnings=(*header_warnings(dataset), *rendering.warnings, *polarity, *complaints),
    )
