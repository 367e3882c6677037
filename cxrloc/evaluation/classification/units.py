"""The units that are scored: images, studies or patients, with their truth and scores.

Only this module turns predictions of images into scores of units, so that every later number has
a known unit.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from cxrloc.datasets.records import judges
from cxrloc.datasets.splits import draw_patients
from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.truth import ATTRIBUTES, truth_rank
from cxrloc.files.keys import keyed_patient
from cxrloc.types import Predictions, Record

Unit = Literal["image", "study", "patient"]
Aggregation = Literal["max", "mean"]
AGE_EDGES = (18, 40, 65)


@dataclass(frozen=True, slots=True, eq=False)
class ScoredUnits:
    """Truth and scores of the units that a classifier is judged on.

    Attributes:
        unit: "image", "study" or "patient".
        aggregation: how the images of a unit became its score: "max" or "mean".
        unit_ids: one per unit, in the order of the predictions.
        patient_ids: one per unit; the bootstrap and the splits draw patients, not units.
        patient: index of each unit's patient, numbered from 0 without gaps.
        findings: columns of the arrays.
        scores: probability per unit and finding.
        truth: whether the unit has the finding; False where it is not known.
        known: False where the label is uncertain or missing: the pair is left out.
        groups: "view", "sex" and "age" of each unit in words; "" where unknown.
    """

    unit: str
    aggregation: str
    unit_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    patient: Int[np.ndarray, " unit"]
    findings: tuple[str, ...]
    scores: Float[np.ndarray, "unit finding"]
    truth: Bool[np.ndarray, "unit finding"]
    known: Bool[np.ndarray, "unit finding"]
    groups: Mapping[str, tuple[str, ...]]


def score_units(
    predictions: Predictions,
    records: Sequence[Record],
    unit: Unit = "image",
    aggregation: Aggregation = "max",
) -> ScoredUnits:
    """Truth and scores per image, study or patient.

    A unit's score is the maximum (default) or the mean over its images (`Open:` Pham et al. 2019
    score studies and do not say how). A unit has a finding when one of its images has it;
    otherwise the finding is not known when the label of one image is uncertain or missing. Pairs
    of unit and finding that are not known are left out. A finding that a labelled record does not
    mention is negative (`Open:` the papers do not say), if its labels can name it. A finding that
    no record judges is left out of the units, so that it takes no rank from the others. An output
    named in `ATTRIBUTES` is judged by its rule there.

    Args:
        predictions: of images.
        records: the data set that was predicted; `under_rules` applies other rules of truth.
        unit: what is scored.
        aggregation: how the scores of a unit's images become its score.

    Raises:
        CxrlocError: an image is predicted twice, has no record, a score is not finite, or no record
            judges any of the findings.
    """
    table = _records_of(predictions, records)
    if not np.isfinite(predictions.probabilities).all():
        row, column = np.argwhere(~np.isfinite(predictions.probabilities))[0]
        raise CxrlocError(
            f"image {predictions.image_ids[row]}: the score of {predictions.findings[column]} "
            "is not finite; leave the image out or predict it again"
        )
    unit_ids = [getattr(record, f"{unit}_id") for record in table]
    outputs = predictions.findings
    judged = [column for column, finding in enumerate(outputs) if _is_judged(finding, records)]
    if not judged:
        raise CxrlocError(
            f"the labels know none of the predicted findings ({', '.join(outputs)}): give labels "
            "that have one of them"
        )
    findings = tuple(outputs[column] for column in judged)
    rank = np.array([[truth_rank(r, f, outputs) for f in findings] for r in table])
    scores = pd.DataFrame(predictions.probabilities[:, judged]).groupby(unit_ids, sort=False)
    ranks = pd.DataFrame(rank).groupby(unit_ids, sort=False).max()
    members: dict[str, list[Record]] = {}
    for unit_id, record in zip(unit_ids, table, strict=True):
        members.setdefault(unit_id, []).append(record)
    patient_ids = tuple(images[0].patient_id for images in members.values())
    return ScoredUnits(
        unit=unit,
        aggregation=aggregation,
        unit_ids=tuple(members),
        patient_ids=patient_ids,
        patient=np.unique(patient_ids, return_inverse=True)[1],
        findings=findings,
        scores=(scores.max() if aggregation == "max" else scores.mean()).to_numpy(float),
        truth=ranks.to_numpy() == 2,
        known=ranks.to_numpy() != 1,
        groups={
            "view": tuple(_views(images) for images in members.values()),
            "sex": tuple(_sex(images) for images in members.values()),
            "age": tuple(_age_group(images) for images in members.values()),
        },
    )


def unjudged_notes(predicted: Sequence[str], units: ScoredUnits) -> list[str]:
    """A note that names predicted findings of which no label says anything, if there are any."""
    lacking = ", ".join(finding for finding in predicted if finding not in units.findings)
    reason = "not judged, because the labels of these images do not name"
    return [f"{reason}: {lacking}"] if lacking else []


def _is_judged(finding: str, records: Sequence[Record]) -> bool:
    """Whether some record says something of a finding, or none is labelled at all."""
    return (
        finding in ATTRIBUTES
        or not any(record.labelled for record in records)
        or any(finding in record.labels or judges(record, finding) for record in records)
    )


def select_units(units: ScoredUnits, index: Int[np.ndarray, " chosen"]) -> ScoredUnits:
    """The units at the given indices, in the order of the indices."""
    return replace(
        units,
        unit_ids=tuple(units.unit_ids[i] for i in index),
        patient_ids=tuple(units.patient_ids[i] for i in index),
        patient=np.unique(units.patient[index], return_inverse=True)[1],
        scores=units.scores[index],
        truth=units.truth[index],
        known=units.known[index],
        groups={name: tuple(words[i] for i in index) for name, words in units.groups.items()},
    )


def split_units(
    units: ScoredUnits, share: float, seed: int
) -> tuple[ScoredUnits | None, ScoredUnits]:
    """The units of a tuning part with about this share of the patients, and all other units.

    Operating points are chosen and calibration is fitted on the tuning part, which is not scored.
    Whether a patient is drawn depends on the seed and on the patient's own id alone.

    Raises:
        CxrlocError: one of the parts is empty.
    """
    if not share:
        return None, units
    drawn = draw_patients(units.patient_ids, share, seed)
    inside = np.array([patient in drawn for patient in units.patient_ids])
    if inside.all() or not inside.any():
        raise CxrlocError(
            f"--tuning {share:g} leaves {int(inside.sum())} of {inside.size} units to choose "
            "thresholds on: take another share, or more patients"
        )
    return select_units(units, np.flatnonzero(inside)), select_units(units, np.flatnonzero(~inside))


def are_probabilities(scores: Float[np.ndarray, "unit finding"]) -> bool:
    """Whether all scores lie in [0, 1]; logits and percentages, for example, do not."""
    return bool(((scores >= 0) & (scores <= 1)).all())


def hide_patients(units: ScoredUnits) -> ScoredUnits:
    """The units, with unit ids replaced by names that do not identify a patient.

    Only units that are patients are renamed.
    """
    if units.unit != "patient":
        return units
    return replace(units, unit_ids=tuple(map(keyed_patient, units.unit_ids)))


def aligned(runs: Sequence[ScoredUnits]) -> list[ScoredUnits]:
    """The runs, reduced to their shared units and findings, in the order of the first run.

    Raises:
        CxrlocError: the runs have no unit or no finding in common, or other kinds of units.
    """
    first = runs[0]
    if any((run.unit, run.aggregation) != (first.unit, first.aggregation) for run in runs):
        raise CxrlocError("runs to compare must be scored by the same unit and aggregation")
    shared = set(first.unit_ids).intersection(*(run.unit_ids for run in runs))
    findings = [f for f in first.findings if all(f in run.findings for run in runs)]
    if not shared or not findings:
        raise CxrlocError(
            f"the runs have {len(shared)} {first.unit}s and {len(findings)} findings in common: "
            "predict the same data set with models that share findings"
        )
    order = [unit_id for unit_id in first.unit_ids if unit_id in shared]
    cut = []
    for run in runs:
        place = {unit_id: index for index, unit_id in enumerate(run.unit_ids)}
        chosen = select_units(run, np.array([place[unit_id] for unit_id in order]))
        columns = [run.findings.index(finding) for finding in findings]
        cut.append(
            replace(
                chosen,
                findings=tuple(findings),
                scores=chosen.scores[:, columns],
                truth=chosen.truth[:, columns],
                known=chosen.known[:, columns],
            )
        )
    return cut


def refuse_shared_patients(tuning: ScoredUnits, judged: ScoredUnits, what: str) -> None:
    """Raise an error if the tuning part and the judged part share a patient.

    Raises:
        CxrlocError: a patient is in both parts.
    """
    shared = set(tuning.patient_ids) & set(judged.patient_ids)
    if shared:
        raise CxrlocError(
            f"{what} must be fitted on other patients, but {len(shared)} patients are in both "
            "parts: split them by patient"
        )


def _records_of(predictions: Predictions, records: Sequence[Record]) -> list[Record]:
    twice = [name for name, n in Counter(predictions.image_ids).items() if n > 1]
    if twice:
        raise CxrlocError(f"image {twice[0]} is predicted twice: keep one row per image")
    by_image = {record.image_id: record for record in records}
    unknown = [name for name in predictions.image_ids if name not in by_image]
    if unknown:
        raise CxrlocError(
            f"image {unknown[0]} and {len(unknown) - 1} others are predicted but not in the data "
            "set: give the data set that was predicted"
        )
    return [by_image[name] for name in predictions.image_ids]


def _views(images: Sequence[Record]) -> str:
    return "+".join(sorted({image.view for image in images if image.view is not None}))


def _sex(images: Sequence[Record]) -> str:
    return next((image.sex.value for image in images if image.sex is not None), "")


def _age_group(images: Sequence[Record]) -> str:
    """Years of age at the earliest of the images, in the groups between `AGE_EDGES`."""
    ages = [image.age_years for image in images if image.age_years is not None]
    if not ages:
        return ""
    index = int(np.searchsorted(AGE_EDGES, min(ages), side="right"))
    if index == len(AGE_EDGES):
        return f"{AGE_EDGES[-1]}+"
    low = AGE_EDGES[index - 1] if index else 0
    return f"{low}-{AGE_EDGES[index] - 1}"
