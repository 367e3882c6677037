"""Parts of a data set that share no patient."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cxrloc.errors import CxrlocError
from cxrloc.types import Label, Record

_WHOLE = 2**32


@dataclass(frozen=True, slots=True)
class SplitConfig:
    """How records are split into training, validation and test.

    Attributes:
        kind: a name of `SPLITS`. "official": the test part is the published test list, and the
            validation part is drawn from the other images by patient. "ratios": all three parts are
            drawn by patient. "resamplings": like "ratios", but drawn again for every fold
            (Baltruschat et al. 2019: folds 0 to 4). "image": drawn by image, so that patients leak
            from one part into another.
        ratios: shares of training, validation and test; for an official split only the ratio of
            the first two is used.
        fold: number of the part that is used for validation. The validation parts of different
            folds do not overlap (except for "resamplings"): with ratios 4 to 1, folds 0 to 4 form
            a cross-validation.
        seed: of the draw.
        folds: number of folds that are trained one by one (`cxrloc train --fold`) and scored
            together (`cxrloc classify --folds`); 0 if this is the only split.

    Raises:
        CxrlocError: a value is not allowed, or the folds would overlap.

    >>> SplitConfig("ratios", ratios=(4.0, 1.0, 0.0), fold=4, folds=5).fold
    4
    """

    kind: str = "official"
    ratios: tuple[float, ...] = (0.7, 0.1, 0.2)
    fold: int = 0
    seed: int = 0
    folds: int = 0

    def __post_init__(self) -> None:
        if self.kind not in SPLITS:
            raise CxrlocError(f"split {self.kind!r}: choose one of {', '.join(SPLITS)}")
        if len(self.ratios) != 3 or min(self.ratios) < 0 or not self.ratios[0]:
            raise CxrlocError(f"ratios {self.ratios}: three shares, of training above 0")
        if min(self.fold, self.folds) < 0 or 0 < self.folds <= self.fold:
            raise CxrlocError(f"fold {self.fold} of {self.folds}: they are numbered from 0")
        if (
            self.kind != "resamplings"
            and self.folds * (share := _validation_share(self)) > 1 + 1e-9
        ):
            raise CxrlocError(
                f"{self.folds} folds whose validation parts are {share:.0%} of "
                'training and validation overlap: take fewer, or kind = "resamplings"'
            )


LEAKS = "leaks_patients"
"""Name of the column in metrics.csv, and of the key in run.json, that mark a split by image."""


class Parts(NamedTuple):
    """The records of a data set in three parts; `leaking` says that parts share patients."""

    train: list[Record]
    validation: list[Record]
    test: list[Record]
    leaking: bool = False


def draw_patients(patient_ids: Iterable[str], share: float, seed: int) -> frozenset[str]:
    """About this share of the patients, drawn by a hash of seed and patient.

    Whether a patient is drawn does not depend on other patients. The part is therefore the same on
    every machine, and also if images are added or missing.

    >>> sorted(draw_patients(map(str, range(10)), share=0.3, seed=0))
    ['4', '6']
    """
    return frozenset(p for p in set(patient_ids) if _fraction(p, seed) < share)


def _by_patient(record: Record) -> str:
    return record.patient_id


def _by_image(record: Record) -> str:
    return record.image_id


SPLITS: dict[str, Callable[[Record], str]] = {
    "official": _by_patient,
    "ratios": _by_patient,
    "resamplings": _by_patient,
    "image": _by_image,
}
"""Kinds of split: the unit that is drawn."""


def split_records(
    records: Sequence[Record],
    config: SplitConfig,
    official: Mapping[str, str] | None = None,
    always_test: Iterable[str] = (),
) -> Parts:
    """Training, validation and test records.

    Args:
        records: a data set.
        config: how to split it.
        official: the published part of each image id: "train", "validation" or "test". If no image
            is in "validation", the validation part is drawn from "train". An image without a
            published part is in none of the three.
        always_test: patients who are always in the test part, such as those with boxes.

    Raises:
        CxrlocError: the data set has no official split although the configuration asks for it, or
            a patient is in two parts.
    """
    listed: Mapping[str, str] = {}
    if config.kind == "official":
        if official is None:
            raise CxrlocError("this data set has no official split: choose ratios or resamplings")
        listed = official
        records = [record for record in records if record.image_id in listed]
    unit, reserved = SPLITS[config.kind], frozenset(always_test)
    drawn_anew = f"fold {config.fold} " if config.kind == "resamplings" else ""
    share = _validation_share(config)
    low = 0.0 if drawn_anew else config.fold * share
    parts: dict[str, list[Record]] = {"train": [], "validation": [], "test": []}
    tested = config.ratios[2] / sum(config.ratios)
    has_validation = "validation" in listed.values()
    for record in records:
        drawn = _fraction(drawn_anew + unit(record), config.seed)
        part = listed.get(record.image_id, "test" if drawn < tested else "train")
        if record.patient_id in reserved:
            part = "test"
        elif part == "train" and not has_validation:
            drawn = _fraction(f"validation {drawn_anew}{unit(record)}", config.seed)
            part = "validation" if (drawn - low) % 1 < share else "train"
        parts[part].append(record)
    result = Parts(**parts, leaking=config.kind == "image")
    if not result.leaking:
        refuse_shared_patients(result)
    return result


def _validation_share(config: SplitConfig) -> float:
    """The share of validation in training and validation together."""
    return config.ratios[1] / (config.ratios[0] + config.ratios[1])


def refuse_shared_patients(parts: Parts) -> None:
    """Raise an error if a patient is in two parts.

    Raises:
        CxrlocError: names the parts and a patient.
    """
    owner: dict[str, str] = {}
    for name, records in zip(parts._fields, parts[:3], strict=False):
        for record in records:
            if owner.setdefault(record.patient_id, name) != name:
                raise CxrlocError(
                    f"patient {record.patient_id} is in {owner[record.patient_id]} and in {name}: "
                    "parts must not share patients"
                )


def prevalences(records: Iterable[Record], findings: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Per finding, the number of positive images and the number of positive or negative images.

    >>> record = Record("a", "1", "a", None, labels={"Mass": Label.POSITIVE})
    >>> prevalences([record], ["Mass", "Nodule"])
    {'Mass': (1, 1), 'Nodule': (0, 0)}
    """
    labels = [record.labels for record in records]
    return {
        finding: (
            sum(of_image.get(finding) is Label.POSITIVE for of_image in labels),
            sum(of_image.get(finding) in (Label.POSITIVE, Label.NEGATIVE) for of_image in labels),
        )
        for finding in findings
    }


def split_sha256(parts: Parts) -> str:
    """A hash of the images in each part; the order of the images does not matter.

    >>> split_sha256(Parts([], [], []))[:8]
    'e3b0c442'
    """
    lines = sorted(
        f"{name},{record.image_id}\n"
        for name, records in zip(parts._fields, parts[:3], strict=False)
        for record in records
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _fraction(text: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed} {text}".encode()).digest()
    return int.from_bytes(digest[:4]) / _WHOLE
