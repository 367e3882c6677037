"""A user's own table of labels, joined to images that need not be read for it."""

from pathlib import Path

import pytest

from cxrloc.datasets.own_labels import labelled_images
from cxrloc.datasets.records import NO_PATIENT
from cxrloc.errors import CxrlocError
from cxrloc.types import Label, Record

IMAGES = {name: Record(name, name, name, None) for name in "ab"}


def table(folder: Path, text: str) -> Path:
    path = folder / "l.csv"
    path.write_text(text)
    return path


def test_columns_can_be_named(tmp_path: Path) -> None:
    text = "x,y,Coin lesion,score\na,b,1,9\nb,a,0,9\n"
    found, _ = labelled_images(table(tmp_path, text), IMAGES, "y", ("Coin lesion",))
    assert found["b"].labels == {"Coin lesion": Label.POSITIVE}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,Mass\nq,1\n", "no cell names an image"),
        ("image,score\na,1\n", "no column is a known finding"),
        ("image,Mass\na,2\n", "row 2: Mass is '2'"),
        ("image,Mass\na,1\na.png,0\n", "row 3: a is there twice"),
        ("image,Mass,mass \na,1,1\n", "both mean Mass"),
        ("image,labels\na,Mas\n", "row 2: 'Mas'"),
        ("image,Mass,Patient Age\na,1,4_0\n", "row 2: Patient Age is '4_0', not a finite number"),
    ],
)
def test_what_would_be_a_wrong_number_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CxrlocError, match=message):
        labelled_images(table(tmp_path, text), IMAGES)


def test_a_blank_patient_is_said_and_is_nobody_else(tmp_path: Path) -> None:
    found, _ = labelled_images(table(tmp_path, "image,patient,Mass\na,7,1\nb,NA,NA\n"), IMAGES)
    assert [found[name].patient_id for name in "ab"] == ["7", "b"]
    assert [found[name].warnings for name in "ab"] == [(), (NO_PATIENT,)]
    assert [len(found[name].labels) for name in "ab"] == [1, 0]


@pytest.mark.parametrize("name", ["patient_id", "Patient Number", "Patient No.", "MRN"])
def test_patients_come_from_their_column_or_a_note_says_that_there_is_none(
    tmp_path: Path, name: str
) -> None:
    found, notes = labelled_images(table(tmp_path, f"image,{name},Mass\na,7,1\nb,7,0\n"), IMAGES)
    assert [found[image].patient_id for image in "ab"] == ["7", "7"]
    assert not any("of its own" in note for note in notes)
    _, notes = labelled_images(table(tmp_path, "image,Mass\na,1\nb,0\n"), IMAGES)
    assert any("each image counts as a patient of its own" in note for note in notes)


def test_a_partial_join_is_counted_on_both_sides(tmp_path: Path) -> None:
    found, notes = labelled_images(table(tmp_path, "image,MRN,Mass\na,7,1\nq,8,1\n"), IMAGES)
    assert "1 of its 2 rows are of the 2 images; only in the table: 'q'" in notes[-1]
    assert [found[name].labelled for name in "ab"] == [True, False]


def test_no_finding_beside_a_finding_is_an_error_but_beside_devices(tmp_path: Path) -> None:
    text = "image,No Finding,Mass,Support Devices\na,1,0,1\nb,1,1,0\n"
    with pytest.raises(CxrlocError, match="row 3: No Finding is 1 and so is Mass; an image"):
        labelled_images(table(tmp_path, text), IMAGES)
    last = "image,Atelectasis,mass ,Edema,normal\na,0,1,1,1\n"
    with pytest.raises(CxrlocError, match="row 2: normal is 1 and so is mass; an image"):
        labelled_images(table(tmp_path, last), IMAGES)
    labelled_images(table(tmp_path, text.replace("b,1,1", "b,0,1")), IMAGES)


def test_the_note_of_a_result_is_no_column_to_warn_of(tmp_path: Path) -> None:
    _, notes = labelled_images(table(tmp_path, "image,Mass,note\na,1,x\nb,0,x\n"), IMAGES)
    assert notes[0] == "l.csv: images by image, findings from Mass"
    assert not any("left out" in note for note in notes)


def test_columns_judge_their_findings_and_lists_judge_all(tmp_path: Path) -> None:
    text = "image,Mass,Effusion\na,1,0\nb,,NA\n"
    found, _ = labelled_images(table(tmp_path, text), IMAGES, declared=["Edema"])
    assert found["a"].vocabulary == {"Mass", "Effusion"}
    assert [found[name].labelled for name in "ab"] == [True, False]  # b has blank cells alone
    text = "image,labels\na,Mass\nb,No Finding\n"
    found, notes = labelled_images(table(tmp_path, text), IMAGES, declared=["Mass", "Edema"])
    assert found["b"].vocabulary is None
    assert "l.csv: no list names Edema, so no labelled image has it" in notes
