"""A localization metric as a function of patient weights, and its value with an interval."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from cxrloc.evaluation.localization.scored_pairs import ScoredPairs
from cxrloc.evaluation.resampling import Resampling, Statistic, bootstrap
from cxrloc.types import Measurement

ALL_FINDINGS = ("all findings",)
"""The one column of a metric that counts an image once for all of its findings; it has no mean."""


class Kind(NamedTuple):
    """What a number is.

    Attributes:
        metric: its name.
        at: its own parameter: an overlap, a tolerance in pixels, false positives per image.
        match: when a box counts as found, such as "iou >= 0.5"; empty where no box is asked for.
    """

    metric: str
    at: float | None = None
    match: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric of every finding, or several kinds of it with one divisor.

    Attributes:
        kinds: what the values are.
        values: of each kind and finding (findings of the first kind first), for every column of
            patient weights; 0 where nothing is counted.
        divisor: what is divided by, by patient; a finding without any is not defined.
        divided_by: the divisor in words.
        findings: names of the columns.
        threshold: of each finding's map (0 to 255) or detection score; NaN for none.
        chosen_on: who chose the threshold.
    """

    kinds: tuple[Kind, ...]
    values: Statistic
    divisor: Float[np.ndarray, "patient finding"]
    divided_by: str
    findings: tuple[str, ...]
    threshold: Float[np.ndarray, " finding"] | None = None
    chosen_on: str = ""


def ratio(
    numerator: Float[np.ndarray, "patient finding"],
    denominator: Float[np.ndarray, "patient finding"],
) -> Statistic:
    """The statistic: sum of the numerators over sum of the denominators, 0 where that is 0."""

    def values(
        weights: Float[np.ndarray, "patient resample"],
    ) -> Float[np.ndarray, "value resample"]:
        top, bottom = numerator.T @ weights, denominator.T @ weights
        return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)

    return values


def place_of(
    pairs: ScoredPairs, pair: Int[np.ndarray, " n"]
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Patient and finding of each pair."""
    image, finding = np.divmod(pair, len(pairs.findings))
    return pairs.patient[image], finding


def sums_by_patient(
    pairs: ScoredPairs,
    pair: Int[np.ndarray, " n"],
    values: Float[np.ndarray, "n *value"] | None = None,  # noqa: F821 (a shape)
) -> Float[np.ndarray, "patient finding *value"]:
    """How many of these pairs each patient has by finding, or the sum of their values."""
    values = np.ones(pair.size) if values is None else values
    sums = np.zeros((pairs.patients, len(pairs.findings), *values.shape[1:]))
    np.add.at(sums, place_of(pairs, pair), values)
    return sums


def measure(
    metrics: Sequence[Metric],
    scored: Bool[np.ndarray, " patient"],
    carries: Bool[np.ndarray, "patient class"],
    resampling: Resampling,
) -> list[Measurement]:
    """Values and intervals on the scored patients, a row per finding and one for their mean.

    All come from one bootstrap over patients, so rows may be compared resample by resample.
    The mean is over the findings on which the metric is defined, each with the same weight.

    Args:
        metrics: what to measure.
        scored: the patients that count; the others have weight 0.
        carries: findings that each patient has truth of, which every resample keeps.
        resampling: of the intervals.
    """
    defined = [metric.divisor[scored].sum(axis=0) > 0 for metric in metrics]

    def statistic(
        weights: Float[np.ndarray, "patient resample"],
    ) -> Float[np.ndarray, "value resample"]:
        everyone = np.zeros((scored.size, weights.shape[1]))
        everyone[scored] = weights
        rows = []
        for metric, known in zip(metrics, defined, strict=True):
            if known.any():
                values = metric.values(everyone).reshape(len(metric.kinds), known.size, -1)
                mean = values[:, known].mean(axis=1, keepdims=True)
                rows += [*np.concatenate([values[:, known], mean], axis=1)]
        return np.concatenate(rows)

    if not any(known.any() for known in defined):
        return []
    own = carries[scored]
    if resampling.resamples:
        sampled = bootstrap(statistic, own[:, own.any(axis=0)], resampling)
        value, low, high = sampled.estimate, sampled.low, sampled.high
    else:
        value = statistic(np.ones((len(own), 1)))[:, 0]
        low = high = np.full_like(value, np.nan)
    numbers = iter(np.stack([value, low, high], axis=1).tolist())
    rows: list[Measurement] = []
    for metric, known in zip(metrics, defined, strict=True):
        rows += _rows(metric, known, scored, numbers)
    return rows


def _rows(
    metric: Metric,
    known: Bool[np.ndarray, " finding"],
    scored: Bool[np.ndarray, " patient"],
    numbers: Iterator[list[float]],
) -> Iterator[Measurement]:
    """The rows of one metric out of value, low and high of each known finding and of the mean."""
    divisor = metric.divisor[scored]
    threshold = np.full(known.size, np.nan) if metric.threshold is None else metric.threshold
    columns = np.flatnonzero(known).tolist()
    for kind in metric.kinds if columns else ():
        for column in columns:
            yield Measurement(
                finding=metric.findings[column],
                **kind._asdict(),
                **_value_and_ends(next(numbers)),
                n=int((divisor[:, column] > 0).sum()),
                divisor=float(divisor[:, column].sum()),
                divided_by=metric.divided_by,
                threshold=_one(threshold[[column]]),
                chosen_on=metric.chosen_on,
            )
        mean = _value_and_ends(next(numbers))
        if metric.findings != ALL_FINDINGS:
            yield Measurement(
                finding="mean",
                **kind._asdict(),
                **mean,
                n=int((divisor > 0).any(axis=1).sum()),
                divisor=len(columns),
                divided_by="findings",
                averaged=tuple(metric.findings[column] for column in columns),
                threshold=_one(threshold[known]),
                chosen_on=metric.chosen_on,
            )


def _value_and_ends(numbers: list[float]) -> dict[str, Any]:
    value, low, high = numbers
    return {"value": value} if np.isnan(low) else {"value": value, "low": low, "high": high}


def _one(thresholds: Float[np.ndarray, " finding"]) -> float | None:
    """The threshold that all have; None where there is none, or several."""
    first = float(thresholds[0])
    return first if np.isfinite(first) and (thresholds == first).all() else None
