from dataclasses import replace

import pytest
from torch import nn

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.contamination import (
    check_contamination,
    contaminated_patients,
    contamination_of_card,
)
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard, card_patient
from cxrloc.models.model import Model
from cxrloc.types import Record

CARD = ModelCard("mine", "4 images", ("Mass",), training_patients=("1",))


def model(card: ModelCard) -> Model:
    return Model(nn.Identity(), None, Preprocessing(size=32), card)


def records(*patients: str) -> list[Record]:
    return [Record(f"image{i}", patient, "s", None) for i, patient in enumerate(patients)]


@pytest.mark.parametrize("written", ["1", "1.0", "00000001", "1 ", "patient1", "p1"])
def test_a_training_patient_is_recognised_however_the_table_writes_the_id(written: str) -> None:
    assert contaminated_patients(records(written, "2"), CARD.training_patients) == (written,)


def test_another_patient_is_not() -> None:
    assert not contaminated_patients(records("10", "2", "1.5", "A1"), CARD.training_patients)


@pytest.mark.parametrize(
    ("of_card", "of_data", "refused"),
    [
        (("chestxray14",), {"chestxray14"}, True),
        (("chestxray14",), {"boxes"}, False),
        (("chestxray14",), {"our hospital"}, False),
        (("chestxray14", "chexpert"), {"chexpert"}, True),
        ((), {"our hospital"}, True),  # an old card does not say whose patients it lists
    ],
)
def test_patients_are_compared_within_one_data_set(
    of_card: tuple[str, ...], of_data: set[str], refused: bool
) -> None:
    trained_model = model(replace(CARD, data_sets=of_card))
    if refused:
        with pytest.raises(CxrlocError, match="mine was trained on 1 of these patients"):
            check_contamination([trained_model], records("1"), of_data)
    else:
        assert check_contamination([trained_model], records("1"), of_data).count == 0


def test_a_card_without_data_sets_is_read_by_its_recipe() -> None:
    card = replace(CARD, recipe='[data]\nreader = "chestxray14"\n')
    assert check_contamination([model(card)], records("1"), {"boxes"}).count == 0
    with pytest.raises(CxrlocError, match="--dataset NAME"):
        check_contamination([model(card)], records("1"), {"chestxray14"})
    begun = replace(card, recipe='start = "other.safetensors"\n' + card.recipe)
    with pytest.raises(CxrlocError, match="trained on 1"):
        check_contamination([model(begun)], records("1"), {"boxes"})


def test_allowed_contamination_is_counted_and_said() -> None:
    found = check_contamination([model(CARD)], records("1", "2"), set(), allowed=True)
    assert (found.patients, found.count) == (frozenset({"1"}), 1)
    assert found.remarks[0].startswith("not held out (--allow-contaminated): mine")


def test_a_model_that_names_nobody_cannot_be_checked_and_that_is_said() -> None:
    found = check_contamination([model(replace(CARD, training_patients=()))], records("1"), set())
    assert found.count == "unknown"
    assert found.remarks[0].startswith("contamination not checkable: mine")


def test_private_patients_are_named_by_hashes_that_only_the_key_recognises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CXRLOC_PATIENT_KEY", "the hospital's secret")
    (entry,) = {card_patient(written, public=False) for written in ("17", "0017", "17.0")}
    assert "17" not in entry.removeprefix("keyed:")[:2]
    trained_model = model(replace(CARD, training_patients=(entry,)))
    with pytest.raises(CxrlocError, match="mine was trained on 1 of these patients"):
        check_contamination([trained_model], records("17"), ())
    assert check_contamination([trained_model], records("18"), ()).count == 0
    monkeypatch.setenv("CXRLOC_PATIENT_KEY", "another key")
    assert check_contamination([trained_model], records("17"), ()).count == 0


def test_without_the_key_contamination_is_said_to_be_not_checkable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CXRLOC_PATIENT_KEY", raising=False)
    monkeypatch.delenv("CXRLOC_PATIENT_KEY_FILE", raising=False)
    trained_model = model(replace(CARD, training_patients=("keyed:0123456789abcdef",)))
    checked = check_contamination([trained_model], records("17"), ())
    assert checked.count == "unknown"
    (remark,) = checked.remarks
    assert remark.startswith("contamination not checkable: mine names private patients")


def test_only_a_model_can_be_not_checkable() -> None:
    unknown = {"contaminated_patients": "unknown"}
    (sentence,) = contamination_of_card("a", {**unknown, "model": {"weights": "m"}})
    assert sentence.startswith("contamination not checkable: the model of a ")
    assert contamination_of_card("a", {**unknown, "model": None}) == []
    assert contamination_of_card("a", {"contaminated_patients": 0, "model": {}}) == []
