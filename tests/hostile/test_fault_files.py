"""Every file of the collections of faults is read right, or refused in one line that says why."""

import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cxrloc.datasets import read_as
from cxrloc.datasets.boxes import read_boxed_images
from cxrloc.images.read import read_radiograph
from cxrloc.inference.map_files import read_maps
from cxrloc.recipe import read_recipe
from cxrloc.reports.read import read_reports
from tests.hostile.test_inputs import refused

pytestmark = pytest.mark.slow

PLAIN, GREY, BY_DCMTK = 0.612, 0.593, 0.743
"""Means of the same chest under its window, as channel / 255, and under DCMTK's VOI LUT."""

READ = {
    "cs_nul.dcm": (PLAIN, "SpecificCharacterSet"),
    "d_exif3.jpg": (GREY, "EXIF orientation 3"),
    "d_exif6.jpg": (GREY, "EXIF orientation 6"),
    "d_exif6.png": (GREY, "EXIF orientation 6"),
    "d_huge_text.png": (GREY, "too large: left out"),
    "ds_first_empty.dcm": (PLAIN, "value 1 is empty or no number"),
    "ds_one_bad.dcm": (PLAIN, "value 2 is empty or no number"),
    "e_par_2_1.dcm": (PLAIN, "not square"),
    "e_po_FL.dcm": (PLAIN, "lies on its side"),
    "e_po_RH.dcm": (PLAIN, "stands on its head"),
    "e_spacing_2x.dcm": (PLAIN, "not square"),
    "f_delim_short.dcm": (PLAIN, "closing delimiter"),
    "f_jls_zero_before_eoi.dcm": (PLAIN, "zero bytes before the end marker"),
    "f_nodelim.dcm": (PLAIN, "closing delimiter"),
    "f_sc_rgb_retained.dcm": (GREY, ""),
    "f_sc_rgb_voilut.dcm": (GREY, ""),
    "f_xa_mlut.dcm": (PLAIN, "not for display"),
    "g_for_processing.dcm": (GREY, "FOR PROCESSING"),
    "g_highbit_empty.dcm": (PLAIN, "HighBit"),
    "g_raw_hdr10.dcm": (0.0, "use bits above BitsStored"),
    "g_voi_bad_vr.dcm": (PLAIN, "value 2 is empty"),
    "h_slope_text.dcm": (0.947, "RescaleSlope (0028,1053) is no number"),
    "high15_wrong.dcm": (PLAIN, "HighBit"),
    "high7_wrong.dcm": (PLAIN, "HighBit"),
    "i_jpll_rgb_as_YBR_FULL.dcm": (GREY, "three equal channels"),
    "i_raw_rgb_as_YBR.dcm": (GREY, "three equal channels"),
    "i_win_comma.dcm": (PLAIN, ""),
    "j2k_lossy_over.dcm": (0.599, ""),
    "j2k_lossy_over_signed.dcm": (0.599, ""),
    "m1_lower.dcm": (1 - PLAIN, "misspelt"),
    "meta_twice.dcm": (PLAIN, "stands twice"),
    "mlut_empty_item.dcm": (PLAIN, "an empty or incomplete item of ModalityLUTSequence"),
    "mlut_out_SS.dcm": (GREY, ""),
    "mlut_signed_US.dcm": (BY_DCMTK, ""),
    "pad_rgb.dcm": (GREY, ""),
    "pad_unsigned_SS.dcm": (0.600, ""),
    "palette_grey.dcm": (GREY, "its palette is grey"),
    "trail_garbage.dcm": (PLAIN, "bytes after PixelData"),
    "trail_text.dcm": (PLAIN, "bytes after PixelData"),
    "vlut_be_8packed.dcm": (BY_DCMTK, ""),
    "vlut_empty_item.dcm": (PLAIN, "an empty or incomplete item of VOILUTSequence"),
    "vlut_empty_values.dcm": (PLAIN, "an empty or incomplete item of VOILUTSequence"),
    "vlut_rescaled_US.dcm": (BY_DCMTK, ""),
    "vlut_signed_US.dcm": (BY_DCMTK, ""),
    "vlut_unsigned_first_SS.dcm": (0.371, ""),
    "w_OB.dcm": (PLAIN, ""),
    "w_fn_multi.dcm": (0.611, ""),
}
"""Mean grey level, and words of the warning, of each file that is read."""

REFUSED = {
    "d_raw.jls": "JPEG-LS file",
    "f_j2k_12_hdr8.dcm": "the header says",
    "f_jls_12_hdr8.dcm": "the header says",
    "floatpix.dcm": "floating-point",
    "g_jpll_hdr10.dcm": "more than the 10 of BitsStored",
    "ge_private.dcm": "1.2.840.113619.5.2",
    "j2k_rows_mismatch.dcm": "the header says 60 rows",
    "jb_3comp_mono.dcm": "the stream has 64 rows x 56 columns of 3 x 8 bits",
    "jb_hdr12.dcm": "the header says 64 rows x 56 columns of 1 x 12 bits",
    "jpll_trunc50.dcm": "is it cut short?",
    "unknown_ts.dcm": "1.2.840.10008.1.2.4.99",
}
"""Words of the message about each file that is refused."""

HOSTILE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "bomb_": ("a.dcm", read_radiograph),
    "png_": ("a.png", read_radiograph),
    "maps_": ("a.npz", lambda path: read_maps(path, "a")),
    "coco_": ("a.json", read_boxed_images),
    "voc_": ("a.xml", lambda path: read_boxed_images(path.parent)),
    "chexdet_": ("a.json", lambda path: read_as("chestx_det", path)),
    "chexloc_": ("a.json", lambda path: read_as("chexlocalize", path)),
    "entry_": ("Data_Entry_2017.csv", lambda path: read_as("chestxray14", path.parent)),
    "recipe_": ("a.toml", read_recipe),
    "tgz_": ("a.tgz", lambda path: [*read_reports(path)]),
}
"""The name that a hostile file gets, and its reader, by the beginning of its name."""


def test_every_image_of_the_collection_is_here(shared: Path) -> None:
    names = {path.name for path in (shared / "faults/images").iterdir()}
    assert names - {"README.txt", "ds_store_dataset"} == {*READ, *REFUSED}


@pytest.mark.parametrize("name", READ)
def test_a_readable_image_has_its_grey_levels_and_says_what_was_wrong(
    shared: Path, name: str
) -> None:
    mean, said = READ[name]
    radiograph = read_radiograph(shared / "faults/images" / name)
    assert radiograph.pixels.mean() == pytest.approx(mean, abs=0.001)
    assert (not said and not radiograph.warnings) or said in " ".join(radiograph.warnings)


@pytest.mark.parametrize("name", REFUSED)
def test_an_image_that_cannot_be_read_is_refused_in_one_clear_line(shared: Path, name: str) -> None:
    assert REFUSED[name] in refused(read_radiograph, shared / "faults/images" / name)


def test_hidden_files_in_a_data_set_are_passed_over(shared: Path) -> None:
    records = read_as("chestxray14", shared / "faults/images/ds_store_dataset")
    assert records
    names = [record.path.name for record in records if record.path]
    assert names
    assert not [name for name in names if name.startswith(".")]


def test_every_hostile_file_is_refused_in_one_line(shared: Path, tmp_path: Path) -> None:
    files = [path for path in (shared / "faults/hostile").iterdir() if path.suffix != ".md"]
    assert files
    for file in files:
        name, read = next(HOSTILE[key] for key in HOSTILE if file.name.startswith(key))
        (tmp_path / file.name).mkdir()
        path = tmp_path / file.name / name
        shutil.copy(file, path)
        if file.name == "maps_bomb.npz":  # its large array is none that is read, so it stays packed
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            read(path)
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**17
        else:
            refused(read, path)
