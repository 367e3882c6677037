"""A network that reads two views at once, against two networks that read one view each."""

from collections.abc import Mapping
from dataclasses import replace

from cxrloc.evaluation.classification.comparison import Difference, Side, paired_differences
from cxrloc.evaluation.classification.units import ScoredUnits, aligned
from cxrloc.evaluation.resampling import Resampling

INDIVIDUAL: Mapping[str, tuple[float, ...]] = {
    "individual, mean of probabilities": (0.0, 0.0, 1.0, 0.0),
    "individual, mean of AUCs": (0.5, 0.5, 0.0, 0.0),
}
"""Readings of Rubin et al. 2018, table 5, "Individual", as weights over frontal model, lateral
model, the mean of their probabilities, and DualNet. `Open:` the paper does not say which."""


def compare_two_views(
    frontal: ScoredUnits, lateral: ScoredUnits, dual: ScoredUnits, resampling: Resampling
) -> list[Difference]:
    """DualNet minus the separate models on the studies that all three scored.

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
