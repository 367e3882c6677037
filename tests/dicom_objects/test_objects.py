"""Every object is valid by an independent validator, names its source, and is reproducible."""

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from PIL import Image
from pydicom import Dataset

from cxrloc.dicom_objects.objects import OBJECTS, object_of
from cxrloc.dicom_objects.presentation_state import presentation_state
from cxrloc.dicom_objects.result import DicomResult
from cxrloc.dicom_objects.source import read_source
from tests.dicom_objects.results import altered, result_on, without_boxes

PICTURE = Image.new("RGB", (320, 160), "grey")
DCIODVFY = Path(sys.executable).with_name("dciodvfy")


def objects_of(result: DicomResult) -> dict[str, Dataset]:
    made = {kind: object_of(kind, result, lambda: PICTURE) for kind in OBJECTS}
    return {kind: each for kind, each in made.items() if each is not None}


def as_bytes(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def errors_in(dataset: Dataset, folder: Path) -> list[str]:
    """What dciodvfy (dicom3tools) calls an error."""
    path = folder / "object.dcm"
    path.write_bytes(as_bytes(dataset))
    told = subprocess.run([DCIODVFY, path], capture_output=True, text=True)
    return [line for line in (told.stdout + told.stderr).splitlines() if line.startswith("Error")]


@pytest.mark.parametrize(
    "kind", ["sr-regions", "sr-findings", "gsps", "sc", "seg", "fractional-seg"]
)
def test_the_validator_finds_no_error(kind: str, result: DicomResult, tmp_path: Path) -> None:
    assert errors_in(objects_of(result)[kind], tmp_path) == []


def test_the_validator_can_find_an_error(result: DicomResult, tmp_path: Path) -> None:
    """The control of the test above: a presentation state that names no image."""
    state = objects_of(result)["gsps"]
    del state.ReferencedSeriesSequence
    assert errors_in(state, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("alteration", "why"),
    [
        ({"PatientName": None, "PatientID": None, "StudyID": None}, "absent type-2 attributes"),
        ({"ImagerPixelSpacing": [0, 0]}, "a spacing of zero"),
        ({"ImagerPixelSpacing": None}, "no spacing"),
        ({"PatientOrientation": None, "ViewPosition": None}, "no orientation"),
    ],
)
def test_what_a_header_lacks_is_no_obstacle(
    alteration: dict[str, object], why: str, result: DicomResult, tmp_path: Path
) -> None:
    made = objects_of(result_on(altered(result.source, tmp_path, **alteration)))
    found = {name: errors_in(each, tmp_path) for name, each in made.items()}
    assert not any(found.values()), (why, found)


def test_nothing_is_invented(result: DicomResult, tmp_path: Path) -> None:
    """An unknown patient stays unknown, and no frame of reference appears."""
    made = objects_of(result_on(altered(result.source, tmp_path, PatientName=None, PatientID=None)))
    assert {str(each.PatientName) for each in made.values()} == {""}
    assert not any("FrameOfReferenceUID" in each for each in made.values())


def test_no_warning_quotes_a_name(
    result: DicomResult, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """highdicom would warn of a name of one component, and quote it."""
    header = altered(result.source, tmp_path, PatientName="Doe", ReferringPhysicianName="Roe")
    recwarn.clear()
    made = objects_of(result_on(header))
    assert {(str(e.PatientName), str(e.ReferringPhysicianName)) for e in made.values()} == {
        ("Doe", "Roe")
    }
    assert not recwarn.list


def test_a_second_run_gives_the_same_bytes(result: DicomResult) -> None:
    first, second = objects_of(result), objects_of(result)
    assert {name: as_bytes(each) for name, each in first.items()} == {
        name: as_bytes(each) for name, each in second.items()
    }


@pytest.mark.parametrize(("interpretation", "samples"), [("RGB", 3), ("PALETTE COLOR", 1)])
def test_an_image_in_colour_has_a_state_in_colour(
    interpretation: str, samples: int, result: DicomResult, tmp_path: Path
) -> None:
    """PS3.3, A.33.1 and A.33.2; the boxes of both kinds of state are the same."""
    colour = {"PhotometricInterpretation": interpretation, "SamplesPerPixel": samples}
    results = [result_on(altered(result.source, tmp_path, **colour)) for _ in range(2)]
    first, second = (objects_of(each)["gsps"] for each in results)
    assert presentation_state(results[0]) is not None
    assert results[0].source.SamplesPerPixel == samples  # the state does not change its source
    assert first.SOPClassUID == pydicom.uid.ColorSoftcopyPresentationStateStorage
    assert errors_in(first, tmp_path) == []
    assert as_bytes(first) == as_bytes(second)
    grey = objects_of(result)["gsps"]
    assert first.GraphicAnnotationSequence == grey.GraphicAnnotationSequence
    # Of an input device, and in red, green and blue (PS3.3, C.11.15.1.1).
    assert first.ICCProfile[12:20] == b"scnrRGB "


def test_a_result_without_boxes_gives_findings_and_picture_only(result: DicomResult) -> None:
    assert set(objects_of(without_boxes(result))) == {"sr-findings", "sc", "fractional-seg"}


def test_every_object_says_what_it_is_not_for(result: DicomResult) -> None:
    for name, each in objects_of(result).items():
        told = f"{each.get('SeriesDescription')} {each.get('ContentDescription')}".lower()
        assert "not for diagnosis" in told, name


@pytest.mark.slow
def test_objects_of_real_radiographs_are_valid(shared: Path, tmp_path: Path) -> None:
    files = sorted((shared / "data" / "dicom").glob("*.dcm"))
    assert files
    for file in files:
        made = objects_of(result_on(read_source(file).header))
        found = {name: errors_in(each, tmp_path) for name, each in made.items()}
        assert not any(found.values()), (file.name, found)


def test_identifiers_follow_from_source_model_and_settings(
    result: DicomResult, tmp_path: Path
) -> None:
    other_source = result_on(altered(result.source, tmp_path, SOPInstanceUID="2.25.1"))
    algorithm = result.algorithm
    other_model = replace(result, algorithm=replace(algorithm, sha256="cd" * 32))
    other_setting = replace(result, algorithm=replace(algorithm, parameters={"method": "layercam"}))
    made = [objects_of(each) for each in (result, other_source, other_model, other_setting)]
    uids = [each.SOPInstanceUID for objects in made for each in objects.values()]
    assert len(set(uids)) == len(uids)
    assert all(pydicom.uid.UID(uid).is_valid for uid in uids)
