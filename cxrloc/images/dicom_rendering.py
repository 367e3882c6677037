"""From stored DICOM words to grey levels: the grayscale pipeline as one table (PS3.3 C.11, C.8).

Departs: highdicom and the standard give the grey levels; pydicom's `apply_presentation_lut` does
not, as it inverts about the maximum of the image at hand.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, UInt8, UInt16
from pydicom import Dataset

from cxrloc.images.intensity import WINDOWS, look_up, unit_range, used_range
from cxrloc.types import CxrlocError

RENDERING_TAGS = (
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
    """A VOI window (PS3.3 C.11.2.1.2) and the function that it goes through."""

    center: float
    width: float
    function: str


@dataclass(frozen=True, slots=True, eq=False)
class LookupTable:
    """A Modality or VOI LUT (PS3.3 C.11.1.1, C.11.2.1.1): `entries[i]` is for input `first + i`."""

    first: int
    entries: Float[np.ndarray, " entry"]


@dataclass(frozen=True, slots=True, eq=False)
class Rendering:
    """Grey level in [0, 1] of every word that a pixel can hold, and how it came about."""

    table: Float32[np.ndarray, " word"]
    intensity: str
    warnings: tuple[str, ...]


def render(
    path: Path,
    dataset: Dataset,
    words: UInt8[np.ndarray, "row col"] | UInt16[np.ndarray, "row col"],
    voi: int,
) -> Rendering:
    """Modality transform, view `voi` of the VOI transforms, presentation, and black padding.

    Everything is worked out once per possible word, in float64, and kept as float32.
    Departs: PS3.3 C.11.2.1.1 scales a VOI LUT by the bits its descriptor names; as highdicom does,
    it is scaled by its own extremes, since many files name 16 bits and use 12.

    Args:
        path: names the file in errors.
        dataset: the header.
        words: the pixels; only counted, and only where the file has no window.
        voi: index among VOI LUTs and then windows.

    Raises:
        CxrlocError: no view `voi`, or a damaged table.
    """
    stored = stored_values(dataset, 8 * words.itemsize)
    values, nominal, modality = _modality(path, dataset, stored)
    padding = _padding(dataset, stored)
    views, warnings = voi_views(path, dataset)
    if voi != 0 and not -len(views) <= voi < len(views):
        raise CxrlocError(f"{path}: no VOI view {voi}: the file has {len(views)} (numbered from 0)")
    if views:
        grey, way = _viewed(values, views[voi])
    else:
        counts = np.bincount(words.ravel(), minlength=len(stored)) * ~padding
        shown = used_range(values, counts, nominal)
        grey, way = unit_range(values, *shown), f"range {shown[0]:g} to {shown[1]:g}"
        kind = "the full nominal" if shown == nominal else "a padded percentile"
        warnings += (f"no VOI window or LUT: {kind} {way} is shown",)
    inverted, contradiction = _inverted(dataset)
    if inverted:
        grey = 1.0 - grey
    # PS3.3 C.7.5.1.1.2: padding is no part of the picture; here it is as black as air.
    grey[padding] = 0.0
    steps = (modality, way, "inverted" if inverted else "", "padding black" * bool(padding.any()))
    return Rendering(
        table=grey.astype(np.float32),
        intensity=", ".join(step for step in steps if step),
        warnings=warnings + contradiction,
    )


def twelve_bit_table(dataset: Dataset, bits_allocated: int) -> Float32[np.ndarray, " word"]:
    """Share of 4095 of every word's stored value, clipped to [0, 1]; no window, no rescaling.

    Rubin et al. 2018, section 5.2: "dividing by the maximum grayscale value 2^12 - 1".
    Open: of which value; the stored one. Where low values are to be shown bright they are
    inverted, so that larger is brighter.

    >>> header = Dataset()
    >>> header.BitsStored, header.PhotometricInterpretation = 12, "MONOCHROME1"
    >>> twelve_bit_table(header, bits_allocated=16)[[0, 4095]]
    array([1., 0.], dtype=float32)
    """
    share = np.clip(stored_values(dataset, bits_allocated) / 4095, 0.0, 1.0)
    return (1.0 - share if _inverted(dataset)[0] else share).astype(np.float32)


def stored_values(dataset: Dataset, bits_allocated: int) -> Int64[np.ndarray, " word"]:
    """The pixel value in each word: its stored bits, shifted, masked and signed (PS3.5 8.1.1).

    Bits outside the stored ones (old overlays) are ignored.

    >>> header = Dataset()
    >>> header.BitsStored, header.HighBit, header.PixelRepresentation = 2, 1, 1
    >>> stored_values(header, bits_allocated=8)[:6].tolist()
    [0, 1, -2, -1, 0, 1]
    """
    bits = int(dataset.BitsStored)
    shift = int(dataset.get("HighBit") or bits - 1) + 1 - bits
    values = (np.arange(2**bits_allocated, dtype=np.int64) >> shift) & (2**bits - 1)
    if dataset.get("PixelRepresentation") == 1:
        values -= (values >> (bits - 1)) << bits
    return values


def voi_views(path: Path, dataset: Dataset) -> tuple[list[Window | LookupTable], tuple[str, ...]]:
    """The views that a file offers: VOI LUTs first, then windows; and warnings.

    PS3.3 C.11.2.1: several are alternative views, the first is the default. A window without a
    possible width is left out.
    """
    tables: list[Window | LookupTable] = [
        lookup_table(path, item, "VOI LUT") for item in dataset.get("VOILUTSequence") or ()
    ]
    warnings: tuple[str, ...] = ()
    function = str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper()
    if function not in WINDOWS:
        warnings += (f"VOILUTFunction (0028,1056) {function!r} is unknown: LINEAR is taken",)
        function = "LINEAR"
    narrowest = 1.0 if function == "LINEAR" else np.finfo(np.float64).tiny
    pairs = list(
        zip(numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth"), strict=False)
    )
    windows = [
        Window(center, width, function)
        for center, width in pairs
        if np.isfinite(center) and narrowest <= width < np.inf
    ]
    if len(windows) < len(pairs):
        warnings += (f"WindowWidth (0028,1051): below {narrowest:g} or no number, left out",)
    return [*tables, *windows], warnings


def lookup_table(path: Path, item: Dataset, kind: str) -> LookupTable:
    """A LUT from its descriptor (entries, first input, bits) and data.

    Raises:
        CxrlocError: descriptor and data do not fit.
    """
    descriptor, data = item.get("LUTDescriptor"), item.get("LUTData")
    if descriptor is None or len(descriptor) != 3 or data is None:
        raise CxrlocError(
            f"{path}: {kind}: LUTDescriptor (0028,3002) or LUTData (0028,3006) is missing"
        )
    # PS3.3 C.11.1.1: 0 entries mean 65,536, which 16 bits cannot say.
    length = int(descriptor[0]) or 2**16
    if isinstance(data, bytes):
        order = ">" if item.original_encoding[1] is False else "<"
        entries = np.frombuffer(data, np.uint8 if len(data) < 2 * length else f"{order}u2")
    else:
        entries = np.atleast_1d(np.asarray(data, dtype=np.uint16))
        if len(entries) < length:  # two entries of 8 bits in each word
            entries = entries.view(np.uint8)
    if len(entries) < length:
        raise CxrlocError(
            f"{path}: {kind}: LUTData (0028,3006) has {len(entries)} entries, its descriptor says "
            f"{length}"
        )
    return LookupTable(first=int(descriptor[1]), entries=entries[:length].astype(np.float64))


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """A tag's numbers; none where it is missing, empty or no number."""
    try:
        value = dataset.get(keyword)
        values = [value] if isinstance(value, str | int | float) else list(value or ())
        return [float(number) for number in values]
    except (ValueError, TypeError, OverflowError):
        return []


def _modality(
    path: Path, dataset: Dataset, stored: Int64[np.ndarray, " word"]
) -> tuple[Float[np.ndarray, " word"], tuple[float, float], str]:
    """Modality values (PS3.3 C.11.1.1), their nominal range, and the transform in words."""
    values = stored.astype(np.float64)
    sequence = dataset.get("ModalityLUTSequence")
    if sequence:
        table = lookup_table(path, sequence[0], "Modality LUT")
        nominal = float(table.entries.min()), float(table.entries.max())
        return look_up(values, table.first, table.entries), nominal, "Modality LUT"
    # Empty or 0 in some files; a slope of 0 would leave no image.
    slope = (numbers(dataset, "RescaleSlope") or [1.0])[0] or 1.0
    intercept = (numbers(dataset, "RescaleIntercept") or [0.0])[0]
    if not np.isfinite([slope, intercept]).all():
        raise CxrlocError(
            f"{path}: RescaleSlope (0028,1053) or RescaleIntercept (0028,1052) is not finite"
        )
    values = slope * values + intercept
    words = "" if (slope, intercept) == (1.0, 0.0) else f"rescaled {slope:g} x + {intercept:g}"
    return values, (float(values.min()), float(values.max())), words


def _viewed(
    values: Float[np.ndarray, " word"], view: Window | LookupTable
) -> tuple[Float[np.ndarray, " word"], str]:
    if isinstance(view, Window):
        grey = WINDOWS[view.function](values, view.center, view.width)
        return grey, f"window {view.center:g}/{view.width:g} {view.function}"
    low, high = float(view.entries.min()), float(view.entries.max())
    return look_up(values, view.first, unit_range(view.entries, low, high)), "VOI LUT"


def _inverted(dataset: Dataset) -> tuple[bool, tuple[str, ...]]:
    """Whether low values are to be shown bright, and a warning where two tags disagree.

    Presentation LUT Shape (PS3.3 C.11.6.1.2) says it; where it is missing, MONOCHROME1 does.
    """
    shape = str(dataset.get("PresentationLUTShape") or "").strip().upper()
    photometric = str(dataset.PhotometricInterpretation)
    by_photometric = photometric == "MONOCHROME1"
    if not shape:
        return by_photometric, ()
    if (shape == "INVERSE") == by_photometric:
        return by_photometric, ()
    return shape == "INVERSE", (
        f"PresentationLUTShape (2050,0020) {shape!r} contradicts {photometric}: the shape is taken",
    )


def _padding(dataset: Dataset, stored: Int64[np.ndarray, " word"]) -> Bool[np.ndarray, " word"]:
    """Which words are padding: between Pixel Padding Value and its Range Limit, both included."""
    ends = numbers(dataset, "PixelPaddingValue") + numbers(dataset, "PixelPaddingRangeLimit")
    if not numbers(dataset, "PixelPaddingValue"):
        return np.zeros(stored.shape, dtype=bool)
    return (stored >= min(ends)) & (stored <= max(ends))
