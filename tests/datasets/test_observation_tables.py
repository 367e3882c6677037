"""CheXpert, MIMIC-CXR and Open-i from files with their published columns."""

import gzip
from pathlib import Path

import pytest

from cxrloc.datasets import chexpert, label_origin, mimic_cxr, read_dataset
from cxrloc.datasets.report_labels import with_labels
from cxrloc.findings import CHEXPERT14
from cxrloc.types import CxrlocError, Label, Sex, View

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

METADATA = """dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,\
Rows,Columns,StudyDate,StudyTime
aa-1,10000032,52,CHEST (PA AND LAT),PA,3056,2544,21800626,165500.312
aa-2,10000032,51,CHEST (PA AND LAT),LATERAL,3056,2544,21800506,213014.531
aa-3,10000032,51,CHEST (PA AND LAT),PA,3056,2544,21800506,91500.0
bb-1,10000764,61,CHEST (PORTABLE AP),AP,3056,2544,21321015,83941.0
bb-2,10000764,62,CHEST (PORTABLE AP),LPO,3056,2544,21321016,83941.0
"""
MIMIC_LABELS = f"""subject_id,study_id,{OBSERVATIONS}
10000032,51,,,,,,,{UNCERTAIN:d}.0{BLANK[6:]}
10000032,52,1.0{BLANK}
10000764,61,,,0.0{BLANK[2:]}
"""
SPLIT = """dicom_id,study_id,subject_id,split
aa-1,52,10000032,train
bb-1,61,10000764,validate
"""
OPENI = """<eCitation><uId id="CXR7"/><MedlineCitation><Article><Abstract>
<AbstractText Label="FINDINGS">Small left effusion. No pneumothorax.</AbstractText>
</Abstract></Article></MedlineCitation>
<parentImage id="CXR7_IM-1_0001"/><parentImage id="CXR7_IM-1_0002"/></eCitation>"""


def touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.fixture
def chexpert_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "CheXpert-v1.0-small"
    folder.mkdir()
    (folder / "train.csv").write_text(TRAIN)
    (folder / "valid.csv").write_text(VALID)
    return folder


@pytest.fixture
def mimic_folder(tmp_path: Path) -> Path:
    (tmp_path / "mimic-cxr-2.0.0-metadata.csv").write_text(METADATA)
    for name, text in {"chexpert": MIMIC_LABELS, "split": SPLIT}.items():
        packed = gzip.compress(text.encode())
        (tmp_path / f"mimic-cxr-2.0.0-{name}.csv.gz").write_bytes(packed)
    return tmp_path


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


def test_mimic_images_come_by_patient_in_the_order_of_acquisition(mimic_folder: Path) -> None:
    records = read_dataset(mimic_folder)
    assert [r.image_id for r in records] == ["aa-3", "aa-2", "aa-1", "bb-1", "bb-2"]
    assert [r.view for r in records] == [View.PA, View.LATERAL, View.PA, View.AP, None]


def test_mimic_labels_are_those_of_the_study(mimic_folder: Path) -> None:
    records = read_dataset(mimic_folder)
    labels = {record.image_id: record.labels for record in records}
    assert [r.image_id for r in records if not r.labelled] == ["bb-2"]
    assert labels["aa-2"] == labels["aa-3"] == {"Consolidation": UNCERTAIN}
    assert labels["aa-1"] == {"No Finding": POSITIVE}
    assert labels["bb-1"] == {"Cardiomegaly": NEGATIVE}
    assert labels["bb-2"] == {}  # its study is not in the table
    assert label_origin(mimic_folder) == "mimic-cxr-2.0.0-chexpert.csv.gz"


def test_mimic_labels_of_the_other_labeler_are_read_by_naming_its_table(
    mimic_folder: Path,
) -> None:
    table = mimic_folder / "mimic-cxr-2.0.0-negbio.csv"
    table.write_text(MIMIC_LABELS.replace(",1.0", ",0.0"))
    assert {r.image_id: r.labels for r in read_dataset(table)}["aa-1"] == {"No Finding": NEGATIVE}
    assert label_origin(table) == table.name


def test_mimic_files_and_labels_of_its_reports_are_found_by_study(mimic_folder: Path) -> None:
    study = mimic_folder / "files" / "p10" / "p10000032" / "s51"
    image = touched(study / "aa-3.jpg")
    dicom = touched(study / "aa-2.dcm")
    records = read_dataset(mimic_folder)
    assert [record.path for record in records[:3]] == [image, dicom, None]
    joined = with_labels(records, {"s51": {"Mass": POSITIVE}})
    assert [record.image_id for record in joined] == ["aa-3", "aa-2"]


def test_mimic_without_a_table_of_labels_has_none_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "mimic-cxr-2.0.0-metadata.csv").write_text(METADATA)
    assert not any(record.labels for record in read_dataset(tmp_path))
    assert "without a table of labels" in label_origin(tmp_path)


def test_mimic_official_parts(mimic_folder: Path) -> None:
    parts = mimic_cxr.official_parts(mimic_folder, read_dataset(mimic_folder))
    assert parts == {"aa-1": "train", "bb-1": "validation"}


def test_openi_images_have_the_labels_of_their_report(tmp_path: Path) -> None:
    (tmp_path / "ecgen-radiology").mkdir()
    (tmp_path / "ecgen-radiology" / "7.xml").write_text(OPENI)
    image = touched(tmp_path / "NLMCXR_png" / "CXR7_IM-1_0001.png")
    first, second = read_dataset(tmp_path)
    assert (first.path, second.path) == (image, None)
    assert (first.patient_id, first.study_id) == ("CXR7", "CXR7")
    assert first.labels == second.labels == {"Effusion": POSITIVE, "Pneumothorax": NEGATIVE}
    assert label_origin(tmp_path).startswith("cxrloc label")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train.csv", TRAIN.replace("-1.0", "2.0"), "row 4: Cardiomegaly is '2.0'"),
        ("train.csv", TRAIN.replace("/patient00002/study1", "/2"), "row 4: Path"),
        ("train.csv", TRAIN.replace(",68,", ",old,"), "row 2: Age 'old'"),
        ("train.csv", TRAIN.replace("patient00002", "patient00001"), "row 4: .* twice"),
        ("mimic-cxr-2.0.0-metadata.csv", METADATA.replace("21800626", "?"), "row 2: StudyDate"),
        ("mimic-cxr-2.0.0-metadata.csv", METADATA.replace("ViewPosition", "View"), "no column"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(CxrlocError, match=message):
        read_dataset(tmp_path)
