"""Selections of the images, units and findings that are scored."""

from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Int

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.evaluation.classification.units import ScoredUnits, select_units
from cxrloc.findings import OTHER_OUTPUTS, spelled_as
from cxrloc.inference.image_sets import ImageSet, with_records
from cxrloc.types import Predictions, Record, View

PROJECTIONS: dict[str, Callable[[View], bool]] = {
    "PA": lambda view: view == View.PA,
    "AP": lambda view: view == View.AP,
    "frontal": lambda view: view != View.LATERAL,
    "lateral": lambda view: view == View.LATERAL,
}
"""Names of projections, with the rule that tells whether a view belongs to the projection."""


def of_projection(records: Iterable[Record], projection: str) -> list[Record]:
    """The records whose image is of a projection; images of unknown view are left out.

    Raises:
        UsageError: there is no such projection.
        CxrlocError: no image has this projection.
    """
    if projection not in PROJECTIONS:
        raise UsageError(f"--projection {projection}: choose from {', '.join(PROJECTIONS)}")
    every = list(records)
    kept = [r for r in every if r.view is not None and PROJECTIONS[projection](r.view)]
    if not kept:
        unknown = sum(record.view is None for record in every)
        raise CxrlocError(
            f"--projection {projection}: none of {len(every)} images is of it "
            f"({unknown} are of unknown view)"
        )
    return kept


def images_of_projection(image_set: ImageSet, projection: str) -> ImageSet:
    """The images of a projection; all of them if `projection` is empty.

    Raises:
        UsageError, CxrlocError: as `of_projection`.
    """
    if not projection:
        return image_set
    kept = of_projection(image_set.records, projection)
    return with_records(image_set._replace(name=f"{image_set.name}, {projection} images"), kept)


def of_findings(predictions: Predictions, findings: Sequence[str]) -> Predictions:
    """The predictions of the named findings, in the order of the names; all if none is named.

    Raises:
        UsageError: a finding is not predicted.
    """
    if not findings:
        return predictions
    names = list(dict.fromkeys(spelled_as(name, predictions.findings) for name in findings))
    if missing := [name for name in names if name not in predictions.findings]:
        raise UsageError(
            f"--finding {missing[0]}: it is not predicted; choose from "
            f"{', '.join(predictions.findings)}"
        )
    columns = [predictions.findings.index(name) for name in names]
    chosen = predictions.probabilities[:, columns]
    return Predictions(predictions.image_ids, tuple(names), chosen)


def of_images(predictions: Predictions, names: Collection[str] | None) -> Predictions:
    """The predictions of the named images; all of them if `names` is None."""
    if names is None:
        return predictions
    rows = [row for row, name in enumerate(predictions.image_ids) if name in names]
    image_ids = tuple(predictions.image_ids[row] for row in rows)
    return Predictions(image_ids, predictions.findings, predictions.probabilities[rows])


def label_counts(units: ScoredUnits) -> Int[np.ndarray, " unit"]:
    """The number of scored labels of each unit; No Finding counts as one, view and sex do not.

    Uncertain labels do not count.
    """
    labels = [finding not in OTHER_OUTPUTS for finding in units.findings]
    return np.asarray((units.truth & units.known)[:, labels].sum(axis=1), dtype=int)


POPULATIONS: dict[str, Callable[[Int[np.ndarray, " unit"]], Bool[np.ndarray, " unit"]]] = {
    "all": lambda labels: labels >= 0,
    "single-label": lambda labels: labels == 1,
    "multi-label": lambda labels: labels >= 2,
}
"""Names of populations, with the rule that selects units by their number of labels.

Dong et al. 2017 score table II on images with one label (section V.C) and lists of findings on
images with several (section V.D). Their label "normal" is No Finding here.
"""


def select_population(units: ScoredUnits, population: str) -> ScoredUnits:
    """The units of a population, a name of `POPULATIONS`.

    Raises:
        UsageError: there is no such population.
        CxrlocError: no unit is in it.
    """
    if population not in POPULATIONS:
        raise UsageError(f"--population {population}: choose from {', '.join(POPULATIONS)}")
    kept = np.flatnonzero(POPULATIONS[population](label_counts(units)))
    if not kept.size:
        raise CxrlocError(
            f"--population {population}: none of {len(units.unit_ids)} units is in it"
        )
    return select_units(units, kept)
