from pathlib import Path

import pytest

from cxrloc.datasets import READERS, layout_of, read_dataset
from cxrloc.datasets.chexpert import COLUMNS
from cxrloc.datasets.records import judges
from cxrloc.errors import CxrlocError
from tests.datasets.layout_files import written

CHESTX_DET = '[{"file_name": "1.png", "syms": [], "boxes": []}]'
VINDR = """image_id,rad_id,class_name,x_min,y_min,x_max,y_max
0a,R8,Pleural effusion,10.5,20,40,60
0a,R9,Pleural effusion,11,20,40,61
0b,R8,No finding,,,,
"""

CHEXPERT = f"{','.join(COLUMNS)}\npatient1/study1/view1_frontal.jpg,1{',' * 13}\n"


def test_of_several_annotation_files_one_must_be_named(tmp_path: Path) -> None:
    written(tmp_path / "annotations_train.csv", VINDR)
    written(tmp_path / "annotations_test.csv", VINDR)
    with pytest.raises(CxrlocError, match="name the one to read"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "reader"),
    [
        ("a.csv", VINDR, "vindr_cxr"),
        ("a.csv", VINDR.replace(",", ";"), "vindr_cxr"),
        ("a.csv", '"image_id","class_name","x_min","y_min","x_max","y_max"\n', "vindr_cxr"),
        ("a.csv", "\ufeffpatientId,x,y,width,height,Target\n", "rsna_pneumonia"),
        ("a.csv", "ImageId, EncodedPixels\n", "siim_pneumothorax"),
        ("a.csv", "image,finding,x,y,w,h\n", "boxes"),
        ("a.json", "\ufeff [", "chestx_det"),
        ("a.json", '{"a": {"img_size": [1, 2]}}', "chexlocalize"),
        ("a.json", '{"images": [], "categories": []}', "boxes"),
    ],
)
def test_a_file_is_recognised_by_what_is_in_it(
    tmp_path: Path, name: str, text: str, reader: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert layout_of(path) == (reader, path)


def test_a_table_of_another_kind_named_train_is_no_chexpert(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("image,score\na,1\n")
    assert layout_of(tmp_path)[0] == "boxes"


def test_every_reader_is_a_function_of_a_path_and_its_names_are_told_apart() -> None:
    assert all(callable(reader.read) for reader in READERS.values())
    names = [name for reader in READERS.values() for name in (*reader.folder, *reader.files)]
    assert len(names) == len({*names})


@pytest.mark.parametrize(
    ("name", "text", "judged", "unknown"),
    [
        ("l.csv", "patientId,x,y,width,height,Target\na,,,,,0\n", "Pneumonia", "Effusion"),
        ("l.csv", VINDR, "Effusion", "Hernia"),
        ("l.csv", VINDR, "Pneumothorax", "Pneumonia"),  # diagnoses are in another file
        ("l.json", CHESTX_DET, "Pneumothorax", "Edema"),
        ("l.csv", "image,finding,x,y,w,h\na,Mass,1,1,9,9\n", "Mass", "Effusion"),
        ("train.csv", CHEXPERT, "Support Devices", "Hernia"),
    ],
)
def test_a_data_set_judges_only_the_findings_of_its_vocabulary(
    tmp_path: Path, name: str, text: str, judged: str, unknown: str
) -> None:
    for record in read_dataset(written(tmp_path / name, text)):
        assert (judges(record, judged), judges(record, unknown)) == (True, False)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("b.csv", "image,finding,x_min,y_min,x_max,y_max\n"),
        ("b.json", '{"images": [], "categories": [], "annotations": []}'),
    ],
)
def test_a_file_without_any_image_is_an_error(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(CxrlocError, match=f"{name}: it lists no image"):
        read_dataset(tmp_path / name)
