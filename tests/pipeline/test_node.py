"""What a node's worker writes for an image, and what it tells the log."""

from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.models.model import Model
from cxrloc.models.weights import read_model
from cxrloc.pacs.node import Task
from cxrloc.pacs.node_config import Compute
from cxrloc.pacs.spool import Note, Spool, State, write_note
from cxrloc.pipeline.node import answer, check_kinds, node_status
from tests.dicom_objects.results import phantom_file

REPORTS = {"sr-findings", "sr-regions"}


@pytest.fixture(scope="module")
def model(untrained_model: Path) -> Model:
    return read_model(str(untrained_model))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return phantom_file(tmp_path / "chests")


def answered(image: Path, model: Model, *write: str) -> tuple[dict[str, object], set[str]]:
    """What the log is told, and the kinds of the objects that are written."""
    results = image.parent / "results"
    results.mkdir()
    settings = Compute(write=write, below_operating_point=True)
    answer_row = answer(Task(image, (image,), results), [model], settings)
    return answer_row, {file.name.split(".")[1] for file in results.iterdir()}


def test_an_image_gets_the_objects_that_the_settings_name(image: Path, model: Model) -> None:
    answer_row, kinds = answered(image, model, "sr", "sc", "seg")
    assert kinds == {*REPORTS, "sc", "seg"}
    assert (answer_row["status"], answer_row["objects"]) == ("ok", 4)


def of_laterals(image: Path, model: Model) -> Model:
    """The header says that the image is a frontal one."""
    return replace(model, card=replace(model.card, views=("LATERAL",)))


def blank(image: Path, model: Model) -> Model:
    """All pixels are 0."""
    dataset = pydicom.dcmread(image)
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.save_as(image)
    return model


@pytest.mark.parametrize("why", [of_laterals, blank])
@pytest.mark.parametrize(("write", "written"), [(("sr", "sc", "seg"), {"sc"}), (("sr",), set())])
def test_an_image_outside_gets_its_picture_only(  # type: ignore[no-untyped-def]
    why, write: tuple[str, ...], written: set[str], image: Path, model: Model
) -> None:
    answer_row, kinds = answered(image, why(image, model), *write)
    assert kinds == written
    assert (answer_row["status"], answer_row["objects"]) == ("outside", len(written))


def test_the_log_is_told_nothing_that_the_header_says(image: Path, model: Model) -> None:
    dataset = pydicom.dcmread(image)
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "1234567"
    dataset.save_as(image)
    answer_row, _ = answered(image, model, "sr")
    assert answer_row.keys() == {"status", "objects", "warnings"}
    assert not any(
        part in str(answer_row) for part in ("Doe", "1234567", str(dataset.SOPInstanceUID))
    )


def test_what_is_no_radiograph_is_refused(image: Path, model: Model) -> None:
    image.write_bytes(b"no DICOM")
    with pytest.raises(CxrlocError):
        answered(image, model, "sr")


@pytest.mark.parametrize("write", [(), ("png",), ("sr", "json")])
def test_only_dicom_objects_are_sent(write: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"\[compute\] write: .* must name DICOM objects"):
        check_kinds(Compute(write=write))


def test_the_status_of_a_node_that_has_not_run_makes_no_queue(tmp_path: Path) -> None:
    """The queue must belong to the user whose node it is."""
    settings = tmp_path / "node.toml"
    settings.write_text('[receive]\nallow = ["A@h"]\n[send]\nto = ["P@h:1"]\n')
    with pytest.raises(UsageError, match="the node has not run"):
        node_status(settings)
    assert not (tmp_path / "spool").exists()


def test_the_status_says_why_results_wait(tmp_path: Path) -> None:
    settings = tmp_path / "node.toml"
    settings.write_text('[receive]\nallow = ["A@h"]\n[send]\nto = ["P@h:1"]\n')
    spool = Spool(tmp_path / "spool")
    (tmp_path / "image").write_bytes(b"pixels")
    job = spool.add("1.2.3", tmp_path / "image")
    assert job is not None
    write_note(spool.move(job, State.SENDING), Note(waits_because={"P@h:1": "no association"}))
    status = node_status(settings)
    assert (status.counts["sending"], status.waits_because) == (
        1,
        {"P@h:1": "no association"},
    )
