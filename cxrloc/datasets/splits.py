"""Parts of a data set that share no patient."""

import hashlib
from collections.abc import Iterable

_WHOLE = 2**32


def draw_patients(patient_ids: Iterable[str], share: float, seed: int) -> frozenset[str]:
    """About this share of the patients, drawn by a hash of seed and patient.

    Whether a patient is drawn depends on nobody else: the part stays the same when images are
    added or missing, and on every machine.

    >>> sorted(draw_patients(map(str, range(10)), share=0.3, seed=0))
    ['4', '6']
    """
    return frozenset(p for p in set(patient_ids) if _fraction(p, seed) < share)


def _fraction(patient_id: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed} {patient_id}".encode()).digest()
    return int.from_bytes(digest[:4]) / _WHOLE
