import gzip
from pathlib import Path

import pytest

from cxrloc.datasets import label_origin, mimic_cxr, read_dataset
from cxrloc.datasets.mimic_cxr import NO_ROW
from cxrloc.datasets.report_labels import with_labels
from cxrloc.errors import CxrlocError
from cxrloc.findings import CHEXPERT14
from cxrloc.types import Label, View
from tests.datasets.layout_files import touched

POSITIVE, NEGATIVE, UNCERTAIN = Label.POSITIVE, Label.NEGATIVE, Label.UNCERTAIN
OBSERVATIONS = ",".join(CHEXPERT14)
BLANK = "," * (len(CHEXPERT14) - 1)
"""Cells of a row that mentions nothing."""

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


@pytest.fixture
def mimic_folder(tmp_path: Path) -> Path:
    (tmp_path / "mimic-cxr-2.0.0-metadata.csv").write_text(METADATA)
    for name, text in {"chexpert": MIMIC_LABELS, "split": SPLIT}.items():
        packed = gzip.compress(text.encode())
        (tmp_path / f"mimic-cxr-2.0.0-{name}.csv.gz").write_bytes(packed)
    return tmp_path


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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (METADATA.replace("21800626", "?"), "row 2: StudyDate"),
        (METADATA.replace("21800626", "2180_0626"), "row 2: StudyDate is '2180_0626', not a"),
        (METADATA.replace("ViewPosition", "View"), "no column"),
        (METADATA.replace("10000764", "who"), "row 5: subject_id 'who'"),
        (METADATA.replace("bb-1", "../bb-1"), "row 5: '../bb-1' cannot name"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "mimic-cxr-2.0.0-metadata.csv").write_text(content)
    with pytest.raises(CxrlocError, match=message):
        read_dataset(tmp_path)


def labelled(folder: Path, labels: str) -> Path:
    (folder / "mimic-cxr-2.0.0-metadata.csv").write_text(METADATA)
    (folder / "mimic-cxr-2.0.0-chexpert.csv").write_text(labels)
    return folder


@pytest.mark.parametrize(("subject", "study"), [("10000032.0", "52.0"), ("p10000032", "s52")])
def test_labels_join_however_their_table_writes_the_ids(
    tmp_path: Path, subject: str, study: str
) -> None:
    labels = f"subject_id,study_id,{OBSERVATIONS}\n{subject},{study},1.0{BLANK}\n"
    records = {record.image_id: record for record in read_dataset(labelled(tmp_path, labels))}
    assert records["aa-1"].labels == {"No Finding": POSITIVE}
    assert not records["bb-1"].labelled
    assert records["bb-1"].warnings == (NO_ROW,)


def test_a_table_that_joins_nothing_shows_an_id_of_each_side(tmp_path: Path) -> None:
    labels = f"subject_id,study_id,{OBSERVATIONS}\n7,8,1.0{BLANK}\n"
    with pytest.raises(CxrlocError, match=r"none of its 1 studies .* as s8 of p7 there and s51"):
        read_dataset(labelled(tmp_path, labels))


def test_two_rows_of_a_study_that_contradict_each_other_are_an_error(tmp_path: Path) -> None:
    row = f"10000032,52,1.0{BLANK}\n"
    once = f"subject_id,study_id,{OBSERVATIONS}\n{row}"
    assert len(read_dataset(labelled(tmp_path, once + row))) == 5
    with pytest.raises(CxrlocError, match="row 3: study 52 has other labels"):
        read_dataset(labelled(tmp_path, once + row.replace("1.0", "0.0")))
