"""ChestX-ray14's folder, whole, in part, and as published."""

from collections import Counter
from pathlib import Path

import pytest

from cxrloc.datasets import read_dataset
from cxrloc.datasets.chestxray14 import (
    FROM_NAME,
    NO_ROW,
    RENUMBERED,
    REPEATED,
    UNLABELLED,
    official_split,
    read_chestxray14,
)
from cxrloc.datasets.records import CUT
from cxrloc.errors import CxrlocError
from cxrloc.findings import CHESTXRAY8
from cxrloc.types import Label, Record, Sex, View

FIRST_EDITION = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
    "00000001_000.png,Cardiomegaly|Effusion,0,1,058Y,M,PA,2682,2749,0.143,0.143,\n"
    "00000002_000.png,No Finding,0,2,011M,F,AP,2682,2749,0.143,0.143,\n"
    "00000002_001.png,No Finding,1,2,414Y,F,AP,2682,2749,0.143,0.143,\n"
)
LATER_EDITION = FIRST_EDITION.replace("058Y", "57").replace("011M", "0").replace("414Y", "14")
BOXES = (
    "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
    "00000001_000.png,Cardiomegaly,300,400,500,300\n"
    "00000009_003.png,Infiltrate,100.5,200,50,60\n"
)


def write_set(folder: Path, entries: str | None = FIRST_EDITION, boxes: str | None = BOXES) -> Path:
    if entries:
        (folder / "Data_Entry_2017.csv").write_text(entries)
    if boxes:
        (folder / "BBox_List_2017.csv").write_text(boxes)
    return folder


def by_id(records: list[Record]) -> dict[str, Record]:
    return {record.image_id: record for record in records}


def test_a_record_holds_what_its_row_says(tmp_path: Path) -> None:
    record = by_id(read_chestxray14(write_set(tmp_path)))["00000001_000"]
    assert (record.patient_id, record.view, record.sex) == ("1", View.PA, Sex.MALE)
    assert {name for name, label in record.labels.items() if label is Label.POSITIVE} == {
        "Cardiomegaly",
        "Effusion",
    }
    assert record.labels["Hernia"] is Label.NEGATIVE
    assert record.annotation_frame == (1024, 1024)
    assert record.annotations[0].box.x_max == 800.0


@pytest.mark.parametrize(
    ("entries", "ages"),
    [
        (FIRST_EDITION, [58.0, 11 / 12, None]),  # 414 years is a typo
        (LATER_EDITION, [57.0, 0.0, 14.0]),
    ],
    ids=["first edition", "later edition"],
)
def test_ages_of_both_editions(tmp_path: Path, entries: str, ages: list[float | None]) -> None:
    records = read_chestxray14(write_set(tmp_path, entries, boxes=None))
    assert [record.age_years for record in records] == ages


def test_the_later_of_two_editions_is_read(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "Data_Entry_2017_v2020.csv").write_text(LATER_EDITION)
    assert read_chestxray14(tmp_path)[0].age_years == 57.0


def test_a_box_on_an_image_without_labels_is_kept(tmp_path: Path) -> None:
    record = by_id(read_chestxray14(write_set(tmp_path)))["00000009_003"]
    assert (record.patient_id, record.path) == ("9", None)
    assert record.labels == {"Infiltration": Label.POSITIVE}
    assert (record.labelled, record.warnings) == (False, (NO_ROW,))
    assert record.annotations[0].finding == "Infiltration"


def test_a_box_list_alone_is_a_data_set_and_stands_for_its_folder(tmp_path: Path) -> None:
    write_set(tmp_path, entries=None)
    records = read_dataset(tmp_path / "BBox_List_2017.csv")
    assert records == read_dataset(tmp_path)
    assert [record.annotation_frame for record in records] == [(1024, 1024)] * 2
    # As in any other list of boxes, what has no box is absent: `classify` needs negatives.
    assert [(record.labelled, record.warnings) for record in records] == [(True, ())] * 2


@pytest.mark.parametrize("folder", ["images", "images_001/images", "images_012/images"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".dcm"])
def test_images_are_found_by_stem_and_missing_ones_counted(
    tmp_path: Path, folder: str, suffix: str
) -> None:
    write_set(tmp_path)
    image = tmp_path / folder / f"00000001_000{suffix}"
    image.parent.mkdir(parents=True)
    image.touch()
    records = read_chestxray14(tmp_path)
    assert {name: record.path for name, record in by_id(records).items() if record.path} == {
        "00000001_000": image
    }
    assert len(records) == 4


@pytest.mark.parametrize(
    ("entries", "boxes", "message"),
    [
        (None, None, "neither Data_Entry_2017"),
        (FIRST_EDITION.replace("058Y", "old"), None, "row 2: Patient Age is 'old', not a"),
        (FIRST_EDITION.replace("058Y", "5_8Y"), None, "row 2: Patient Age is '5_8', not a"),
        (FIRST_EDITION.replace("Patient ID", "Patient"), None, "label file"),
        (FIRST_EDITION.replace("00000002_001", "00000001_000"), None, "row 4"),
        (None, BOXES + "00000009_003.png,Mass,1,2,x,4\n", "row 4: width is 'x'"),
        (None, BOXES + "00000009_003.png,Mas,1,2,3,4\n", "row 4: 'Mas' is no known finding"),
    ],
)
def test_a_bad_list_is_named(
    tmp_path: Path, entries: str | None, boxes: str | None, message: str
) -> None:
    with pytest.raises(CxrlocError, match=message):
        read_chestxray14(write_set(tmp_path, entries, boxes))


def entries_of(*rows: str) -> str:
    header = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
    return header + "View Position\n" + "".join(f"{row}\n" for row in rows)


@pytest.mark.parametrize("written", ["1", "1.0", "00000001", " 1 ", "", "NA", "nan", "None"])
def test_the_patient_is_that_of_the_file_name_however_the_table_writes_it(
    tmp_path: Path, written: str
) -> None:
    entries = entries_of(f"00000001_000.png,Mass,0,{written},058Y,F,PA")
    (record,) = read_dataset(write_set(tmp_path, entries, boxes=None))
    assert record.patient_id == "1"
    assert record.warnings == (() if "1" in written else (FROM_NAME,))


def test_a_hospital_s_own_patients_stay_as_they_are(tmp_path: Path) -> None:
    entries = entries_of("a.png,Mass,0,0007,058Y,F,PA", "b.png,Mass,0,7,058Y,F,PA")
    with pytest.raises(CxrlocError, match="'0007' and '7'"):
        read_dataset(write_set(tmp_path, entries, boxes=None))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("b.png,Mass,0,,058Y,F,PA", "row 3: Patient ID is blank"),
        ("b.png,He", "row 3: 2 cells"),
        ("b.png,He,0,2,058Y,F,PA", "row 3: 'He' in 'He' is no known finding"),
        ("a.png,Effusion,0,1,058Y,F,PA", "row 3: a.png is there twice"),
        ("../b.png/..,Mass,0,2,058Y,F,PA", "row 3: '..' cannot name"),
    ],
)
def test_a_row_that_would_be_a_wrong_number_is_named(
    tmp_path: Path, row: str, expected: str
) -> None:
    entries = entries_of("a.png,Mass,0,1,058Y,F,PA", row)
    with pytest.raises(CxrlocError, match=expected):
        read_dataset(write_set(tmp_path, entries, boxes=None))


@pytest.mark.parametrize(
    ("images", "patients"),
    [
        ("1_000 2_000 13_005", "1 2 14"),  # few differ
        ("1_000 1_001 2_000", "2 1 1"),  # most differ, and patient 1 would be divided
    ],
)
def test_a_patient_that_is_not_the_one_of_the_file_name_is_an_error_with_its_row(
    tmp_path: Path, images: str, patients: str
) -> None:
    entries = entries_of(
        *(
            f"{image:0>12}.png,Mass,0,{patient},058Y,F,PA"
            for image, patient in zip(images.split(), patients.split(), strict=True)
        )
    )
    with pytest.raises(CxrlocError, match=r"row \d: Patient ID is \d+, and 000000\d+_00. is named"):
        read_dataset(write_set(tmp_path, entries, boxes=None))


def test_patients_that_are_numbered_anew_keep_the_table_s_numbers(tmp_path: Path) -> None:
    entries = entries_of(
        "00000001_000.png,Mass,0,7,058Y,F,PA",
        "00000001_001.png,Mass,0,7,058Y,F,PA",
        "00000002_000.png,Mass,0,2,058Y,F,PA",
    )
    records = read_dataset(write_set(tmp_path, entries, boxes=None))
    assert [each.patient_id for each in records] == ["7", "7", "2"]
    assert [each.warnings for each in records] == [(RENUMBERED,), (RENUMBERED,), ()]


def test_a_date_in_the_file_name_is_no_patient(tmp_path: Path) -> None:
    rows = "20230115_001.png,Mass,0,1,058Y,F,PA", "20230115_002.png,Mass,0,2,058Y,F,PA"
    records = read_dataset(write_set(tmp_path, entries_of(*rows), boxes=None))
    assert [(each.patient_id, each.warnings) for each in records] == [("1", ()), ("2", ())]
    blank = entries_of("20230115_001.png,Mass,0,,058Y,F,PA")
    with pytest.raises(CxrlocError, match="row 2: Patient ID is blank"):
        read_dataset(write_set(tmp_path, blank, boxes=None))


def test_equal_rows_count_once_and_blank_labels_are_unknown(tmp_path: Path) -> None:
    row = "a.png,Mass,0,1,058Y,F,PA"
    entries = entries_of(row, row, "b.png,,0,2,058Y,F,PA")
    first, second = read_dataset(write_set(tmp_path, entries, boxes=None))
    assert first.warnings == (REPEATED,)
    assert (second.labels, second.labelled, second.warnings) == ({}, False, (UNLABELLED,))


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_table_saved_by_a_spreadsheet_reads_as_the_published_one(
    tmp_path: Path, delimiter: str
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    saved = [text.replace(",", delimiter) for text in (FIRST_EDITION, BOXES)]
    saved[1] = saved[1].replace("100.5", "100,5")
    records = read_dataset(write_set(tmp_path / "a"))
    assert read_dataset(write_set(tmp_path / "b", *saved)) == records


def test_the_official_split_is_by_list_and_leaves_out_what_is_in_none(tmp_path: Path) -> None:
    records = read_chestxray14(write_set(tmp_path, boxes=None))
    (tmp_path / "train_val_list.txt").write_text("00000001_000.png\n")
    (tmp_path / "test_list.txt").write_text("00000002_000.png\n00000002_001.png")
    split = official_split(tmp_path, records)
    assert [len(part) for part in split.values()] == [1, 2]
    (tmp_path / "test_list.txt").write_text("00000002_000.png\n")
    split = official_split(tmp_path, records)
    assert [record.image_id for record in split["test"]] == ["00000002_000"]


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_the_official_lists_may_have_the_encodings_of_tables(tmp_path: Path, encoding: str) -> None:
    records = read_chestxray14(write_set(tmp_path, boxes=None))
    (tmp_path / "train_val_list.txt").write_text("00000001_000.png\né.png\n", encoding=encoding)
    (tmp_path / "test_list.txt").write_text("00000002_000.png\n", encoding=encoding)
    assert [len(part) for part in official_split(tmp_path, records).values()] == [1, 1]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("00000001_000.png", "test_list.txt: 00000001_000 is in train_val_list.txt too"),
        ("00000002_001.png", "1 patients, such as 2, are in both lists"),
    ],
)
def test_an_official_split_that_shares_images_or_patients_is_refused(
    tmp_path: Path, test: str, expected: str
) -> None:
    records = read_chestxray14(write_set(tmp_path, boxes=None))
    (tmp_path / "train_val_list.txt").write_text("00000001_000.png\n00000002_000.png\n")
    (tmp_path / "test_list.txt").write_text(test)
    with pytest.raises(CxrlocError, match=expected):
        official_split(tmp_path, records)


@pytest.mark.parametrize(
    ("written", "view", "sex"),
    [("PA,Male", View.PA, Sex.MALE), ("Lateral,f", View.LATERAL, Sex.FEMALE), ("?,", None, None)],
)
def test_views_and_sexes_of_other_spellings(
    tmp_path: Path, written: str, view: View | None, sex: Sex | None
) -> None:
    position, gender = written.split(",")
    entries = entries_of(f"00000001_000.png,Mass,0,1,058Y,{gender},{position}")
    (record,) = read_dataset(write_set(tmp_path, entries, boxes=None))
    assert (record.view, record.sex) == (view, sex)


@pytest.fixture(scope="module")
def published(shared: Path) -> list[Record]:
    return read_dataset(shared / "data" / "chestxray14")


@pytest.mark.slow
def test_the_published_files_have_their_known_counts(published: list[Record]) -> None:
    assert len(published) == 112_120
    assert len({record.patient_id for record in published}) == 30_805
    boxed = [record for record in published if record.annotations]
    assert (len(boxed), sum(len(record.annotations) for record in boxed)) == (880, 984)
    assert sum(record.path is not None for record in boxed) == 530
    assert not {warning for record in published for warning in record.warnings} - {CUT}
    assert len({record.patient_id for record in boxed}) == 726
    boxes = Counter(box.finding for record in boxed for box in record.annotations)
    assert [boxes[finding] for finding in CHESTXRAY8] == [180, 146, 153, 123, 85, 79, 120, 98]
    views = Counter(record.view for record in boxed for _ in record.annotations)
    assert (views[View.PA], views[View.AP]) == (529, 455)
    labelled = [record.labels[name] for record in boxed for name in CHESTXRAY8]
    assert labelled.count(Label.POSITIVE) == 1705


@pytest.mark.slow
def test_the_official_split_shares_no_patient_and_tests_on_every_boxed_image(
    shared: Path, published: list[Record]
) -> None:
    split = official_split(shared / "data" / "chestxray14", published)
    assert (len(split["train_val"]), len(split["test"])) == (86_524, 25_596)
    train, test = ({record.patient_id for record in part} for part in split.values())
    assert train.isdisjoint(test)
    assert sum(bool(record.annotations) for record in split["test"]) == 880
