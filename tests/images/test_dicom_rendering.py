"""DICOM grey levels agree with highdicom's pixel transform, an independent implementation."""

import re
from pathlib import Path

import highdicom
import numpy as np
import pytest
from highdicom.image import _CombinedPixelTransform
from highdicom.pixels import apply_voi_window
from pydicom import Dataset, dcmread, uid
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from cxrloc.errors import CxrlocError
from cxrloc.images.read import read_radiograph
from tests.images.dicom_files import dicom_header, ramp, raw, write_dicom, write_raw

ONE_LEVEL = 1 / 65_535


def by_highdicom(path: Path, voi: int = 0) -> np.ndarray:
    """Grey levels in [0, 1]; without a VOI transform, values over their nominal range."""
    dataset = dcmread(path)
    transform = _CombinedPixelTransform(
        dataset,
        apply_real_world_transform=False,
        apply_voi_transform=None,
        voi_transform_selector=voi,
    )
    shown = transform(dataset.pixel_array)
    if any(keyword in dataset for keyword in ("WindowWidth", "VOILUTSequence")):
        return shown
    if "ModalityLUTSequence" in dataset:
        table = highdicom.LUT.from_dataset(dataset.ModalityLUTSequence[0]).lut_data
        ends = np.array([table.min(), table.max()], dtype=float)
    else:
        bits, signed = dataset.BitsStored, dataset.PixelRepresentation
        stored = np.array([0, 2**bits - 1]) - signed * 2 ** (bits - 1)
        ends = stored * float(dataset.get("RescaleSlope", 1)) + float(
            dataset.get("RescaleIntercept", 0)
        )
    return (shown - ends.min()) / np.ptp(ends)


def lut(entries: np.ndarray, first: int, bits: int) -> Sequence:
    """A Modality or VOI LUT Sequence of one item."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries) % 65536, first, bits])
    item.add_new("LUTData", "OW", entries.astype(f"<u{bits // 8}").tobytes())
    item.ModalityLUTType = "US"
    return Sequence([item])


WINDOW = {"WindowCenter": 2000, "WindowWidth": 3000}
GAMMA = (65_535 * np.linspace(0, 1, 4096) ** 2.2).round()
CASES = {
    "no window: the full nominal range": (12, "u2", {}),
    "no window, signed": (12, "i2", {}),
    "no window, MONOCHROME1": (10, "u2", {"PhotometricInterpretation": "MONOCHROME1"}),
    "no window, rescaled and MONOCHROME1": (
        12,
        "u2",
        {"RescaleSlope": 2, "RescaleIntercept": -9, "PhotometricInterpretation": "MONOCHROME1"},
    ),
    "8 bit": (8, "u1", {"WindowCenter": 100, "WindowWidth": 120}),
    "16 bit": (16, "u2", {"WindowCenter": 30_000, "WindowWidth": 50_000}),
    "LINEAR by default": (12, "u2", WINDOW),
    "LINEAR of width 2, the narrowest ramp": (
        12,
        "u2",
        {"WindowCenter": 2000, "WindowWidth": 2},
    ),
    "LINEAR_EXACT": (12, "u2", {**WINDOW, "VOILUTFunction": "LINEAR_EXACT"}),
    "SIGMOID": (12, "u2", {**WINDOW, "VOILUTFunction": "SIGMOID"}),
    "SIGMOID, MONOCHROME1": (
        12,
        "u2",
        {**WINDOW, "VOILUTFunction": "SIGMOID", "PhotometricInterpretation": "MONOCHROME1"},
    ),
    "signed and windowed": (12, "i2", {"WindowCenter": -300, "WindowWidth": 900}),
    "an intercept moves the window": (12, "u2", {**WINDOW, "RescaleIntercept": -1000}),
    "an empty slope is 1": (12, "u2", {**WINDOW, "RescaleSlope": None, "RescaleIntercept": 5}),
    "a slope and LINEAR_EXACT": (
        12,
        "u2",
        {**WINDOW, "VOILUTFunction": "LINEAR_EXACT", "RescaleSlope": 0.5},
    ),
    "INVERSE": (
        12,
        "u2",
        {**WINDOW, "PresentationLUTShape": "INVERSE", "PhotometricInterpretation": "MONOCHROME1"},
    ),
    "IDENTITY": (12, "u2", {**WINDOW, "PresentationLUTShape": "IDENTITY"}),
    "the shape wins against MONOCHROME1": (
        12,
        "u2",
        {**WINDOW, "PresentationLUTShape": "IDENTITY", "PhotometricInterpretation": "MONOCHROME1"},
    ),
    "VOI LUT": (12, "u2", {"VOILUTSequence": lut(GAMMA, 0, 16)}),
    "VOI LUT wins against a window": (12, "u2", {**WINDOW, "VOILUTSequence": lut(GAMMA, 0, 16)}),
    "VOI LUT, MONOCHROME1": (
        12,
        "u2",
        {"VOILUTSequence": lut(GAMMA, 0, 16), "PhotometricInterpretation": "MONOCHROME1"},
    ),
    "VOI LUT of some values: its ends go on": (
        12,
        "u2",
        {"VOILUTSequence": lut(GAMMA[:1000], 500, 16)},
    ),
    "VOI LUT of 8 bit entries": (12, "u2", {"VOILUTSequence": lut(GAMMA // 257, 0, 8)}),
    "VOI LUT of 12 bits in 16 spans its own range": (
        12,
        "u2",
        {"VOILUTSequence": lut(GAMMA // 16, 0, 16)},
    ),
    "VOI LUT of rescaled values": (
        12,
        "u2",
        {"VOILUTSequence": lut(GAMMA, 0, 16), "RescaleSlope": 1, "RescaleIntercept": -100},
    ),
    "Modality LUT": (12, "u2", {"ModalityLUTSequence": lut(GAMMA, 0, 16)}),
    "Modality LUT, MONOCHROME1": (
        12,
        "u2",
        {"ModalityLUTSequence": lut(GAMMA, 0, 16), "PhotometricInterpretation": "MONOCHROME1"},
    ),
    "Modality LUT of signed pixels": (12, "i2", {"ModalityLUTSequence": lut(GAMMA, -2048, 16)}),
    "Modality LUT and window": (
        12,
        "u2",
        {"ModalityLUTSequence": lut(GAMMA, 0, 16), "WindowCenter": 30_000, "WindowWidth": 40_000},
    ),
    "Modality LUT wins against rescale": (
        12,
        "u2",
        {"ModalityLUTSequence": lut(GAMMA, 0, 16), "RescaleSlope": 7, "RescaleIntercept": 1},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_generated_grey_levels_agree_with_highdicom(tmp_path: Path, case: str) -> None:
    bits, dtype, tags = CASES[case]
    path = write_dicom(tmp_path / "a", ramp(bits, dtype), bits, **tags)
    difference = np.abs(read_radiograph(path).pixels - by_highdicom(path))
    assert difference.max() <= ONE_LEVEL


def test_grey_levels_of_real_files_agree_with_highdicom(shared: Path) -> None:
    paths = sorted((shared / "data" / "dicom").rglob("*.dcm"))
    assert len(paths) == 15
    for path in paths:
        difference = np.abs(read_radiograph(path).pixels - by_highdicom(path))
        assert difference.max() <= ONE_LEVEL, path.name


@pytest.mark.parametrize("voi", [0, 1, -1])
def test_each_window_of_several_can_be_chosen(tmp_path: Path, voi: int) -> None:
    views = {"WindowCenter": [1000, 2000], "WindowWidth": [300, 3000]}
    path = write_dicom(tmp_path / "a", ramp(12, "u2"), 12, **views)
    difference = np.abs(read_radiograph(path, voi).pixels - by_highdicom(path, voi))
    assert difference.max() <= ONE_LEVEL


def test_windows_come_after_voi_luts_as_further_views(tmp_path: Path) -> None:
    tags = {**WINDOW, "VOILUTSequence": lut(GAMMA, 0, 16)}
    both = write_dicom(tmp_path / "both", ramp(12, "u2"), 12, **tags)
    window = write_dicom(tmp_path / "window", ramp(12, "u2"), 12, **WINDOW)
    assert np.array_equal(read_radiograph(both, 1).pixels, read_radiograph(window).pixels)


def test_a_view_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a", ramp(12, "u2"), 12, **WINDOW)
    with pytest.raises(CxrlocError, match="no VOI view 1: the file has 1"):
        read_radiograph(path, 1)


def test_linear_windows_apply_to_rescaled_values(tmp_path: Path) -> None:
    # highdicom's file transform scales the window instead and then takes (w / slope) - 1 for w - 1
    # of PS3.3 C.11.2.1.2.1, so its window function on rescaled values is the oracle here.
    pixels = ramp(12, "u2")
    tags = {**WINDOW, "RescaleSlope": 0.5, "RescaleIntercept": 700}
    path = write_dicom(tmp_path / "a", pixels, 12, **tags)
    expected = apply_voi_window(pixels * 0.5 + 700, 2000, 3000)
    assert np.abs(read_radiograph(path).pixels - expected).max() <= ONE_LEVEL


def test_a_voi_lut_follows_a_modality_lut_and_is_inverted(tmp_path: Path) -> None:
    # highdicom neither scales nor inverts where both are LUTs: done here by hand.
    luts = {"ModalityLUTSequence": lut(GAMMA // 16, 0, 16), "VOILUTSequence": lut(GAMMA, 0, 16)}
    bright = write_dicom(tmp_path / "2", ramp(12, "u2"), 12, **luts)
    dark = write_dicom(
        tmp_path / "1", ramp(12, "u2"), 12, PhotometricInterpretation="MONOCHROME1", **luts
    )
    expected = by_highdicom(bright) / 65_535
    assert np.abs(read_radiograph(bright).pixels - expected).max() <= ONE_LEVEL
    assert np.abs(read_radiograph(dark).pixels - (1 - expected)).max() <= ONE_LEVEL


def test_a_linear_window_of_width_1_is_a_step(tmp_path: Path) -> None:
    pixels = np.array([[99, 100, 101]], dtype="u2")
    path = write_dicom(tmp_path / "a", pixels, 12, WindowCenter=100, WindowWidth=1)
    assert read_radiograph(path).pixels.tolist() == [[0.0, 1.0, 1.0]]


def test_bits_outside_the_stored_ones_are_ignored(tmp_path: Path) -> None:
    pixels = ramp(12, "u2")
    clean = write_dicom(tmp_path / "clean", pixels, 12, **WINDOW)
    overlay = write_dicom(tmp_path / "overlay", pixels | 0xA000, 12, **WINDOW)
    assert np.array_equal(read_radiograph(clean).pixels, read_radiograph(overlay).pixels)


@pytest.mark.parametrize("dtype", ["u2", "i2"])
def test_the_high_bit_says_where_the_stored_bits_lie(tmp_path: Path, dtype: str) -> None:
    pixels = ramp(12, dtype)
    right = write_dicom(tmp_path / "right", pixels, 12, **WINDOW)
    left = write_dicom(tmp_path / "left", pixels << 4, 12, HighBit=15, **WINDOW)
    assert np.array_equal(read_radiograph(right).pixels, read_radiograph(left).pixels)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_pixel_padding_is_black(tmp_path: Path, photometric: str) -> None:
    pixels = np.array([[0, 5, 10, 11, 4095]], dtype="u2")
    tags = {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 10}
    path = write_dicom(
        tmp_path / "a", pixels, 12, PhotometricInterpretation=photometric, **tags, **WINDOW
    )
    radiograph = read_radiograph(path)
    assert radiograph.pixels[0, :3].tolist() == [0.0, 0.0, 0.0]
    assert "padding black" in radiograph.intensity


def test_a_range_limit_alone_pads_nothing(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a", ramp(12, "u2"), 12, PixelPaddingRangeLimit=10, **WINDOW)
    assert "padding" not in read_radiograph(path).intensity


def test_12_bits_in_16_without_a_window_show_their_percentile_range(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a", ramp(12, "u2"), 16)
    radiograph = read_radiograph(path)
    assert any("no VOI window or LUT: a padded percentile" in line for line in radiograph.warnings)
    assert radiograph.pixels.max() > 0.95


def test_padding_has_no_part_in_the_percentiles(tmp_path: Path) -> None:
    pixels = np.vstack([ramp(12, "u2"), np.full((200, 64), 65_535, dtype="u2")])
    path = write_dicom(tmp_path / "a", pixels, 16, PixelPaddingValue=65_535)
    assert read_radiograph(path).pixels.max() > 0.95


@pytest.mark.parametrize(
    ("tags", "warning"),
    [
        ({}, "no VOI window or LUT: the full nominal range 0 to 4095 is shown"),
        ({"WindowCenter": 5, "WindowWidth": 0}, "WindowWidth (0028,1051): value 1 is below 1"),
        ({**WINDOW, "VOILUTFunction": "CUBIC"}, "VOILUTFunction (0028,1056) is none of LINEAR"),
        (
            {**WINDOW, "PresentationLUTShape": "INVERSE"},
            "PresentationLUTShape (2050,0020) INVERSE contradicts MONOCHROME2",
        ),
    ],
)
def test_doubtful_transforms_are_warned_of(tmp_path: Path, tags: dict, warning: str) -> None:
    path = write_dicom(tmp_path / "a", ramp(12, "u2"), 12, **tags)
    assert any(line.startswith(warning) for line in read_radiograph(path).warnings)


def test_a_modality_table_shorter_than_its_descriptor_is_an_error(tmp_path: Path) -> None:
    tables = lut(GAMMA, 0, 16)
    tables[0].LUTData = tables[0].LUTData[:200]
    path = write_dicom(tmp_path / "a", ramp(12, "u2"), 12, ModalityLUTSequence=tables)
    with pytest.raises(CxrlocError, match=r"LUTData \(0028,3006\) has 100 entries"):
        read_radiograph(path)


@pytest.mark.parametrize("entries", [1, 100, 2050, 4095])  # of 4096: never taken as 8-bit ones
def test_a_voi_table_shorter_than_its_descriptor_leaves_the_window(
    tmp_path: Path, entries: int
) -> None:
    window = {"WindowCenter": 2000, "WindowWidth": 3000}
    right = read_radiograph(write_dicom(tmp_path / "a", ramp(12, "u2"), 12, **window))
    tables = lut(GAMMA, 0, 16)
    tables[0].LUTData = tables[0].LUTData[: 2 * entries]
    path = write_dicom(tmp_path / "a", ramp(12, "u2"), 12, VOILUTSequence=tables, **window)
    radiograph = read_radiograph(path)
    assert np.array_equal(radiograph.pixels, right.pixels)
    (message,) = {*radiograph.warnings} - {*right.warnings}
    line = rf"VOI LUT: LUTData .* has {entries} entries, .*: this LUT is left out"
    assert re.match(line, message)


def test_a_padding_value_that_is_no_number_is_said(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "a", ramp(12, "u2"), 12, raw("PixelPaddingValue", "LO", b"none"))
    message = "PixelPaddingValue (0028,0120) is no number: no pixel is taken as padding"
    assert message in read_radiograph(path).warnings


SQUARES = np.arange(4096) ** 2 // 257
SIGNS = {
    "unsigned pixels": (16, "u2", 0, 40_000),
    "signed pixels": (12, "i2", 0, -2048),
    "an intercept below 0": (12, "u2", -1024, -1024),
    "an intercept below 0, and a table that begins in the middle": (12, "u2", -1024, -10),
    "16 bits and an intercept below 0": (16, "u2", -1024, 40_000),
}


def write_first_input(path: Path, case: str, vr: str) -> Path:
    """A DICOM file with a VOI LUT whose first input is written in this VR."""
    bits, dtype, intercept, first = SIGNS[case]
    tables = lut(SQUARES, 0, 16)
    written = first % 65_536 if vr == "US" else (first + 32_768) % 65_536 - 32_768
    tables[0].add_new("LUTDescriptor", vr, [4096, written, 16])
    return write_dicom(
        path,
        ramp(bits, dtype),
        bits,
        VOILUTSequence=tables,
        RescaleSlope=1,
        RescaleIntercept=intercept,
    )


@pytest.mark.parametrize("vr", ["US", "SS"])
@pytest.mark.parametrize("case", SIGNS)
def test_the_first_input_of_a_voi_lut_is_found_in_either_vr(
    tmp_path: Path, case: str, vr: str
) -> None:
    # PS3.3 C.11.2.1.1: signed where the inputs can be negative; the VR says it wrongly in places.
    bits, dtype, intercept, first = SIGNS[case]
    path = write_first_input(tmp_path / "a", case, vr)
    inputs = ramp(bits, dtype).astype(int) + intercept
    expected = SQUARES[np.clip(inputs - first, 0, 4095)] / SQUARES.max()
    assert np.abs(read_radiograph(path).pixels - expected).max() <= ONE_LEVEL


@pytest.mark.parametrize("vr", ["US", "SS"])
@pytest.mark.parametrize(("bits", "dtype", "first"), [(12, "i2", -2048), (16, "u2", 40_000)])
def test_the_first_input_of_a_modality_lut_is_found_in_either_vr(
    tmp_path: Path, bits: int, dtype: str, first: int, vr: str
) -> None:
    tables = lut(SQUARES, 0, 16)
    written = first % 65_536 if vr == "US" else (first + 32_768) % 65_536 - 32_768
    tables[0].add_new("LUTDescriptor", vr, [4096, written, 16])
    path = write_dicom(tmp_path / "a", ramp(bits, dtype), bits, ModalityLUTSequence=tables)
    expected = SQUARES[np.clip(ramp(bits, dtype).astype(int) - first, 0, 4095)] / SQUARES.max()
    assert np.abs(read_radiograph(path).pixels - expected).max() <= ONE_LEVEL


@pytest.mark.parametrize("keyword", ["ModalityLUTSequence", "VOILUTSequence"])
@pytest.mark.parametrize("vr", ["US", "SS", "OW", "OB", "UN"])
def test_the_entries_of_a_lut_are_read_in_any_vr(tmp_path: Path, keyword: str, vr: str) -> None:
    tables = lut(GAMMA, 0, 16)
    entries = GAMMA.astype("<u2")
    value = {"US": entries.tolist(), "SS": entries.view("<i2").tolist()}.get(vr, entries.tobytes())
    tables[0].add_new("LUTData", vr, value)
    path = write_dicom(tmp_path / "a", ramp(12, "u2"), 12, **{keyword: tables})
    expected = (GAMMA / 65_535).reshape(ramp(12, "u2").shape)
    assert np.abs(read_radiograph(path).pixels - expected).max() <= ONE_LEVEL


def test_a_lut_of_more_entries_than_its_descriptor_can_say_signed(tmp_path: Path) -> None:
    entries = np.arange(40_000, dtype="<u2")
    tables = lut(entries, 0, 16)
    descriptor = np.array([40_000, 0, 16], dtype="<u2").tobytes()
    tables[0][0x00283002] = raw("LUTDescriptor", "SS", descriptor)
    path = write_dicom(tmp_path / "a", ramp(16, "u2"), 16, VOILUTSequence=tables)
    expected = np.minimum(ramp(16, "u2"), 39_999) / 39_999
    assert np.abs(read_radiograph(path).pixels - expected).max() <= ONE_LEVEL


@pytest.mark.parametrize("vr", ["OW", "OB"])
def test_packed_8_bit_entries_of_a_big_endian_file_keep_their_order(
    tmp_path: Path, vr: str
) -> None:
    # PS3.5 7.3: the bytes of each OW word are swapped, those of OB are not.
    entries = (GAMMA // 257).astype("u1")
    tables = lut(entries, 0, 8)
    packed = entries.view("<u2").byteswap().tobytes() if vr == "OW" else entries.tobytes()
    tables[0].add_new("LUTData", vr, packed)
    header = dicom_header(ramp(12, "u2").byteswap(), 12, VOILUTSequence=tables)
    header.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    header.save_as(tmp_path / "a", enforce_file_format=True)
    expected = (entries / 255).reshape(ramp(12, "u2").shape)
    assert np.abs(read_radiograph(tmp_path / "a").pixels - expected).max() <= ONE_LEVEL


@pytest.mark.parametrize("keyword", ["ModalityLUTSequence", "VOILUTSequence"])
@pytest.mark.parametrize("values", [False, True])
def test_an_empty_item_of_a_lut_sequence_is_left_out_and_said(
    tmp_path: Path, keyword: str, values: bool
) -> None:
    item = Dataset()
    if values:  # as LEADTOOLS writes them
        item.add_new("LUTDescriptor", "US", None)
        item.add_new("LUTData", "OW", None)
    empty = {keyword: Sequence([item])}
    path = write_dicom(tmp_path / "a", ramp(12, "u2"), 12, **WINDOW, **empty)
    window = write_dicom(tmp_path / "window", ramp(12, "u2"), 12, **WINDOW)
    radiograph = read_radiograph(path)
    assert np.array_equal(radiograph.pixels, read_radiograph(window).pixels)
    assert any("empty" in line and "left out" in line for line in radiograph.warnings)


@pytest.mark.parametrize("last", ["12.1", "12.1.1", "12.2", "12.2.1"])
def test_a_modality_lut_of_angiography_is_not_for_display(tmp_path: Path, last: str) -> None:
    tags = {**WINDOW, "SOPClassUID": f"1.2.840.10008.5.1.4.1.1.{last}", "Modality": "XA"}
    path = write_dicom(
        tmp_path / "a", ramp(12, "u2"), 12, ModalityLUTSequence=lut(GAMMA, 0, 16), **tags
    )
    window = write_dicom(tmp_path / "window", ramp(12, "u2"), 12, **WINDOW)
    assert np.array_equal(read_radiograph(path).pixels, read_radiograph(window).pixels)


@pytest.mark.parametrize(
    ("center", "width", "vr", "window", "message"),
    [
        (b"2000,5", b"1000,0", "DS", "2000.5/1000", ""),
        (b"\\2000", b"\\1000", "DS", "2000/1000", "value 1 is empty"),
        (b"2000\\abc", b"1000\\500", "DS", "2000/1000", "value 2 is empty or no number"),
        (b"2000\\400", b"1000\\", "DS", "2000/1000", "value 2"),
        (b"2000\\", b"1000", "DS", "2000/1000", "value 2"),
        (b"2000\\400", b"3,000\\300", "LO", "400/300", "value 1 can be 3 or 3000"),
        (b"-2,500\\400", b"900\\300", "LO", "400/300", "value 1 can be -2.5 or -2500"),
        (b"nan\\400", b"1000\\300", "DS", "400/300", "value 1"),
        (b"1_0\\400", b"1000\\300", "DS", "400/300", "value 1"),
        (b"1e999\\400", b"1000\\300", "DS", "400/300", "value 1"),
        (b"2000", b"1000", "OB", "2000/1000", ""),
        (b"2000 \0", b"\0 1000", "LO", "2000/1000", ""),
        (b"\xd0\x07", b"\xe8\x03", "US", "2000/1000", ""),
        (b"\0\0\xfa\x44", b"\0\0\x7a\x44", "FL", "2000/1000", ""),
    ],
)
def test_readable_windows_are_kept_and_others_are_named(
    tmp_path: Path, center: bytes, width: bytes, vr: str, window: str, message: str
) -> None:
    path = write_raw(
        tmp_path / "a",
        ramp(12, "u2"),
        12,
        raw("WindowCenter", vr, center),
        raw("WindowWidth", vr, width),
    )
    radiograph = read_radiograph(path)
    assert radiograph.intensity == f"window {window} LINEAR"
    about = [line for line in radiograph.warnings if "Window" in line]
    assert len(about) == bool(message)
    assert message in "".join(about)


@pytest.mark.parametrize(
    ("function", "taken"),
    [
        (b"SIGMOID\\SIGMOID", "SIGMOID"),
        (b"\\SIGMOID", "SIGMOID"),
        (b"sigmoid\0", "SIGMOID"),
        (b" linear_exact", "LINEAR_EXACT"),
        (b"LINEAR EXACT", "LINEAR_EXACT"),
        (b"DOE^JANE", "LINEAR"),
    ],
)
def test_the_voi_lut_function_is_read_past_odd_spelling_and_never_quoted(
    tmp_path: Path, function: bytes, taken: str
) -> None:
    path = write_raw(
        tmp_path / "a",
        ramp(12, "u2"),
        12,
        raw("WindowCenter", "DS", b"2000"),
        raw("WindowWidth", "DS", b"3000"),
        raw("VOILUTFunction", "CS", function),
    )
    radiograph = read_radiograph(path)
    assert radiograph.intensity == f"window 2000/3000 {taken}"
    assert not any("JANE" in line for line in radiograph.warnings)


@pytest.mark.parametrize(
    ("keyword", "text", "intensity"),
    [
        ("RescaleSlope", b"abc", ""),
        ("RescaleSlope", b"0", ""),
        ("RescaleSlope", b"inf", ""),
        ("RescaleIntercept", b"abc", ""),
        ("RescaleSlope", b"2,5", "rescaled 2.5 x + 0, "),
        ("RescaleSlope", b"1,250", "rescaled 1.25 x + 0, "),
        ("RescaleSlope", b"2.5\\", "rescaled 2.5 x + 0, "),
    ],
)
def test_a_rescale_value_that_is_no_number_is_said(
    tmp_path: Path, keyword: str, text: bytes, intensity: str
) -> None:
    window = raw("WindowCenter", "DS", b"2000"), raw("WindowWidth", "DS", b"3000")
    path = write_raw(tmp_path / "a", ramp(12, "u2"), 12, *window, raw(keyword, "DS", text))
    radiograph = read_radiograph(path)
    assert radiograph.intensity == f"{intensity}window 2000/3000 LINEAR"
    assert any(f"{keyword} (" in line for line in radiograph.warnings) == (not intensity)


@pytest.mark.parametrize(
    ("dtype", "vr", "value", "pixel"),
    [
        ("u2", "SS", -1, 65_535),
        ("u2", "US", 65_535, 65_535),
        ("u2", "SS", -25_536, 40_000),
        ("i2", "US", 63_536, -2000),
        ("i2", "SS", -2000, -2000),
        ("u1", "SS", -1, 255),
    ],
)
def test_padding_is_found_in_either_vr(
    tmp_path: Path, dtype: str, vr: str, value: int, pixel: int
) -> None:
    bits = 8 * np.dtype(dtype).itemsize
    pixels = np.full((4, 4), 100, dtype=dtype)
    pixels[0] = pixel
    header = dicom_header(pixels, bits, WindowCenter=100, WindowWidth=2**bits)
    header.add_new("PixelPaddingValue", vr, value)
    header.save_as(tmp_path / "a", enforce_file_format=True)
    shown = read_radiograph(tmp_path / "a").pixels
    assert (shown[0] == 0).all()
    assert (shown[1:] > 0).all()


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian])
@pytest.mark.parametrize("vr", ["US", "UN", "OW"])
def test_padding_is_found_where_no_vr_tells_its_sign(
    tmp_path: Path, syntax: uid.UID, vr: str
) -> None:
    pixels = np.array([[65_535, 100], [100, 200]], dtype="u2")
    header = dicom_header(pixels, 16, WindowCenter=100, WindowWidth=200)
    header[Tag("PixelPaddingValue")] = raw("PixelPaddingValue", vr, b"\xff\xff")
    header.file_meta.TransferSyntaxUID = syntax
    header.save_as(tmp_path / "a", enforce_file_format=True)
    shown = read_radiograph(tmp_path / "a").pixels
    assert (shown == 0).tolist() == [[True, False], [False, False]]


def test_the_readable_member_of_a_rescale_value_is_taken_and_said(tmp_path: Path) -> None:
    window = raw("WindowCenter", "DS", b"2000"), raw("WindowWidth", "DS", b"3000")
    slope = raw("RescaleSlope", "DS", b"\\2.5")
    radiograph = read_radiograph(write_raw(tmp_path / "a", ramp(12, "u2"), 12, *window, slope))
    assert radiograph.intensity == "rescaled 2.5 x + 0, window 2000/3000 LINEAR"
    assert "RescaleSlope (0028,1053) is no number: 2.5 is taken" in radiograph.warnings


def test_a_window_that_cannot_be_used_is_not_called_missing(tmp_path: Path) -> None:
    window = raw("WindowCenter", "DS", b"abc"), raw("WindowWidth", "DS", b"3000")
    radiograph = read_radiograph(write_raw(tmp_path / "a", ramp(12, "u2"), 12, *window))
    assert any(line.startswith("no usable VOI window") for line in radiograph.warnings)


def test_a_missing_window_is_called_missing_whatever_the_function_is(tmp_path: Path) -> None:
    function = raw("VOILUTFunction", "CS", b"CURVE")
    radiograph = read_radiograph(write_raw(tmp_path / "a", ramp(12, "u2"), 12, function))
    assert any(line.startswith("no VOI window or LUT") for line in radiograph.warnings)


@pytest.mark.parametrize("keyword", ["LUTDescriptor", "LUTData"])
def test_an_item_of_a_lut_sequence_with_one_half_is_left_out(tmp_path: Path, keyword: str) -> None:
    (item,) = lut(GAMMA, 0, 16)
    del item[keyword]
    half = {"VOILUTSequence": Sequence([item]), "ModalityLUTSequence": Sequence([item])}
    path = write_dicom(tmp_path / "a", ramp(12, "u2"), 12, **WINDOW, **half)
    window = write_dicom(tmp_path / "window", ramp(12, "u2"), 12, **WINDOW)
    assert np.array_equal(read_radiograph(path).pixels, read_radiograph(window).pixels)


def test_the_full_item_behind_an_empty_one_is_the_modality_lut(tmp_path: Path) -> None:
    tables = {"ModalityLUTSequence": Sequence([Dataset(), *lut(GAMMA, 0, 16)])}
    path = write_dicom(tmp_path / "a", ramp(12, "u2"), 12, **WINDOW, **tables)
    assert read_radiograph(path).intensity.startswith("Modality LUT, ")


def test_a_palette_of_greys_is_read(tmp_path: Path) -> None:
    for bits, dtype in ((8, "u1"), (16, "<u2")):
        entries = (np.linspace(0, 1, 256) ** 2 * (2**bits - 1)).astype(dtype)
        path = write_palette(tmp_path / f"{bits}", [entries] * 3, bits)
        expected = (entries / (2**bits - 1)).reshape(4, 64)
        assert np.abs(read_radiograph(path).pixels - expected).max() <= ONE_LEVEL


def test_a_palette_in_colour_is_an_error_unless_its_coloured_entries_are_unused(
    tmp_path: Path,
) -> None:
    grey = np.arange(256, dtype="u1")
    red = np.where(grey == 7, 255, grey).astype("u1")
    with pytest.raises(CxrlocError, match="PALETTE COLOR image in colour"):
        read_radiograph(write_palette(tmp_path / "a", [red, grey, grey], 8))
    pixels = np.arange(8, 72, dtype="u1").reshape(1, 64)
    path = write_palette(tmp_path / "b", [red, grey, grey], 8, np.repeat(pixels, 4, axis=0))
    assert np.abs(read_radiograph(path).pixels[0] - pixels[0] / 255).max() <= ONE_LEVEL


def write_palette(
    path: Path, palettes: list[np.ndarray], bits: int, pixels: np.ndarray | None = None
) -> Path:
    if pixels is None:
        pixels = np.arange(256, dtype="u1").reshape(4, 64)
    header = dicom_header(pixels, 8, PhotometricInterpretation="PALETTE COLOR")
    for colour, entries in zip(("Red", "Green", "Blue"), palettes, strict=True):
        keyword = f"{colour}PaletteColorLookupTable"
        header.add_new(f"{keyword}Descriptor", "US", [256, 0, bits])
        header.add_new(f"{keyword}Data", "OW", entries.tobytes())
    header.save_as(path, enforce_file_format=True)
    return path
