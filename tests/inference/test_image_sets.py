from pathlib import Path

from cxrloc.datasets.boxes import CORNERS
from cxrloc.inference.image_sets import PHANTOM, DataOptions, data_warnings, read_images
from cxrloc.types import Record


def box_list(folder: Path, *images: str) -> Path:
    path = folder / "boxes.csv"
    rows = "".join(f"{image},Mass,1,2,30,40\n" for image in images)
    path.write_text(f"image,finding,{','.join(CORNERS)}\n{rows}")
    return path


def test_a_data_set_is_named_by_its_reader_its_images_or_its_user(tmp_path: Path) -> None:
    own = box_list(tmp_path, "a", "b")
    assert read_images(own).data_sets == {"boxes"}
    assert read_images(own, DataOptions("our hospital")).data_sets == {"our hospital"}
    assert read_images(box_list(tmp_path, "00000001_000")).data_sets == {"chestxray14"}
    assert read_images(None).data_sets == {PHANTOM}


def test_images_named_as_in_chestxray14_have_its_patients(tmp_path: Path) -> None:
    (record,) = read_images(box_list(tmp_path, "00000013_000")).records
    assert record.patient_id == "13"


def test_warnings_of_records_are_counted() -> None:
    records = [Record(name, name, name, None, warnings=("cut",)) for name in "ab"]
    assert data_warnings([*records, Record("c", "c", "c", None)]) == {"cut": 2}
