"""From stored DICOM words to grey levels: the grayscale pipeline as one table (PS3.3 C.11, C.8).

Departs: highdicom and the standard give the grey levels; pydicom's `apply_presentation_lut` does
not, as it inverts about the maximum of the image at hand.
"""

import math
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64
from pydicom import Dataset

from cxrloc.errors import CxrlocError
from cxrloc.images.dicom_luts import PALETTE_TAGS, LookupTable, full_items, lookup_table, palette
from cxrloc.images.dicom_pixel_description import PixelDescription
from cxrloc.images.dicom_values import TWO_READINGS, code_of, number_of, numbers, tag_of, texts
from cxrloc.images.intensity import WINDOWS, look_up, unit_range, used_range
from cxrloc.images.stored_pixels import LARGEST_COLOUR, Words

NOT_FOR_DISPLAY = (
    "1.2.840.10008.5.1.4.1.1.12.1",
    "1.2.840.10008.5.1.4.1.1.12.1.1",
    "1.2.840.10008.5.1.4.1.1.12.2",
    "1.2.840.10008.5.1.4.1.1.12.2.1",
    "1.2.840.10008.5.1.4.1.1.12.3",
)
"""X-ray angiography and radiofluoroscopy, whose Modality LUT is not for display."""

RENDERING_TAGS = (
    *PALETTE_TAGS,
    "ModalityLUTSequence",
    "RescaleSlope",
    "RescaleIntercept",
    "VOILUTSequence",
    "VOILUTFunction",
    "WindowCenter",
    "WindowWidth",
    "PresentationLUTShape",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
)


@dataclass(frozen=True, slots=True)
class Window:
    """A VOI window (PS3.3 C.11.2.1.2) and its VOI LUT Function."""

    center: float
    width: float
    function: str


@dataclass(frozen=True, slots=True, eq=False)
class Rendering:
    """Grey level in [0, 1] of every word that a pixel can hold, and how it was computed."""

    table: Float32[np.ndarray, " word"]
    intensity: str
    warnings: tuple[str, ...]


def render(
    path: Path, header: Dataset, description: PixelDescription, words: Words, voi: int
) -> Rendering:
    """The grey level of every word, by the grayscale pipeline with view `voi`.

    The pipeline is modality transform, VOI transform, presentation, and black padding.

    Grey levels are computed once per possible word, in float64, and kept as float32.
    Departs: PS3.3 C.11.2.1.1 scales a VOI LUT by the bits that its descriptor names. Here the LUT
    is scaled by its own extremes, as in highdicom, since many files name 16 bits and use 12.

    Args:
        path: names the file in errors.
        header: the data set.
        description: of the pixels.
        words: the pixels; their histogram is used only where the file has no window.
        voi: index among VOI LUTs and then windows.

    Raises:
        CxrlocError: no view `voi`, or a damaged table.
    """
    stored = stored_values(description)
    values, nominal, modality, about_modality = _modality(path, header, description, stored)
    padding, about_padding = _padding(header, description, stored)
    views, warnings = voi_views(path, header, (float(values.min()), float(values.max())))
    if voi != 0 and not -len(views) <= voi < len(views):
        raise CxrlocError(f"{path}: no VOI view {voi}: the file has {len(views)} (numbered from 0)")
    if views:
        grey, way = _viewed(values, views[voi])
    else:
        counts = np.bincount(words.ravel(), minlength=len(stored)) * ~padding
        shown = used_range(values, counts, nominal)
        grey, way = unit_range(values, *shown), f"range {shown[0]:g} to {shown[1]:g}"
        kind = "the full nominal" if shown == nominal else "a padded percentile"
        there = any(keyword in header for keyword in ("VOILUTSequence", "WindowCenter"))
        usable = "usable " if there else ""
        warnings += (f"no {usable}VOI window or LUT: {kind} {way} is shown",)
    inverted, contradiction = _inverted(header, description)
    if inverted:
        grey = 1.0 - grey
    # PS3.3 C.7.5.1.1.2: padding is not part of the image; here it is made black, like air.
    grey[padding] = 0.0
    steps = (modality, way, "inverted" if inverted else "", "padding black" * bool(padding.any()))
    return Rendering(
        table=grey.astype(np.float32),
        intensity=", ".join(step for step in steps if step),
        warnings=(*about_modality, *warnings, *contradiction, *about_padding),
    )


def render_palette(
    path: Path, header: Dataset, description: PixelDescription, words: Words
) -> Rendering:
    """The grey levels of a PALETTE COLOR image whose palette is grey.

    Raises:
        CxrlocError: the palette is missing, damaged, or in colour where pixels use it.
    """
    stored = stored_values(description).astype(np.float64)
    tables = palette(path, header, (float(stored.min()), float(stored.max())))
    channels = [look_up(stored, table.first, table.entries) for table in tables]
    # Some palettes that call their entries 16-bit hold 8-bit ones.
    deepest = max(table.bits if table.entries.max() > 255 else 8 for table in tables)
    shares = np.stack(channels, axis=1) / (2.0**deepest - 1)  # word channel
    used = shares[np.unique(words)]
    if float(np.ptp(used, axis=1).max()) > LARGEST_COLOUR:
        raise CxrlocError(f"{path}: a PALETTE COLOR image in colour; radiographs are grey")
    grey = np.clip(shares[:, 1], 0.0, 1.0).astype(np.float32)
    return Rendering(grey, "a palette of greys", ("a PALETTE COLOR image: its palette is grey",))


def twelve_bit_table(
    header: Dataset, description: PixelDescription
) -> Float32[np.ndarray, " word"]:
    """Every word's stored value over 4095, clipped to [0, 1]; without window and rescaling.

    Rubin et al. 2018, section 5.2: "dividing by the maximum grayscale value 2^12 - 1".
    Open: which value is divided; here it is the stored one. Where low values are to be shown
    bright, the result is inverted, so that larger is brighter.
    """
    share = np.clip(stored_values(description) / 4095, 0.0, 1.0)
    return (1.0 - share if _inverted(header, description)[0] else share).astype(np.float32)


def stored_values(description: PixelDescription) -> Int64[np.ndarray, " word"]:
    """The pixel value in each word: its stored bits, shifted, masked and signed (PS3.5 8.1.1).

    Bits outside the stored ones (old overlays) are left out.
    """
    if description.values is not None:
        return description.values
    bits = description.bits_stored
    words = np.arange(2**description.bits_allocated, dtype=np.int64)
    values = (words >> (description.high_bit + 1 - bits)) & (2**bits - 1)
    if description.signed:
        values -= (values >> (bits - 1)) << bits
    return values


def voi_views(
    path: Path, header: Dataset, inputs: tuple[float, float]
) -> tuple[list[Window | LookupTable], tuple[str, ...]]:
    """The views that a file offers: VOI LUTs first, then windows; and warnings.

    PS3.3 C.11.2.1: several are alternative views, the first is the default. A window without a
    centre or without a possible width is left out, and so is a damaged LUT.

    Args:
        path: names the file in errors.
        header: the data set.
        inputs: lowest and highest value that the view is applied to.
    """
    items, warnings = full_items(header, "VOILUTSequence")
    tables: list[Window | LookupTable] = []
    for item in items:
        try:
            tables.append(lookup_table(path, item, "VOI LUT", inputs))
        except CxrlocError as error:
            warnings += (f"{str(error).removeprefix(f'{path}: ')}: this LUT is left out",)
    function = code_of(header, "VOILUTFunction").replace(" ", "_") or "LINEAR"
    if function not in WINDOWS:
        warnings += (
            f"VOILUTFunction (0028,1056) is none of {', '.join(WINDOWS)}: LINEAR is taken",
        )
        function = "LINEAR"
    windows, about_windows = _windows(header, function)
    return [*tables, *windows], (*warnings, *about_windows)


def _windows(header: Dataset, function: str) -> tuple[list[Window], tuple[str, ...]]:
    """The readable pairs of Window Center and Width, and a warning of each that is not."""
    pairs = zip_longest(texts(header, "WindowCenter"), texts(header, "WindowWidth"), fillvalue="")
    narrowest = 1.0 if function == "LINEAR" else float(np.finfo(np.float64).tiny)
    windows: list[Window] = []
    warnings: list[str] = []
    for index, pair in enumerate(pairs, start=1):
        center, width = (number_of(text) for text in pair)
        why = "is empty or no number" if math.isnan(center) or math.isnan(width) else ""
        if unclear := next(filter(TWO_READINGS.fullmatch, pair), ""):
            why = f"can be {number_of(unclear):g} or {unclear.replace(',', '')}"
        if why:
            warnings.append(
                f"WindowCenter (0028,1050) and WindowWidth (0028,1051): value {index} {why}, so "
                "this window is left out"
            )
        elif width < narrowest:
            warnings.append(
                f"WindowWidth (0028,1051): value {index} is below {narrowest:g}, so this window is "
                "left out"
            )
        else:
            windows.append(Window(center, width, function))
    return windows, tuple(warnings)


def _modality(
    path: Path,
    header: Dataset,
    description: PixelDescription,
    stored: Int64[np.ndarray, " word"],
) -> tuple[Float[np.ndarray, " word"], tuple[float, float], str, tuple[str, ...]]:
    """Modality values (PS3.3 C.11.1.1), their nominal range, the transform in words, warnings."""
    values = stored.astype(np.float64)
    lowest = -(2.0 ** (description.bits_stored - 1)) if description.signed else 0.0
    bounds = lowest, lowest + 2.0**description.bits_stored - 1
    items, warnings = full_items(header, "ModalityLUTSequence")
    if items and code_of(header, "SOPClassUID") in NOT_FOR_DISPLAY:
        # PS3.3 C.8.7.1.1.2: this LUT gives values linear in the exposure, not for display.
        warnings += ("the Modality LUT of this image is not for display, and left out",)
    elif items:
        table = lookup_table(path, items[0], "Modality LUT", bounds)
        nominal = float(table.entries.min()), float(table.entries.max())
        return look_up(values, table.first, table.entries), nominal, "Modality LUT", warnings
    factors = {}
    for keyword, default in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0)):
        members = numbers(header, keyword)
        factors[keyword] = next(filter(math.isfinite, members), default)
        if not all(map(math.isfinite, members[:1])):
            warnings += (f"{tag_of(keyword)} is no number: {factors[keyword]:g} is taken",)
    if factors["RescaleSlope"] == 0:
        factors["RescaleSlope"] = 1.0
        warnings += (f"{tag_of('RescaleSlope')} is 0, which would leave no image: 1 is taken",)
    slope, intercept = factors["RescaleSlope"], factors["RescaleIntercept"]
    values = slope * values + intercept
    low, high = sorted(slope * bound + intercept for bound in bounds)
    words = "" if (slope, intercept) == (1.0, 0.0) else f"rescaled {slope:g} x + {intercept:g}"
    return values, (low, high), words, warnings


def _viewed(
    values: Float[np.ndarray, " word"], view: Window | LookupTable
) -> tuple[Float[np.ndarray, " word"], str]:
    if isinstance(view, Window):
        grey = WINDOWS[view.function](values, view.center, view.width)
        return grey, f"window {view.center:g}/{view.width:g} {view.function}"
    low, high = float(view.entries.min()), float(view.entries.max())
    return look_up(values, view.first, unit_range(view.entries, low, high)), "VOI LUT"


def _inverted(header: Dataset, description: PixelDescription) -> tuple[bool, tuple[str, ...]]:
    """Whether low values are to be shown bright, and a warning where two tags disagree.

    Presentation LUT Shape (PS3.3 C.11.6.1.2) decides; where it is missing, MONOCHROME1 does.
    """
    shape = code_of(header, "PresentationLUTShape")
    by_photometric = description.photometric == "MONOCHROME1"
    if shape not in ("IDENTITY", "INVERSE") or (shape == "INVERSE") == by_photometric:
        return by_photometric, ()
    return shape == "INVERSE", (
        f"PresentationLUTShape (2050,0020) {shape} contradicts {description.photometric}: the "
        "shape is taken",
    )


def _padding(
    header: Dataset, description: PixelDescription, stored: Int64[np.ndarray, " word"]
) -> tuple[Bool[np.ndarray, " word"], tuple[str, ...]]:
    """Which words are padding, and warnings.

    Padding lies between Pixel Padding Value and its Range Limit, both included (PS3.3 C.7.5.1.1.2).
    The VR of both tags is US or SS, as Pixel Representation says. Some files have the wrong VR, so
    both values are taken modulo the words' range.
    """
    ends = numbers(header, "PixelPaddingValue")[:1]
    if not ends:
        return np.zeros(stored.shape, dtype=bool), ()
    if math.isnan(ends[0]):
        warning = f"{tag_of('PixelPaddingValue')} is no number: no pixel is taken as padding"
        return np.zeros(stored.shape, dtype=bool), (warning,)
    ends += numbers(header, "PixelPaddingRangeLimit")[:1]
    span, half = 2.0**description.bits_allocated, 2.0 ** (description.bits_allocated - 1)
    shift = half if description.signed else 0.0
    ends = [(end + shift) % span - shift for end in ends if not math.isnan(end)]
    return (stored >= min(ends)) & (stored <= max(ends)), ()
