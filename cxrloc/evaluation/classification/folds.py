"""Numbers of the folds of a resampling, as mean and spread over the folds.

Source: Baltruschat et al. 2019, tables 2 to 5.
"""

from collections.abc import Sequence

import pandas as pd

from cxrloc.evaluation.classification.classification_report import ClassificationReport
from cxrloc.evaluation.classification.tables import classification_frame


def spread_over_folds(
    folds: Sequence[pd.DataFrame], keys: Sequence[str], column: str
) -> pd.DataFrame:
    """One row per combination of keys: number of folds, and mean, sd, min and max of the column.

    The deviation is that of a sample (n - 1), and is empty for a single fold.
    """
    groups = pd.concat(folds).groupby(list(keys), sort=False)[column]
    table = groups.agg(folds="count", mean="mean", sd="std", min="min", max="max")
    return table.reset_index()


def mean_over_folds(folds: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The mean of every number, one row per run; folds without a number do not count for it."""
    return pd.concat(folds).groupby("run", sort=False).mean().reset_index()


def over_folds(reports: Sequence[ClassificationReport]) -> pd.DataFrame:
    """One row per finding and metric: folds that have it, mean, standard deviation, min and max.

    Numbers are those of all units together, not of groups.
    """
    frames = [classification_frame(report) for report in reports]
    numbers = [frame[frame["group"] == "all"].astype({"value": float}) for frame in frames]
    return spread_over_folds(numbers, ["metric", "finding"], "value")
