"""Options on how a classifier is scored, which `classify` and `compare` take."""

from enum import StrEnum
from typing import Annotated

import typer


class Unit(StrEnum):
    """What `classify` scores."""

    IMAGE = "image"
    STUDY = "study"
    PATIENT = "patient"


class Aggregation(StrEnum):
    """How the scores of a unit's images are combined to the unit's score."""

    MAX = "max"
    MEAN = "mean"


class Uncertain(StrEnum):
    """What an uncertain label means for the truth."""

    UNKNOWN = "unknown"
    NEGATIVE = "negative"


class NoFinding(StrEnum):
    """How the truth of No Finding is determined."""

    LABELS = "labels"
    OUTPUTS = "outputs"


class Group(StrEnum):
    """Groups of units that can be reported separately."""

    VIEW = "view"
    SEX = "sex"
    AGE = "age"


ByUnit = Annotated[Unit, typer.Option("--by", help="Unit that is scored.")]
Aggregate = Annotated[
    Aggregation,
    typer.Option(
        "--aggregation", help="How the scores of its images become the score of a study or patient."
    ),
]
