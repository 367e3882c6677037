"""Intervals by bootstrap over patients, for any statistic of patient counts.

Images of one patient are not independent, so patients are drawn, not images. A resample is a
column of counts: how often each patient was drawn. A statistic takes many columns at once and
gives one column of values for each, so resamples need not be built one patient at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

Statistic = Callable[[Float[np.ndarray, "patient resample"]], Float[np.ndarray, "value resample"]]
"""Values of a statistic for each column of patient counts."""

_COLUMNS = 250
"""Resamples computed at once: keeps memory flat at no cost in speed."""


@dataclass(frozen=True, slots=True)
class Resampling:
    """How intervals are made.

    Attributes:
        resamples: bootstrap resamples; 0 for no intervals.
        seed: of the random generator.
        level: coverage of the intervals.
    """

    resamples: int = 1000
    seed: int = 0
    level: float = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrap:
    """Estimates of several values with their intervals and distributions."""

    estimate: Float[np.ndarray, " value"]
    low: Float[np.ndarray, " value"]
    high: Float[np.ndarray, " value"]
    distribution: Float[np.ndarray, "value resample"]


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """The resamples of one group of patients.

    Attributes:
        patients: which patients are in the group; the others have weight 0 everywhere.
        weights: how often each patient is drawn; no columns where no intervals are asked for.
        varies: the patients whose weights differ between resamples (`varying_patients`).
        level: coverage of the intervals.
    """

    patients: Bool[np.ndarray, " patient"]
    weights: Int[np.ndarray, "patient resample"]
    varies: Bool[np.ndarray, " patient"]
    level: float


def rarest_class(carries: Bool[np.ndarray, "patient class"]) -> Int[np.ndarray, " patient"]:
    """Stratum of each patient: the class with the fewest carriers among those the patient carries.

    >>> rarest_class(np.array([[True, True], [True, False], [True, False]]))
    array([1, 0, 0])
    """
    carriers = np.where(carries, carries.sum(axis=0), carries.shape[0] + 1)
    return np.argmin(carriers, axis=1)


def varying_patients(carries: Bool[np.ndarray, "patient class"]) -> Bool[np.ndarray, " patient"]:
    """Patients who share their stratum with another patient (`resample_patients`).

    A patient who is alone in a stratum is in every resample, so an interval that rests on such
    patients would be as narrow as a point.

    >>> varying_patients(np.array([[True, True], [True, False], [True, False]]))
    array([False,  True,  True])
    """
    if not carries.size:
        return np.zeros(carries.shape[0], dtype=bool)
    strata = rarest_class(carries)
    return np.asarray(np.bincount(strata)[strata] > 1)


def resample_patients(
    carries: Bool[np.ndarray, "patient class"], resamples: int, seed: int
) -> Int[np.ndarray, "patient resample"]:
    """How often each patient is drawn in each resample, with every class kept.

    Patients are drawn with replacement within strata, so that a finding keeps its positives and its
    negatives. The stratum of a patient is the rarest class that the patient carries
    (`rarest_class`). A class can still be lost if its carriers are in the strata of rarer classes;
    such a resample is drawn again. The same resamples serve all findings and all models, so
    differences are paired.

    Args:
        carries: the classes of which each patient has an image; every class has a carrier.
        resamples: columns of the result.
        seed: equal seeds give equal counts.

    Raises:
        ValueError: a class has no carrier.

    >>> counts = resample_patients(np.ones((3, 1), dtype=bool), resamples=2, seed=0)
    >>> counts.sum(axis=0)
    array([3, 3])
    """
    if resamples and not carries.any(axis=0).all():
        raise ValueError("a class without a carrier is in no resample: leave it out")
    generator = np.random.default_rng(seed)
    strata = rarest_class(carries)
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    counts = np.zeros((carries.shape[0], resamples), dtype=np.int32)
    missing = np.arange(resamples)
    while missing.size:
        for patients in members:
            n = patients.size
            drawn = generator.integers(0, n, size=(missing.size, n))
            # Every resample has its own block of n cells, so one bincount counts the draws of all.
            cells = drawn + n * np.arange(missing.size)[:, None]
            tally = np.bincount(cells.ravel(), minlength=n * missing.size)
            counts[np.ix_(patients, missing)] = tally.reshape(missing.size, n).T
        kept = carries.T.astype(float) @ (counts[:, missing] > 0) > 0  # class resample
        missing = missing[~kept.all(axis=0)]
    return counts


def resample_group(
    carries: Bool[np.ndarray, "patient class"],
    patients: Bool[np.ndarray, " patient"],
    resampling: Resampling,
) -> Draws:
    """Resamples of a group of patients; every finding keeps at least one patient in each resample.

    Args:
        carries: findings that each patient has truth of.
        patients: the group.
        resampling: number, seed and level.
    """
    carried = carries[patients]
    carried = carried[:, carried.any(axis=0)]
    varies = np.zeros(patients.size, dtype=bool)
    if not carried.size:
        nothing = np.zeros((patients.size, resampling.resamples), dtype=np.int32)
        return Draws(patients, nothing, varies, resampling.level)
    weights = resample_patients(carried, resampling.resamples, resampling.seed)
    varies[patients] = varying_patients(carried)
    if not patients.all():
        of_group, weights = weights, np.zeros((patients.size, resampling.resamples), dtype=np.int32)
        weights[patients] = of_group
    return Draws(patients, weights, varies, resampling.level)


def bootstrap(
    statistic: Statistic, carries: Bool[np.ndarray, "patient class"], resampling: Resampling
) -> Bootstrap:
    """Estimates, intervals (`interval`) and bootstrap distributions of a statistic's values."""
    counts = resample_patients(carries, resampling.resamples, resampling.seed)
    estimate = statistic(np.ones((carries.shape[0], 1)))[:, 0]
    distribution = _in_chunks(statistic, counts)
    low, high = interval(distribution, resampling.level)
    return Bootstrap(estimate, low, high, distribution)


def interval(
    distribution: Float[np.ndarray, "... resample"], level: float
) -> Float[np.ndarray, "2 ..."]:
    """The interval of each value: quantiles of its distribution (the percentile bootstrap).

    The report page has the same rule for its sliders: `report_page/scripts/scoring.js`.

    Args:
        distribution: the values of all resamples along the last axis.
        level: coverage of the intervals.

    Returns:
        The lower ends and the upper ends.

    >>> interval(np.arange(101.0), 0.9)
    array([ 5., 95.])
    """
    tail = (1 - level) / 2
    return np.asarray(np.quantile(distribution, [tail, 1 - tail], axis=-1))


def two_sided_p(differences: Float[np.ndarray, " resample"]) -> float:
    """Bootstrap p-value of "the difference is 0": twice the smaller tail, never 0.

    p = min(1, 2 (1 + min(#{d <= 0}, #{d >= 0})) / (1 + resamples)).

    >>> two_sided_p(np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.1, 0.2, 0.3, -0.1]))
    0.4
    """
    smaller = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return min(1.0, 2 * (1 + smaller) / (1 + differences.size))


def _in_chunks(
    statistic: Statistic, counts: Int[np.ndarray, "patient resample"]
) -> Float[np.ndarray, "value resample"]:
    starts = range(0, counts.shape[1], _COLUMNS)
    return np.hstack([statistic(counts[:, i : i + _COLUMNS].astype(float)) for i in starts])
