from pathlib import Path

import pytest

from cxrloc.datasets import chexpert, read_dataset
from cxrloc.errors import CxrlocError
from cxrloc.findings import CHEXPERT14
from cxrloc.types import Label, Sex, View
from tests.datasets.layout_files import touched

POSITIVE, NEGATIVE, UNCERTAIN = Label.POSITIVE, Label.NEGATIVE, Label.UNCERTAIN
OBSERVATIONS = ",".join(CHEXPERT14)
BLANK = "," * (len(CHEXPERT14) - 1)
"""Cells of a row that mentions nothing."""

TRAIN = f"""Path,Sex,Age,Frontal/Lateral,AP/PA,{OBSERVATIONS}
CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0{BLANK}
CheXpert-v1.0-small/train/patient00001/study1/view2_lateral.jpg,Female,68,Lateral,,1.0{BLANK}
CheXpert-v1.0-small/train/patient00002/study1/view1_frontal.jpg,Unknown,0,Frontal,LL,\
,0.0,-1.0,,1.0{"," * 9}
"""
VALID = f"""Path,Sex,Age,Frontal/Lateral,AP/PA,{OBSERVATIONS}
CheXpert-v1.0-small/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,PA,{BLANK}
"""
TEST = f"""Path,{OBSERVATIONS}
test/patient64741/study1/view1_frontal.jpg,{BLANK}
test/patient64741/study1/view2_lateral.jpg,{BLANK}
"""


@pytest.fixture
def chexpert_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "CheXpert-v1.0-small"
    folder.mkdir()
    (folder / "train.csv").write_text(TRAIN)
    (folder / "valid.csv").write_text(VALID)
    return folder


def test_chexpert_blank_is_absent_and_minus_one_uncertain(chexpert_folder: Path) -> None:
    frontal, lateral, other, valid = read_dataset(chexpert_folder)
    assert frontal.labels == lateral.labels == {"No Finding": POSITIVE}
    assert other.labels == {
        "Enlarged Cardiomediastinum": NEGATIVE,
        "Cardiomegaly": UNCERTAIN,
        "Lung Opacity": POSITIVE,
    }
    assert valid.labels == {}


def test_chexpert_patient_study_and_view_come_from_path_and_columns(chexpert_folder: Path) -> None:
    frontal, lateral, other, valid = read_dataset(chexpert_folder)
    assert (frontal.image_id, frontal.patient_id, frontal.study_id) == (
        "patient00001_study1_view1_frontal",
        "patient00001",
        "patient00001_study1",
    )
    assert lateral.study_id == frontal.study_id
    assert [r.view for r in (frontal, lateral, other, valid)] == [
        View.AP,
        View.LATERAL,
        None,
        View.PA,
    ]
    assert (frontal.age_years, frontal.sex) == (68.0, Sex.FEMALE)
    assert (other.age_years, other.sex) == (None, None)


@pytest.mark.parametrize("place", ["train", "CheXpert-v1.0-small/train"])
def test_chexpert_images_lie_beside_their_tables_or_as_the_path_says(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / "train.csv").write_text(TRAIN)
    file = touched(tmp_path.parent / place / "patient00001" / "study1" / "view1_frontal.jpg")
    beside = touched(tmp_path / "train" / "patient00001" / "study1" / "view2_lateral.jpg")
    frontal, lateral, _ = read_dataset(tmp_path / "train.csv")
    assert frontal.path == (None if place == "train" else file)
    assert lateral.path == beside


def test_chexpert_test_labels_have_no_sex_no_age_and_their_view_by_name(tmp_path: Path) -> None:
    (tmp_path / "test_labels.csv").write_text(TEST)
    frontal, lateral = read_dataset(tmp_path)
    assert (frontal.view, lateral.view) == (View.FRONTAL, View.LATERAL)
    assert (frontal.sex, frontal.age_years) == (None, None)


def test_chexpert_official_parts_are_its_tables(chexpert_folder: Path) -> None:
    records = read_dataset(chexpert_folder)
    parts = chexpert.official_parts(chexpert_folder, records)
    assert parts["patient00002_study1_view1_frontal"] == "train"
    assert parts["patient64541_study1_view1_frontal"] == "validation"
    assert parts.keys() == {record.image_id for record in records}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TRAIN.replace("-1.0", "2.0"), "row 4: Cardiomegaly is '2.0'"),
        (TRAIN.replace("/patient00002/study1", "/2"), "row 4: Path"),
        (TRAIN.replace(",68,", ",old,"), "row 2: Age 'old'"),
        (TRAIN.replace("patient00002", "patient00001"), r"row 4: .* twice"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "train.csv").write_text(content)
    with pytest.raises(CxrlocError, match=message):
        read_dataset(tmp_path)


def test_an_equal_row_counts_once(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(TRAIN + TRAIN.splitlines()[1] + "\n")
    assert len(read_dataset(tmp_path)) == 3


@pytest.mark.parametrize(
    "place",
    [
        "{tables}/patient00001",
        "{tables}/train/patient00001",
        "{tables}/CheXpert-v1.0-small/train/patient00001",
        "{tables}/CheXpert-v1.0-small/CheXpert-v1.0-small/train/patient00001",
        "CheXpert-v1.0 batch 2 (train 1)/patient00001",
        "CheXpert-v1.0 batch 2 (train 1)/train/patient00001",
        "chexpertchestxrays-u20210408/CheXpert-v1.0 batch 4 (train 3)/patient00001",
    ],
)
def test_images_are_found_in_every_layout_of_the_release(tmp_path: Path, place: str) -> None:
    tables = tmp_path / "CheXpert-v1.0 batch 1 (validate & csv)"
    tables.mkdir()
    (tables / "train.csv").write_text(TRAIN)
    folder = tmp_path / place.format(tables=tables.name)
    image = touched(folder / "study1" / "view1_frontal.jpg")
    assert read_dataset(tables)[0].path == image


def test_images_that_are_nowhere_say_where_they_were_looked_for(chexpert_folder: Path) -> None:
    touched(chexpert_folder / "train" / "patient99999" / "study1" / "view1_frontal.jpg")
    first = read_dataset(chexpert_folder)[0]
    assert str(chexpert_folder / "train") in first.warnings[0]


def test_a_table_saved_by_r_with_quotes_and_row_names_is_read(tmp_path: Path) -> None:
    lines = TRAIN.splitlines()
    quoted = [
        ",".join(f'"{cell}"' for cell in (str(i), *line.split(","))) for i, line in enumerate(lines)
    ]
    quoted[0] = quoted[0].replace('"0"', '""', 1).replace("No Finding", "No.Finding")
    (tmp_path / "train.csv").write_text("\n".join(quoted))
    assert read_dataset(tmp_path / "train.csv")[0].labels == {"No Finding": POSITIVE}


def test_a_blank_of_r_or_pandas_is_a_blank(tmp_path: Path) -> None:
    lines = [line.split(",") for line in TRAIN.splitlines()]
    text = "\n".join(",".join(cell or "NA" for cell in cells) for cells in lines)
    (tmp_path / "train.csv").write_text(TRAIN)
    (tmp_path / "r").mkdir()
    (tmp_path / "r/train.csv").write_text(text)
    plain, filled = (read_dataset(folder / "train.csv") for folder in (tmp_path, tmp_path / "r"))
    assert [each.labels for each in filled] == [each.labels for each in plain]
