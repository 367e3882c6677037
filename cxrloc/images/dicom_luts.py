"""DICOM's lookup tables: Modality LUT, VOI LUT, and the palette of an image with colour indices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8, UInt16
from pydicom import Dataset

from cxrloc.errors import CxrlocError
from cxrloc.images.dicom_values import tag_of

PALETTE_COLOURS = ("Red", "Green", "Blue")
PALETTE_TAGS = tuple(
    keyword
    for colour in PALETTE_COLOURS
    for keyword in (
        f"{colour}PaletteColorLookupTableDescriptor",
        f"{colour}PaletteColorLookupTableData",
        f"Segmented{colour}PaletteColorLookupTableData",
    )
)

DISCRETE, LINEAR, INDIRECT = 0, 1, 2
"""Kinds of segments of a segmented palette (PS3.3 C.7.9.2)."""


@dataclass(frozen=True, slots=True, eq=False)
class LookupTable:
    """A Modality or VOI LUT (PS3.3 C.11.1.1, C.11.2.1.1): `entries[i]` is for input `first + i`.

    `bits` is 8 or 16, what a palette's entries are stored in.
    """

    first: int
    entries: Float[np.ndarray, " entry"]
    bits: int = 16


def full_items(header: Dataset, keyword: str) -> tuple[list[Dataset], tuple[str, ...]]:
    """The items of a LUT sequence that have descriptor and data, and a warning if others have not.

    Some writers leave empty items.
    """
    items = header.get(keyword) or ()
    full = [item for item in items if item.get("LUTDescriptor") and item.get("LUTData")]
    warning = f"an empty or incomplete item of {tag_of(keyword)} is left out"
    return full, (warning,) * (len(full) < len(items))


def lookup_table(path: Path, item: Dataset, kind: str, inputs: tuple[float, float]) -> LookupTable:
    """A LUT from its descriptor (entries, first input, bits) and data.

    Args:
        path: names the file in errors.
        item: holds LUTDescriptor (0028,3002) and LUTData (0028,3006).
        kind: of LUT, for errors.
        inputs: lowest and highest value that the table is applied to.

    Raises:
        CxrlocError: descriptor and data do not fit.
    """
    descriptor, data = _descriptor(item), item.get("LUTData")
    if descriptor is None or data is None:
        raise CxrlocError(
            f"{path}: {kind}: LUTDescriptor (0028,3002) or LUTData (0028,3006) is missing"
        )
    # PS3.3 C.11.1.1: 0 entries mean 65,536, which 16 bits cannot say.
    length = descriptor[0] % 2**16 or 2**16
    entries = _entries(item, data, length, descriptor[2])
    if len(entries) < length:
        raise CxrlocError(
            f"{path}: {kind}: LUTData (0028,3006) has {len(entries)} entries, its descriptor says "
            f"{length}"
        )
    first = _first_input(descriptor[1], length, inputs)
    bits = 16 if descriptor[2] > 8 and entries.itemsize > 1 else 8
    return LookupTable(first, entries[:length].astype(np.float64), bits)


def _descriptor(item: Dataset) -> list[int] | None:
    """The three values of LUTDescriptor (0028,3002); None where they are missing."""
    descriptor = item.get("LUTDescriptor")
    if isinstance(descriptor, bytes):  # a VR that is not the descriptor's
        order = ">" if item.original_encoding[1] is False else "<"
        descriptor = np.frombuffer(descriptor[:6], f"{order}u2").tolist()
    if not isinstance(descriptor, Sequence) or len(descriptor) != 3:
        return None
    return [int(value) for value in descriptor]


def _entries(
    item: Dataset, data: object, length: int, bits: int
) -> UInt8[np.ndarray, " entry"] | UInt16[np.ndarray, " entry"]:
    """The entries of LUTData; 8-bit ones may be packed two in a word, the first in its low byte.

    Where the descriptor says more than 8 bits and there is exactly one byte for each entry, the
    descriptor is wrong and the entries have 8 bits. With any other number of bytes the table is cut
    short.
    """
    found = len(data) if isinstance(data, bytes) else 2 * np.size(np.asarray(data))
    if found < 2 * length and (bits <= 8 or length <= found <= length + 1):
        return np.frombuffer(_little_endian(item, data), np.uint8)
    if isinstance(data, bytes) and item.original_encoding[1] is False:
        return np.frombuffer(data[: found // 2 * 2], ">u2").astype(np.uint16)
    return np.frombuffer(_little_endian(item, data)[: found // 2 * 2], "<u2").astype(np.uint16)


def _little_endian(item: Dataset, data: object) -> bytes:
    """The bytes of LUTData in the order of a little-endian file.

    PS3.5 7.3: in big endian the bytes of every word are swapped, also of packed 8-bit entries.
    """
    if not isinstance(data, bytes):
        # With VR SS, entries above 32,767 are read as negative numbers.
        return (np.atleast_1d(np.asarray(data, dtype=np.int64)) % 2**16).astype("<u2").tobytes()
    if item.original_encoding[1] is not False or item["LUTData"].VR == "OB":
        return data
    return np.frombuffer(data[: len(data) // 2 * 2], "<u2").byteswap().tobytes()


def _first_input(declared: int, length: int, inputs: tuple[float, float]) -> int:
    """The first input of a LUT, with the right sign even where its VR is wrong.

    PS3.3 C.11.1.1 and C.11.2.1.1: the first input is signed where the table's inputs can be
    negative, else unsigned. Many files store it in the other VR, so it is taken modulo 2^16.
    Where the table overlaps the inputs with either sign, that rule decides; else the sign is the
    one with which the table overlaps the inputs.

    >>> _first_input(64512, 4096, (-1024.0, 3071.0)), _first_input(-25536, 100, (0.0, 65535.0))
    (-1024, 40000)
    """
    unsigned = declared % 2**16
    signed = (declared + 2**15) % 2**16 - 2**15
    ruled, other = (signed, unsigned) if inputs[0] < 0 else (unsigned, signed)

    def meets(first: int) -> bool:
        return first <= inputs[1] and first + length > inputs[0]

    return other if meets(other) and not meets(ruled) else ruled


def palette(path: Path, header: Dataset, inputs: tuple[float, float]) -> list[LookupTable]:
    """The red, green and blue tables of a PALETTE COLOR image (PS3.3 C.7.6.3.1.5 and .6).

    The data of a table may be in segments (C.7.9).

    Args:
        path: names the file in errors.
        header: the data set.
        inputs: lowest and highest value that a pixel can have.

    Raises:
        CxrlocError: a table is missing or damaged.
    """
    tables = []
    for colour in PALETTE_COLOURS:
        item = Dataset()
        item.set_original_encoding(*header.original_encoding)
        table = f"{colour}PaletteColorLookupTable"
        parts = {"LUTDescriptor": f"{table}Descriptor", "LUTData": f"{table}Data"}
        segmented = f"Segmented{table}Data"
        if not header.get(parts["LUTData"]) and header.get(segmented):
            parts["LUTData"] = segmented
        for name, keyword in parts.items():
            element = header.get_item(keyword)
            if element is not None:
                item.add_new(name, element.VR or "OW", header[keyword].value)
        if parts["LUTData"] == segmented and (descriptor := _descriptor(item)):
            entries = _of_segments(path, f"{colour} palette", item, descriptor)
            item.add_new("LUTData", "US", entries)
        tables.append(lookup_table(path, item, f"{colour} palette", inputs))
    return tables


def _of_segments(path: Path, kind: str, item: Dataset, descriptor: Sequence[int]) -> list[int]:
    """The entries that the segments in LUTData stand for (PS3.3 C.7.9.2).

    Raises:
        CxrlocError: a segment is empty, cut, of another kind, or lacks what it refers to; or all
            of them are too few for the descriptor.
    """
    wide, length = descriptor[2] > 8, descriptor[0] % 2**16 or 2**16
    data = _little_endian(item, item.LUTData)
    words = np.frombuffer(data[: len(data) // 2 * 2] if wide else data, "<u2" if wide else "u1")
    entries: list[int] = []
    try:
        _add_segments(entries, words, 0, len(words), length)
    except (ValueError, IndexError) as error:
        raise CxrlocError(f"{path}: {kind}: its segments (PS3.3 C.7.9.2) are damaged") from error
    if len(entries) < length:
        raise CxrlocError(
            f"{path}: {kind}: its segments stand for {len(entries)} entries, its descriptor says "
            f"{length}"
        )
    return entries


def _add_segments(
    entries: list[int],
    words: UInt8[np.ndarray, " word"] | UInt16[np.ndarray, " word"],
    place: int,
    count: int,
    most: int,
    within: bool = False,
) -> None:
    """Append the entries of some segments.

    Args:
        entries: gets the new ones.
        words: all segments: kind, length and content of each.
        place: of the first segment, in words.
        count: number of segments.
        most: number of entries after which no further segment is read.
        within: whether the segments are those that an indirect one names, which may not be
            indirect themselves.

    Raises:
        ValueError: a segment is empty, of an unknown kind, or has nothing before it to go on from.
        IndexError: the words end within a segment.
    """
    while count and place + 1 < len(words) and len(entries) < most:
        kind, length, place, count = int(words[place]), int(words[place + 1]), place + 2, count - 1
        if length == 0:
            raise ValueError("a segment of no entries")
        if kind == DISCRETE:
            entries += words[place : place + length].tolist()
            place += length
        elif kind == LINEAR and entries:
            start, end = entries[-1], int(words[place])
            steps = np.arange(1, length + 1) / length
            entries += np.rint(start + (end - start) * steps).astype(int).tolist()
            place += 1
        elif kind == INDIRECT and entries and not within:
            # The offset is in bytes from the first segment, in four bytes whatever the words are.
            offset = words[place : place + 4 // words.itemsize].tobytes()
            place += 4 // words.itemsize
            start = int.from_bytes(offset, "little") // words.itemsize
            _add_segments(entries, words, start, length, most, within=True)
        else:
            raise ValueError("a segment of an unknown kind")
