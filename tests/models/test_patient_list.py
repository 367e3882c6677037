"""Private patients stand in a list beside the weights, and nowhere in the weights' file."""

from dataclasses import replace
from pathlib import Path

import pytest

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.contamination import check_contamination
from cxrloc.models.localizer import Localizer
from cxrloc.models.patient_list import patient_list
from cxrloc.models.provenance import selection_warnings
from cxrloc.models.weights import read_model, write_model
from cxrloc.types import Record
from tests.models.test_weights import CARD, CONFIG, PREPROCESSING

PRIVATE = replace(
    CARD,
    training_patients=("=HOSPITAL-17", "keyed:0123456789abcdef"),
    validation_patients=("HOSPITAL-18",),
    patients_beside=True,
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("private") / "model.safetensors"
    write_model(path, Localizer(CONFIG).eval(), PREPROCESSING, PRIVATE)
    return path


def record(patient: str) -> Record:
    return Record("image", patient, "study", None)


def test_the_weights_hold_no_patient_and_the_list_beside_holds_all(written: Path) -> None:
    content = written.read_bytes()
    assert b"HOSPITAL" not in content
    assert b"0123456789abcdef" not in content
    assert read_model(written).card == PRIVATE


def test_the_contamination_check_works_with_the_list(written: Path) -> None:
    model = read_model(written)
    with pytest.raises(CxrlocError, match="trained on 1 of these patients"):
        check_contamination([model], [record("=HOSPITAL-17")], ())
    assert selection_warnings([model], [record("HOSPITAL-18")])


def test_without_the_list_contamination_is_said_to_be_not_checkable(
    written: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "model.safetensors"
    alone.write_bytes(written.read_bytes())
    checked = check_contamination([read_model(alone)], [record("=HOSPITAL-17")], ())
    assert checked.count == "unknown"
    assert checked.remarks[0].startswith("contamination not checkable: test")
    assert checked.remarks[0].endswith("in a list that is not beside it")


def test_a_damaged_list_is_an_error_that_names_it(written: Path, tmp_path: Path) -> None:
    alone = tmp_path / "model.safetensors"
    alone.write_bytes(written.read_bytes())
    patient_list(alone).write_text("person\n1\n")
    with pytest.raises(CxrlocError, match=r"model\.patients\.csv, row 1: no column patient, part"):
        read_model(alone)
