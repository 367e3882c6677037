"""Was the model trained on the patients it is scored on?"""

import re
from collections.abc import Collection, Iterable

from cxrloc.models.weights import hashed_patient
from cxrloc.types import Record

IMAGE_IDS = {"ChestX-ray14": re.compile(r"\d{8}_\d{3}")}
"""How the images of a data set are named."""


def contaminated_patients(
    records: Iterable[Record], training_patients: Collection[str]
) -> tuple[str, ...]:
    """Patients whose images trained the model, by the hashed ids that its weights carry.

    Scores on any of them are not held out, and every output must say so. An empty result says
    only that the weights name none of these patients.

    >>> record = Record("00000001_000", "1", "00000001_000", None)
    >>> contaminated_patients([record], {hashed_patient("1"), hashed_patient("2")})
    ('1',)
    """
    trained = frozenset(training_patients)
    patients = {record.patient_id for record in records}
    return tuple(sorted(patient for patient in patients if hashed_patient(patient) in trained))


def may_be_seen(image_id: str, data_sets: Iterable[str]) -> bool:
    """Whether an image is of a data set that a model may have been trained on, by its name.

    For published weights whose training part is lost.

    >>> may_be_seen("00000013_005", ["ChestX-ray14"]), may_be_seen("view1", ["ChestX-ray14"])
    (True, False)
    """
    patterns = (IMAGE_IDS[name] for name in data_sets if name in IMAGE_IDS)
    return any(pattern.fullmatch(image_id) for pattern in patterns)
