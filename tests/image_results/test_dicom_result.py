"""`heatmap --write sr,...`: the objects have the same content as the JSON file."""

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom import Dataset, uid
from typer.testing import CliRunner, Result

from cxrloc.cli import app
from cxrloc.datasets.dicom_regions import read_regions
from cxrloc.finding_codes import code_of
from cxrloc.image_results import dicom_result
from cxrloc.image_results.report import top_findings
from cxrloc.models.weights import read_model, write_model
from cxrloc.phantom import write_phantoms
from tests.dicom_objects.results import phantom_file
from tests.dicom_objects.test_objects import errors_in

KINDS = "json,sr,gsps,sc,seg,fractional-seg"


def heatmap(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["heatmap", *map(str, arguments)])


def of_five(folder: Path) -> tuple[str | Path, ...]:
    """Arguments for the image and the model of `written`."""
    options = ("--below-operating-point", "--quiet")
    return folder / "chests" / "images", "--model", folder / "five.safetensors", *options


@pytest.fixture(scope="module")
def written(untrained_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All objects of one phantom, beside the JSON file; five findings are above their points."""
    folder = tmp_path_factory.mktemp("objects")
    made = read_model(untrained_model)
    points = {finding: float(place > 4) for place, finding in enumerate(made.card.findings)}
    card = replace(made.card, operating_points=points)
    write_model(folder / "five.safetensors", made.network, made.preprocessing, card)
    write_phantoms(folder / "chests", n=1, seed=0, size=96, file_format="dicom")
    done = heatmap(*of_five(folder), "--write", KINDS, "--out", folder / "out")
    assert done.exit_code == 0, done.output
    return folder / "out"


def test_every_kind_is_written(written: Path) -> None:
    names = {path.name.partition(".")[2] for path in written.glob("00100000_000.*")}
    objects = {"sr-findings", "sr-regions", "gsps", "sc", "seg", "fractional-seg"}
    assert names == {"json", *(f"{kind}.dcm" for kind in objects)}


def test_the_report_holds_the_boxes_of_all_findings_above_their_points(written: Path) -> None:
    report = json.loads((written / "00100000_000.json").read_text())
    expected = sorted(
        (row["finding"], box["x_min"], box["y_min"], row["probability"])
        for row in report["findings"]
        if row["above_operating_point"]
        for box in row["boxes"]
    )
    assert len({each[0] for each in expected}) == 5  # more than the three in the picture
    regions = read_regions(written / "00100000_000.sr-regions.dcm")
    stored = sorted((r.finding, r.box.x_min, r.box.y_min, r.probability) for r in regions)
    assert [each[0] for each in stored] == [each[0] for each in expected]
    for one, other in zip(stored, expected, strict=True):
        assert one[1:] == pytest.approx(other[1:], abs=1e-2)


def test_an_object_with_boxes_of_other_findings_has_another_uid(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicom_result, "boxed_findings", top_findings)  # as an earlier version did
    assert heatmap(*of_five(written.parent), "--write", "sr", "--out", tmp_path).exit_code == 0
    name = "00100000_000.sr-regions.dcm"
    here, there = (pydicom.dcmread(folder / name) for folder in (written, tmp_path))
    assert here.SOPInstanceUID != there.SOPInstanceUID


def test_a_png_has_no_study_to_belong_to(untrained_model: Path, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "chests", n=1, seed=0, size=32)
    options = ["--model", untrained_model, "--write", "sr", "--out", tmp_path / "out"]
    refused = heatmap(tmp_path / "chests" / "images", *options)
    assert refused.exit_code == 2
    assert "is a PNG file" in refused.output


def test_a_missing_package_is_named_before_any_image_is_computed(
    untrained_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_phantoms(tmp_path / "chests", n=1, seed=0, size=32, file_format="dicom")
    monkeypatch.setitem(sys.modules, "highdicom", None)  # then its import fails
    options = ["--model", untrained_model, "--write", "json,sr", "--out", tmp_path / "out"]
    refused = heatmap(tmp_path / "chests" / "images", *options)
    assert refused.exit_code != 0
    assert "needs the package highdicom: pip install 'cxrloc[pacs]'" in refused.output
    assert not list((tmp_path / "out").rglob("*.json"))


def test_boxes_of_reports_score_as_those_of_the_table(
    untrained_model: Path, tmp_path: Path
) -> None:
    write_phantoms(tmp_path / "chests", n=4, seed=0, size=96, file_format="dicom")
    options = ["--model", untrained_model, "--write", "json,sr,seg", "--below-operating-point"]
    options += ["--top", "8", "--threshold", "180", "--out", tmp_path / "out", "--quiet"]
    assert heatmap(tmp_path / "chests" / "images", *options).exit_code == 0
    for source, out in (("out", "of_reports"), ("out/detections.csv", "of_table")):
        scored = ["bench", tmp_path / "chests", "--detections", tmp_path / source, "--quiet"]
        scored += ["--resamples", "0", "--out", tmp_path / out]
        done = CliRunner().invoke(app, [*map(str, scored)])
        assert done.exit_code == 0, done.output
    of_reports, of_table = (
        (tmp_path / out / "localization.csv").read_text() for out in ("of_reports", "of_table")
    )
    assert of_reports == of_table
    assert (tmp_path / "of_table" / "detections.csv").read_text().count("\n") > 1


@pytest.mark.slow
def test_boxes_of_reports_are_truth(untrained_model: Path, tmp_path: Path) -> None:
    """The same reports as claims and as truth agree everywhere."""
    write_phantoms(tmp_path / "chests", n=4, seed=0, size=96, file_format="dicom")
    images = tmp_path / "chests" / "images"
    options = ["--model", untrained_model, "--write", "json,sr", "--below-operating-point"]
    assert heatmap(images, *options, "--out", tmp_path / "out", "--quiet").exit_code == 0
    scored = ["bench", images, "--boxes", tmp_path / "out", "--detections", tmp_path / "out"]
    scored += ["--resamples", "0", "--out", tmp_path / "scored", "--quiet"]
    done = CliRunner().invoke(app, [*map(str, scored)])
    assert done.exit_code == 0, done.output
    with (tmp_path / "scored" / "localization.csv").open() as file:
        accuracies = {row["accuracy"] for row in csv.DictReader(file) if row["finding"] != "mean"}
    assert {*map(float, filter(None, accuracies))} == {1.0}


def test_dates_are_those_of_the_image_or_of_the_option(
    untrained_model: Path, tmp_path: Path
) -> None:
    image = phantom_file(tmp_path / "chests")
    dataset = pydicom.dcmread(image)
    dataset.StudyDate, dataset.StudyTime = "20240229", "102030"
    dataset.save_as(image)
    options = [image, "--model", untrained_model, "--write", "json,sr", "--quiet"]
    moments, uids = [], set()
    for name, more in (("own", []), ("given", ["--object-date", "2031-05-06T07:08:09"])):
        assert heatmap(*options, *more, "--out", tmp_path / name).exit_code == 0
        report = pydicom.dcmread(next((tmp_path / name).glob("*.sr-findings.dcm")))
        moments.append(f"{report.ContentDate}{report.ContentTime}")
        uids.add(report.SOPInstanceUID)
    assert moments == ["20240229102030", "20310506070809"]
    assert len(uids) == 1  # the date changes nothing that is said of the image


def test_what_a_header_lacks_in_validity_is_a_warning(
    untrained_model: Path, tmp_path: Path
) -> None:
    image = phantom_file(tmp_path / "chests")
    dataset = pydicom.dcmread(image)
    dataset.PatientID = "12\\34"
    dataset.save_as(image)
    options = ["--model", untrained_model, "--write", "json,sr", "--out", tmp_path / "out"]
    done = heatmap(image, *options)
    assert done.exit_code == 0
    warning = "PatientID (0010,0020) has several values, so DICOM results leave it out"
    assert warning in " ".join(done.output.split())
    report = json.loads(next((tmp_path / "out").glob("00*.json")).read_text())
    assert warning in report["warnings"]
    assert pydicom.dcmread(next((tmp_path / "out").glob("*.sr-findings.dcm"))).PatientID == ""


def _multi_frame(image: Dataset) -> None:
    image.SOPClassUID = uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    image.NumberOfFrames = 2
    image.PixelData = image.PixelData * 2


def _colour(image: Dataset) -> None:
    _eight_bits(image, 3)
    image.SOPClassUID = uid.SecondaryCaptureImageStorage
    image.PhotometricInterpretation, image.SamplesPerPixel = "RGB", 3
    image.PlanarConfiguration = 0


def _palette(image: Dataset) -> None:
    _eight_bits(image, 1)
    image.SOPClassUID = uid.SecondaryCaptureImageStorage
    image.PhotometricInterpretation = "PALETTE COLOR"
    for colour in ("Red", "Green", "Blue"):
        image[f"{colour}PaletteColorLookupTableDescriptor"] = pydicom.DataElement(
            f"{colour}PaletteColorLookupTableDescriptor", "US", [256, 0, 16]
        )
        table = (np.arange(256, dtype="<u2") * 257).tobytes()
        setattr(image, f"{colour}PaletteColorLookupTableData", table)


def _eight_bits(image: Dataset, samples: int) -> None:
    pixels = image.pixel_array >> (image.BitsStored - 8)
    image.BitsAllocated, image.BitsStored, image.HighBit = 8, 8, 7
    image.PixelData = np.repeat(pixels.astype(np.uint8)[..., None], samples, -1).tobytes()


def _signed(image: Dataset) -> None:
    middle = 1 << (image.BitsStored - 1)
    pixels = image.pixel_array.astype(np.int32) - middle
    image.PixelRepresentation, image.PixelData = 1, pixels.astype("<i2").tobytes()
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = middle, 1, "US"


def _mono1(image: Dataset) -> None:
    image.PhotometricInterpretation = "MONOCHROME1"


def _big_endian(image: Dataset) -> None:
    image.PixelData = image.pixel_array.astype(">u2").tobytes()
    image.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian


def _deflated(image: Dataset) -> None:
    image.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian


def _angiogram(image: Dataset) -> None:
    image.SOPClassUID, image.Modality = uid.XRayAngiographicImageStorage, "XA"


def _of_a_vendor(image: Dataset) -> None:
    image.SOPClassUID = "1.2.3.4.5.6"


KINDS_OF_IMAGES: dict[str, Callable[[Dataset], None]] = {
    "several frames": _multi_frame,
    "colour": _colour,
    "palette": _palette,
    "signed": _signed,
    "inverted": _mono1,
    "big endian": _big_endian,
    "deflated": _deflated,
    "angiogram": _angiogram,
    "a vendor's own class": _of_a_vendor,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS_OF_IMAGES)
def test_objects_of_every_kind_of_image_are_valid_and_equal_the_json(
    kind: str, untrained_model: Path, tmp_path: Path
) -> None:
    image = phantom_file(tmp_path / "chests")
    dataset = pydicom.dcmread(image)
    KINDS_OF_IMAGES[kind](dataset)
    big_endian = dataset.file_meta.TransferSyntaxUID == uid.ExplicitVRBigEndian
    dataset.set_original_encoding(False, not big_endian, dataset._character_set)
    dataset.save_as(image, enforce_file_format=True)
    options = ["--model", untrained_model, "--write", KINDS, "--below-operating-point", "--force"]
    done = heatmap(image, *options, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    files = {file.name.split(".")[-2]: file for file in (tmp_path / "out").glob("*.dcm")}
    objects = {name: pydicom.dcmread(file) for name, file in files.items()}
    assert objects.keys() == {*KINDS.split(",")[2:], "sr-findings", "sr-regions"}
    found = {name: errors_in(each, tmp_path) for name, each in objects.items()}
    assert not any(found.values()), found
    assert {ref for each in objects.values() for ref in _classes(each, dataset.SOPInstanceUID)} == {
        str(dataset.SOPClassUID)
    }
    report = json.loads(next((tmp_path / "out").glob("00*.json")).read_text())
    _check_reports(files, report)
    _check_pixels(files, objects, report)
    if kind in ("colour", "palette"):  # a grayscale state may not refer to an image in colour
        assert objects["gsps"].SOPClassUID == uid.ColorSoftcopyPresentationStateStorage
    else:
        shape = "INVERSE" if kind == "inverted" else "IDENTITY"
        assert objects["gsps"].PresentationLUTShape == shape


def _classes(dataset: Dataset, uid_of_image: str) -> set[str]:
    """SOP classes by which an object refers to an image."""
    found = set()
    for element in dataset:
        for item in element.value if element.VR == "SQ" else ():
            if item.get("ReferencedSOPInstanceUID") == uid_of_image:
                found.add(str(item.ReferencedSOPClassUID))
            found |= _classes(item, uid_of_image)
    return found


def _boxes(report: dict[str, Any]) -> list[tuple[float, ...]]:
    top = sorted(report["findings"], key=lambda row: -row["probability"])[:3]
    sides = ("x_min", "y_min", "x_max", "y_max")
    return sorted(tuple(box[side] for side in sides) for row in top for box in row["boxes"])


def _check_reports(files: dict[str, Path], report: dict[str, Any]) -> None:
    """highdicom reads the probabilities and boxes of the JSON file."""
    groups = highdicom.sr.srread(files["sr-findings"]).content.get_image_measurement_groups()
    stored = {group.finding_type.meaning: group.get_measurements()[0].value for group in groups}
    expected = {code_of(row["finding"]).meaning: row["probability"] for row in report["findings"]}
    assert stored == expected
    regions = highdicom.sr.srread(files["sr-regions"]).content.get_planar_roi_measurement_groups()
    corners = [each.roi.value for each in regions]
    boxes = sorted((*each.min(axis=0), *each.max(axis=0)) for each in corners)
    np.testing.assert_allclose(boxes, _boxes(report), atol=2e-3)  # JSON has 3 decimals


def _check_pixels(
    files: dict[str, Path], objects: dict[str, Dataset], report: dict[str, Any]
) -> None:
    """Segments lie in the boxes, to the pixel; maps have the image's size; the picture is there."""
    masks = highdicom.seg.segread(files["seg"]).pixel_array
    extents = []
    for mask in masks.reshape(-1, report["rows"], report["columns"]):
        rows, columns = np.nonzero(mask)
        extents.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    np.testing.assert_allclose(sorted(extents), _boxes(report), atol=1.01)
    maps = highdicom.seg.segread(files["fractional-seg"])
    assert (maps.Rows, maps.Columns) == (report["rows"], report["columns"])
    assert objects["sc"].pixel_array.ndim == 3
