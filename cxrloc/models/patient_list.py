"""The list of private patients beside a model's file, for training without a key to hash them.

The weights may then be passed on and the list kept. Where the list stands beside the weights, the
model's card names the patients as if it carried them; elsewhere it names nobody.
"""

from dataclasses import replace
from pathlib import Path

from cxrloc.files.csv_rows import csv_rows
from cxrloc.files.tables import read_table
from cxrloc.models.card import ModelCard
from cxrloc.text import from_csv

COLUMNS = ("patient", "part")
TRAINING, VALIDATION = "training", "validation"


def patient_list(model: Path) -> Path:
    """The file of the list beside a model's file.

    >>> patient_list(Path("out/model.safetensors")).name
    'model.patients.csv'
    """
    return model.with_suffix(".patients.csv")


def without_patients_beside(card: ModelCard) -> ModelCard:
    """The card as a file may hold it: without the patients that are listed beside."""
    if not card.patients_beside:
        return card
    return replace(card, training_patients=(), validation_patients=())


def write_patients_beside(model: Path, card: ModelCard) -> ModelCard:
    """Write the list if the card says that it stands beside; returns the card without the patients.

    Raises:
        CxrlocError: the list cannot be written.
    """
    if not card.patients_beside:
        return card
    with csv_rows(patient_list(model), COLUMNS) as add:
        for part, patients in (
            (TRAINING, card.training_patients),
            (VALIDATION, card.validation_patients),
        ):
            for patient in patients:
                add((patient, part))
    return without_patients_beside(card)


def with_patients_beside(model: Path, card: ModelCard) -> ModelCard:
    """The card with the patients of the list; the card itself where there is no list beside it.

    Raises:
        CxrlocError: the list is damaged.
    """
    path = patient_list(model)
    if not card.patients_beside or not path.is_file():
        return card
    table = read_table(path, needed=COLUMNS).columns
    rows = [*zip(table["patient"], table["part"], strict=True)]
    return replace(
        card,
        training_patients=tuple(from_csv(patient) for patient, part in rows if part == TRAINING),
        validation_patients=tuple(
            from_csv(patient) for patient, part in rows if part == VALIDATION
        ),
    )
