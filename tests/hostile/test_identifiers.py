"""No output of any command holds a patient's id or name, unless `--patient-ids` asks for it.

The exception are DICOM objects (`heatmap --write sr,...`): an archive files them by the patient.
"""

import csv
import zipfile
from pathlib import Path

import pytest
from pydicom import dcmread
from typer.testing import Result

from cxrloc.phantom import write_phantoms
from tests.pipeline.tiny_training import run

pytestmark = pytest.mark.slow

SECRET = "HOSPITAL"
FINDINGS = ("Atelectasis", "Cardiomegaly", "Effusion", "Mass")
IMAGES = 12


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DICOM files whose tags name patients, and tables that name them too; file names do not."""
    folder = tmp_path_factory.mktemp("identifiers")
    write_phantoms(folder / "chests", n=IMAGES, seed=3, size=64, file_format="dicom")
    (folder / "images").mkdir()
    rows, readings = [], []
    for number, path in enumerate(sorted((folder / "chests/images").iterdir())):
        patient = f"{SECRET}-{number // 2}"
        header = dcmread(path)
        header.PatientID, header.PatientName = patient, f"{SECRET}^Jane"
        header.AccessionNumber = header.StudyID = f"{SECRET}{number}"
        header.save_as(folder / f"images/{number}.dcm")
        labels = [(number + k) // 2 % 2 for k in range(len(FINDINGS))]
        rows.append([number, patient, "PA", "F" if number % 2 else "M", 50, *labels])
        readings += [[reader, patient, *labels] for reader in ("A", "B") if number % 2]
    head = ["image", "patient", "view", "sex", "age", *FINDINGS]
    write(folder / "labels.csv", head, rows)
    write(folder / "readings.csv", ["reader", "patient", *FINDINGS], readings)
    boxes = [[number, FINDINGS[number % 4], 10, 12, 40, 50] for number in range(IMAGES)]
    write(folder / "boxes.csv", ["image", "finding", "x_min", "y_min", "x_max", "y_max"], boxes)
    return folder


def write(path: Path, head: list[str], rows: list[list]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])


def places_of_ids(done: Result, out: Path) -> list[str]:
    """Streams and files of a run in which a patient is named; compressed files are unpacked."""
    assert done.exit_code == 0, done.output
    found = [name for name in ("stdout", "stderr") if SECRET in getattr(done, name)]
    for path in out.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".npz":
                with zipfile.ZipFile(path) as archive:
                    content = b"".join(archive.read(name) for name in archive.namelist())
            found += [path.name] * (SECRET.encode() in content)
    return found


def command(place: Path, name: str, untrained: Path) -> list[str | Path]:
    images, labels = place / "images", ("--labels", place / "labels.csv")
    model = ("--model", untrained)
    few = (*model, "--resamples", "20", "--html")
    by_patient = ("--by", "patient", "--operating-point", "0.3")
    readings = ("--readings", place / "readings.csv")
    return {
        "heatmap": ["heatmap", images, *model, "--save-maps"],
        "bench": ["bench", place / "boxes.csv", "--image-dir", images, *labels, *few],
        "by image": ["classify", images, *labels, *few],
        "by patient": ["classify", images, *labels, *few, *by_patient, *readings],
        "by patient, named": ["classify", images, *labels, *few, *by_patient, "--patient-ids"],
    }[name]


@pytest.mark.parametrize("name", ["heatmap", "bench", "by image", "by patient"])
def test_no_output_names_a_patient(
    place: Path, tmp_path: Path, untrained_model: Path, name: str
) -> None:
    done = run(*command(place, name, untrained_model), "--out", tmp_path)
    assert places_of_ids(done, tmp_path) == []


def test_patients_are_named_where_it_is_asked_for(
    place: Path, tmp_path: Path, untrained_model: Path
) -> None:
    # The check of the tests above can fail.
    done = run(*command(place, "by patient, named", untrained_model), "--out", tmp_path)
    assert "labels.csv" in places_of_ids(done, tmp_path)
