"""Comparison of a network that reads two views with two networks that read one view each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cxrloc.datasets.pairs import pairs_by_study
from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.comparison import Difference, Side, paired_differences
from cxrloc.evaluation.classification.populations import of_images
from cxrloc.evaluation.classification.units import (
    Aggregation,
    ScoredUnits,
    aligned,
    score_units,
)
from cxrloc.evaluation.resampling import Resampling
from cxrloc.types import Predictions, Record

INDIVIDUAL: Mapping[str, tuple[float, ...]] = {
    "individual, mean of probabilities": (0.0, 0.0, 1.0, 0.0),
    "individual, mean of AUCs": (0.5, 0.5, 0.0, 0.0),
}
"""Readings of Rubin et al. 2018, table 5, "Individual", as weights over frontal model, lateral
model, the mean of their probabilities, and DualNet. `Open:` the paper does not say which."""


def compare_two_views(
    frontal: ScoredUnits, lateral: ScoredUnits, dual: ScoredUnits, resampling: Resampling
) -> list[Difference]:
    """Differences, DualNet minus the separate models, on the studies that all three scored.

    Source: Rubin et al. 2018, section 7.2 and table 5. Scores are those of studies, one image of
    a view each. Both readings of "individual" are given, each with its own rows.

    Args:
        frontal: scores of the frontal model by study.
        lateral: scores of the lateral model by study.
        dual: scores of the two-view network by study.
        resampling: how intervals are made.
    """
    frontal, lateral, dual = aligned([frontal, lateral, dual])
    together = replace(frontal, scores=(frontal.scores + lateral.scores) / 2)
    models = [frontal, lateral, together, dual]
    dualnet = Side("DualNet", (0.0, 0.0, 0.0, 1.0))
    return [
        row
        for name, weights in INDIVIDUAL.items()
        for row in paired_differences(models, Side(name, weights), dualnet, resampling)
    ]


def paired_studies(
    runs: Sequence[Predictions],
    records: Sequence[Record],
    pairing: str = "first",
    aggregation: Aggregation = "max",
) -> list[ScoredUnits]:
    """Scores by study of the frontal images, of the lateral ones, and of their pairs.

    Source: Rubin et al. 2018, section 7.2: the separate models are applied "to the images from
    these studies". Other predictions are left out, for instance those of the frontal model for
    lateral images.

    Args:
        runs: of the frontal model, the lateral model and DualNet, which names its pairs by their
            frontal image.
        records: the data set that was predicted.
        pairing: which pairs of a study DualNet read, a name of `PAIRINGS`.
        aggregation: how several pairs of a study become its score.

    Raises:
        CxrlocError: DualNet predicted an image that is not the frontal image of a pair, or a model
            predicted no image of its view.
    """
    dual = runs[2]
    read = set(dual.image_ids)
    views = {record.view for record in records if record.image_id in read and record.view}
    pairs = [p for p in pairs_by_study(records, pairing, views) if p.frontal.image_id in read]
    frontal = {pair.frontal.image_id for pair in pairs}
    if alone := sorted(read - frontal):
        raise CxrlocError(
            f"image {alone[0]} and {len(alone) - 1} others of the two-view run are in no pair by "
            f"study ({pairing}): name the two-view run last, and the --pairing that it was run by "
            "(pairs out of a file are not compared)"
        )
    lateral = {pair.lateral.image_id for pair in pairs}
    kept = [
        of_images(run, names) for run, names in zip(runs, (frontal, lateral, read), strict=True)
    ]
    for view, run in zip(("frontal", "lateral"), kept, strict=False):
        if not run.image_ids:
            raise CxrlocError(
                f"the run of the {view} model has no {view} image of the {len(pairs)} pairs: name "
                "the frontal run first, the lateral one second"
            )
    return aligned([score_units(run, records, "study", aggregation) for run in kept])
