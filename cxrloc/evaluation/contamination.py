"""Was the model trained on the patients it is scored on?"""

from collections.abc import Collection, Iterable

from cxrloc.models.model import hashed_patient
from cxrloc.types import Record


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
