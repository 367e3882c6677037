"""Grey levels agree with DCMTK's dcmj2pnm, a second independent implementation of the standard."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread, uid

from cxrloc.images.read import read_radiograph
from tests.images.dicom_files import chest, dicom_header, ramp, raw, write_dicom, write_raw
from tests.images.test_dicom_pixels import GREY, transcoded, write_colour
from tests.images.test_dicom_rendering import (
    CASES,
    SIGNS,
    SQUARES,
    WINDOW,
    lut,
    write_first_input,
)

pytestmark = pytest.mark.slow
RESCALE = {"RescaleSlope", "RescaleIntercept"}
VIEWS = [
    case
    for case, (_, _, tags) in CASES.items()
    # DCMTK rescales only where both values are there; highdicom and we take the usual other one.
    if {"WindowCenter", "VOILUTSequence"} & tags.keys()
    and sum(tags.get(keyword) is not None for keyword in RESCALE) != 1
]


@pytest.fixture(scope="session")
def dcmj2pnm() -> str:
    """The program; where `.ci/run` installs it, its absence is a failure."""
    found = shutil.which("dcmj2pnm")
    if found is None and os.environ.get("CI"):
        pytest.fail("dcmj2pnm is missing: .ci/run installs it")
    return found or pytest.skip("needs dcmj2pnm of Debian's package dcmtk")


def shown(program: str, path: Path, view: str) -> np.ndarray:
    out = path.with_name("shown.png")
    command = [program, "--write-16-bit-png", *([view, "1"] if view else []), path, out]
    subprocess.run(command, check=True, capture_output=True)
    levels = np.asarray(Image.open(out)).astype(float) / 65_535
    if view != "--use-voi-lut":
        return levels
    # We scale a VOI LUT by its own extremes, as `render` says; DCMTK by its descriptor's bits.
    item = dcmread(path).VOILUTSequence[0]
    bits = item.LUTDescriptor[2]
    highest = np.frombuffer(item.LUTData, f"<u{bits // 8}").max() / (2**bits - 1)
    return levels / highest if levels[0, 0] <= levels[-1, -1] else 1 - (1 - levels) / highest


@pytest.mark.parametrize("case", VIEWS)
def test_views_of_plain_files_agree(tmp_path: Path, dcmj2pnm: str, case: str) -> None:
    bits, dtype, tags = CASES[case]
    path = write_dicom(tmp_path / "a", ramp(bits, dtype), bits, **tags)
    view = "--use-voi-lut" if "VOILUTSequence" in tags else "--use-window"
    ours, theirs = read_radiograph(path).pixels, shown(dcmj2pnm, path, view)
    assert np.abs(ours - theirs).max() <= (1 / 255 if "8 bit" in case else 2 / 4095)


@pytest.mark.parametrize("vr", ["US", "SS"])
@pytest.mark.parametrize("case", SIGNS)
def test_first_inputs_of_voi_luts_agree(tmp_path: Path, dcmj2pnm: str, case: str, vr: str) -> None:
    path = write_first_input(tmp_path / "a", case, vr)
    theirs = shown(dcmj2pnm, path, "--use-voi-lut")
    ours = read_radiograph(path).pixels
    if np.ptp(theirs) < 0.5:
        pytest.skip("DCMTK reads this first input as the other sign")
    assert np.abs(ours - theirs).max() <= 2 / 4095


@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.RLELossless])
def test_compressed_files_agree(tmp_path: Path, dcmj2pnm: str, syntax: uid.UID) -> None:
    stored = (chest() * 4095).astype("u2")
    path = write_dicom(tmp_path / "a", stored, 12, **WINDOW)
    theirs = shown(dcmj2pnm, path, "--use-window")
    assert np.abs(read_radiograph(transcoded(path, syntax)).pixels - theirs).max() <= 2 / 4095


def test_grey_in_colour_agrees(tmp_path: Path, dcmj2pnm: str) -> None:
    path = write_colour(tmp_path / "a", [GREY] * 3, "RGB")
    theirs = shown(dcmj2pnm, path, "")
    theirs = theirs[..., 0] if theirs.ndim == 3 else theirs
    if theirs.max() < 0.1:  # Pillow reads 48-bit PNG as 8-bit colour
        theirs = theirs * 65_535 / 255
    assert np.abs(read_radiograph(path).pixels - theirs).max() <= 1 / 255


@pytest.mark.parametrize(
    ("center", "width", "function"),
    [(b"2000\\400", b"1000\\300", b"SIGMOID\\SIGMOID"), (b"2000\\", b"1000", b"LINEAR")],
)
def test_odd_windows_agree(
    tmp_path: Path, dcmj2pnm: str, center: bytes, width: bytes, function: bytes
) -> None:
    path = write_raw(
        tmp_path / "a",
        ramp(12, "u2"),
        12,
        raw("WindowCenter", "DS", center),
        raw("WindowWidth", "DS", width),
        raw("VOILUTFunction", "CS", function),
    )
    theirs = shown(dcmj2pnm, path, "--use-window")
    assert np.abs(read_radiograph(path).pixels - theirs).max() <= 2 / 4095


def test_a_big_endian_file_with_packed_entries_agrees(tmp_path: Path, dcmj2pnm: str) -> None:
    entries = (SQUARES // 257).astype("u1")
    tables = lut(entries, 0, 8)
    tables[0].add_new("LUTData", "OW", entries.view("<u2").byteswap().tobytes())
    header = dicom_header(ramp(12, "u2").byteswap(), 12, VOILUTSequence=tables)
    header.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    header.save_as(tmp_path / "a", enforce_file_format=True)
    theirs = shown(dcmj2pnm, tmp_path / "a", "--use-voi-lut")
    assert np.abs(read_radiograph(tmp_path / "a").pixels - theirs).max() <= 1 / 255
