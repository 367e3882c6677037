"""Checks whether a model was trained on the patients on whom it is scored."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cxrloc.errors import CxrlocError
from cxrloc.files.keys import KEY
from cxrloc.models.card import card_patients, needs_key
from cxrloc.models.model import Model
from cxrloc.models.provenance import data_sets_of
from cxrloc.types import Record

NOT_HELD_OUT = "not held out (--allow-contaminated)"
NOT_CHECKABLE = "contamination not checkable"
LEAK = "split by image: some of these patients trained the model"


@dataclass(frozen=True, slots=True)
class Contamination:
    """Scored patients on whom a model was also trained, as far as they are known.

    Attributes:
        patients: their ids.
        remarks: sentences for every output: how many they are, and what cannot be checked.
        count: their number as run cards have it, "unknown" where a model does not name whom it
            was trained on, or no model is scored.
        leaked: those of the patients whom a split by image put into both parts.
    """

    patients: frozenset[str] = frozenset()
    remarks: tuple[str, ...] = ()
    count: int | str = "unknown"
    leaked: frozenset[str] = frozenset()

    def leak_warnings(self, records: Sequence[Record]) -> dict[str, int]:
        """A warning about the leaked patients, with the number of their records."""
        count = sum(record.patient_id in self.leaked for record in records)
        return {LEAK: count} if self.leaked else {}


def check_contamination(
    models: Sequence[Model],
    records: Sequence[Record],
    data_sets: Collection[str],
    allowed: bool = False,
) -> Contamination:
    """The patients on whom models were trained and are to be scored.

    Args:
        models: the models that are scored.
        records: the records on which the models are scored.
        data_sets: names of the data set; patients of another data set count as different persons,
            even if their ids are equal.
        allowed: go on if there are such patients; the remarks then say so.

    Raises:
        CxrlocError: there are such patients and `allowed` is false; the message names the model and
            the first of the patients, and says what to do.
    """
    found: set[str] = set()
    remarks = []
    for model in models:
        card = model.card
        if not card.training_patients:
            beside = " but in a list that is not beside it" if card.patients_beside else ""
            remarks.append(
                f"{NOT_CHECKABLE}: {card.name} does not name the patients that trained it{beside}"
            )
            continue
        card_data_sets = data_sets_of(card)
        if card_data_sets and data_sets and not {*card_data_sets} & {*data_sets}:
            continue
        if needs_key(card):
            remarks.append(
                f"{NOT_CHECKABLE}: {card.name} names private patients by keyed hashes, "
                f"and the key is not in the environment ({KEY})"
            )
        patients = contaminated_patients(records, card.training_patients)
        if patients and not allowed:
            raise CxrlocError(
                f"{card.name} was trained on {len(patients)} of these patients "
                f"({', '.join(patients[:3])}, ...): its scores here would mean nothing; score "
                "other patients (of ChestX-ray14, classify takes --split test), give the data set "
                "a name of its own if these are other people (--dataset NAME), or take "
                "--allow-contaminated, which every output then says"
            )
        if patients:
            remarks.append(
                f"{NOT_HELD_OUT}: {card.name} was trained on {len(patients)} of the scored patients"
            )
            found |= {*patients}
    known = bool(models) and all(
        model.card.training_patients and not needs_key(model.card) for model in models
    )
    return Contamination(frozenset(found), tuple(remarks), len(found) if known else "unknown")


def check_with_leaks(
    models: Sequence[Model],
    by_image: Sequence[Model],
    records: Sequence[Record],
    data_sets: Collection[str],
    allowed: bool,
) -> Contamination:
    """Scored patients who also trained a model, with those whom a split by image allows.

    Args:
        models: the models that are scored.
        by_image: those of the models that are scored on their own test part, and whose split put
            images of one patient into both the training and the test part. This overlap is
            intended.
        records: as for `check_contamination`.
        data_sets: likewise.
        allowed: likewise.

    Raises:
        CxrlocError: as `check_contamination`, for a model without a split by image.
    """
    others = [model for model in models if model not in by_image]
    found = check_contamination(others, records, data_sets, allowed)
    leaked = check_contamination(by_image, records, data_sets, allowed=True).patients
    counts = [found.count] * bool(others) + [len(leaked)] * bool(by_image)
    known = bool(counts) and "unknown" not in counts
    patients = found.patients | leaked
    return Contamination(
        patients,
        (LEAK,) * bool(leaked) + found.remarks,
        len(patients) if known else "unknown",
        leaked,
    )


def contamination_of_card(name: str, card: Mapping[str, Any]) -> list[str]:
    """What the card of a run (its `run.json`) says of scored patients who trained its model.

    Without a model, as for probabilities of another program, nothing is said. The card of a
    comparison has the sentences of its runs among its notes.

    >>> contamination_of_card("a", {"contaminated_patients": 3})
    ['not held out (--allow-contaminated): the model of a was trained on 3 of the scored patients']
    >>> contamination_of_card("a", {"contaminated_patients": "unknown", "model": {}})
    ['contamination not checkable: the model of a may have been trained on the scored patients']
    """
    count = card.get("contaminated_patients")
    if count is None:
        notes = card.get("notes", [])
        return [note for note in notes if note.startswith((NOT_HELD_OUT, NOT_CHECKABLE))]
    if isinstance(count, int):
        trained = f"{NOT_HELD_OUT}: the model of {name} was trained on {count}"
        return [f"{trained} of the scored patients"] if count else []
    unknown = f"{NOT_CHECKABLE}: the model of {name} may have been trained on the scored patients"
    return [] if card.get("model") is None else [unknown]


def contaminated_patients(
    records: Iterable[Record], training_patients: Collection[str]
) -> tuple[str, ...]:
    """Patients whose images trained the model, according to the list in its card.

    Ids are compared as they are written and by their key (`identifiers.patient_key`): "1.0" and
    "00000001" are patient 1. An empty result does not prove that there is no overlap; it says only
    that the weights name none of these patients.

    >>> record = Record("00000001_000", "1.0", "00000001_000", None)
    >>> contaminated_patients([record], {"1", "2"})
    ('1.0',)
    """
    trained = frozenset(training_patients)
    patients = {record.patient_id for record in records}
    return tuple(sorted(p for p in patients if not trained.isdisjoint(card_patients(p))))
