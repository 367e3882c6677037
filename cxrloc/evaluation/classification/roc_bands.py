"""Bands around ROC curves: an interval of the sensitivity at each false positive rate."""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from cxrloc.evaluation.classification.report_rows import few_patients_note
from cxrloc.evaluation.classification.unit_statistics import defined_findings, patient_classes
from cxrloc.evaluation.classification.units import ScoredUnits
from cxrloc.evaluation.resampling import Resampling, bootstrap, varying_patients

RATES = np.linspace(0, 1, 101)
"""False positive rates at which the bands are given."""

COLUMNS = ("finding", "false_positive_rate", "sensitivity_low", "sensitivity_high")


def roc_bands_frame(units: ScoredUnits, resampling: Resampling) -> pd.DataFrame:
    """`roc_bands.csv`: pointwise 95 % intervals of every defined finding's ROC curve.

    Source: vertical averaging over bootstrap samples (Fawcett 2006, section 8.1), here over
    patients. The coverage holds for each rate on its own, not for the whole curve. The frame is
    empty if there are no resamples or if no finding has both classes. A finding with fewer than 2
    patients in a class has no band, as its AUC has no interval.
    """
    frames = []
    classes = patient_classes(units)
    varies = varying_patients(classes)
    for column in defined_findings(units).tolist() if resampling.resamples else ():
        if few_patients_note(units, column, (True, False), varies):
            continue

        def statistic(
            counts: Float[np.ndarray, "patient resample"], column: int = column
        ) -> Float[np.ndarray, "value resample"]:
            known = units.known[:, column]
            weights = counts[units.patient[known]]
            return _sensitivities(units.truth[known, column], units.scores[known, column], weights)

        sampled = bootstrap(statistic, classes, resampling)
        rows = zip(RATES, sampled.low, sampled.high, strict=True)
        frames.append(pd.DataFrame([(units.findings[column], *row) for row in rows]))
    if not frames:
        return pd.DataFrame(columns=pd.Index(COLUMNS))
    return pd.concat(frames, ignore_index=True).set_axis(list(COLUMNS), axis=1)


def _sensitivities(
    truth: Bool[np.ndarray, " unit"],
    scores: Float[np.ndarray, " unit"],
    weights: Float[np.ndarray, "unit resample"],
) -> Float[np.ndarray, "rate resample"]:
    """Sensitivity at each of `RATES` for every weighted ROC curve, linear between its points."""
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.diff(scores[order], append=-np.inf) != 0
    origin = np.zeros((1, weights.shape[1]))
    curves = []
    for positive in (True, False):
        class_weights = np.where(truth[:, None] == positive, weights, 0.0)[order]
        total = np.cumsum(class_weights, axis=0)[last_of_ties]
        curves.append(np.concatenate([origin, total / total[-1]]))
    sensitivity, false_positive_rate = curves
    # Where the curve rises vertically, np.interp takes its upper end.
    columns = zip(false_positive_rate.T, sensitivity.T, strict=True)
    return np.stack([np.interp(RATES, x, y) for x, y in columns], axis=1)
