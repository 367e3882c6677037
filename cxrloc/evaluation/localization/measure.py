"""From metrics to measurements: every number of one run, with intervals from one bootstrap.

A `Metric` gives values for any weights of the patients. The bootstrap weights each patient by how
often the patient was drawn (`resampling.Draws`). All metrics of a group of patients share the same
resamples, so any two of their numbers can be compared resample by resample, as `difference` does.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from cxrloc.evaluation.measurement import Measurement
from cxrloc.evaluation.resampling import Draws, Statistic, interval

ALL_FINDINGS = ("all findings",)
"""The one column of a metric that counts an image once for all of its findings; it has no mean."""

TOO_FEW = "no interval: it rests on one patient, or on patients that no resample can exchange"

_COLUMNS = 250
"""Resamples computed at once: keeps memory flat at no cost in speed."""


class Kind(NamedTuple):
    """The meaning of a number: its metric, the metric's parameter and the match rule.

    Attributes:
        metric: its name.
        at: its own parameter: an overlap, a tolerance in pixels, false positives per image.
        match: when a box counts as found, such as "iou >= 0.5"; empty for metrics that do not ask
            for a box.
    """

    metric: str
    at: float | None = None
    match: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric of every finding, or several kinds of it with one divisor.

    Attributes:
        kinds: what the values are.
        values: function from patient weights to the values of each kind and finding (all findings
            of the first kind first), for every column of weights; 0 where nothing is counted. None:
            the metric is not defined, and `note` says why.
        divisor: what is divided by, for each patient and finding; a finding whose divisor is 0 for
            all patients is not defined.
        divided_by: the divisor in words.
        findings: names of the columns.
        threshold: threshold of each finding's map (0 to 255) or detection score; NaN for none.
        chosen_on: the patients on whom the threshold was chosen, in words.
        numerator: counts that are divided, if the value is a ratio of counts.
        subject: whose boxes or maps are measured, as in `Measurement`.
        group: the part of the images, as in `Measurement`.
        has_interval: whether an interval is computed.
        note: what a reader must know.
    """

    kinds: tuple[Kind, ...]
    values: Statistic | None
    divisor: Float[np.ndarray, "patient finding"]
    divided_by: str
    findings: tuple[str, ...]
    threshold: Float[np.ndarray, " finding"] | None = None
    chosen_on: str = ""
    numerator: Float[np.ndarray, "patient kind finding"] | None = None
    subject: str = ""
    group: str = "all"
    has_interval: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """A metric's values on one group of patients, and in every resample of it.

    Attributes:
        metric: what was computed.
        draws: the group and its resamples.
        known: findings on which the metric is defined, in the order of the values.
        estimate: value of each kind and known finding; the last value of a kind is the mean over
            findings.
        distribution: the same values in each resample.
    """

    metric: Metric
    draws: Draws
    known: tuple[int, ...]
    estimate: Float[np.ndarray, "kind column"]
    distribution: Float[np.ndarray, "kind column resample"]


def ratio(
    numerator: Float[np.ndarray, "patient *kind finding"],
    denominator: Float[np.ndarray, "patient finding"],
) -> Statistic:
    """The statistic "sum of the numerators / sum of the denominators", 0 where the divisor is 0.

    Numerators of several kinds share the denominator; the values are those of the first kind's
    findings, then of the next.
    """
    flat = numerator.reshape(len(numerator), -1)

    def values(
        weights: Float[np.ndarray, "patient resample"],
    ) -> Float[np.ndarray, "value resample"]:
        bottom = _weighted_sums(denominator, weights)
        top = _weighted_sums(flat, weights).reshape(-1, *bottom.shape)  # kind finding resample
        shares = np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
        return shares.reshape(-1, weights.shape[1])

    return values


def _weighted_sums(
    counts: Float[np.ndarray, "patient value"], weights: Float[np.ndarray, "patient resample"]
) -> Float[np.ndarray, "value resample"]:
    if weights.shape[1] == 1:
        # A sum in the order of the patients, not a matrix product, so that no digit of an estimate
        # depends on the BLAS library.
        return np.asarray((counts * weights).sum(axis=0)[:, None])
    return counts.T @ weights


def mean_over_findings(
    values: Float[np.ndarray, "kind finding *resample"],
) -> Float[np.ndarray, "kind 1 *resample"]:
    """The mean over the findings, each with the same weight, as for all means of localization.

    The `Measurement` of a mean names the findings that it is over (`averaged`).
    """
    return np.asarray(values.mean(axis=1, keepdims=True))


def sample(metrics: Iterable[Metric], draws: Draws) -> list[Sampled]:
    """Values of every metric on the group, and in each of its resamples."""
    return [_sample(metric, draws) for metric in metrics]


def difference(one: Sampled, other: Sampled, subject: str) -> Sampled:
    """The first minus the second, also in each resample; both have the same kinds and findings."""
    return replace(
        one,
        metric=replace(one.metric, subject=subject, numerator=None),
        estimate=one.estimate - other.estimate,
        distribution=one.distribution - other.distribution,
    )


def measure(metrics: Iterable[Metric], draws: Draws) -> list[Measurement]:
    """A measurement per kind and finding, and one for their mean."""
    return [row for each in sample(metrics, draws) for row in measurements(each)]


def measurements(sampled: Sampled) -> Iterator[Measurement]:
    """The rows of one metric: kind by kind its findings, then their mean."""
    metric, draws = sampled.metric, sampled.draws
    if not sampled.known:
        return
    columns = list(sampled.known)
    varies = _with_interval(sampled)
    shown = np.array([*varies, varies.any()]) if metric.has_interval else np.zeros(varies.size + 1)
    low, high = _ends(sampled, shown.astype(bool))
    for k, kind in enumerate(metric.kinds):
        for place, column in enumerate(columns):
            divisor = metric.divisor[draws.patients, column]
            top = metric.numerator
            lacks_interval = metric.has_interval and draws.weights.size and not varies[place]
            yield Measurement(
                finding=metric.findings[column],
                metric=kind.metric,
                at=kind.at,
                match=kind.match,
                value=_number(sampled.estimate[k, place]),
                low=_number(low[k, place]),
                high=_number(high[k, place]),
                subject=metric.subject,
                group=metric.group,
                n=int((divisor > 0).sum()),
                numerator=None if top is None else float(top[draws.patients, k, column].sum()),
                divisor=float(divisor.sum()),
                divided_by=metric.divided_by,
                threshold=_one_threshold(metric, [column]),
                chosen_on=metric.chosen_on,
                note=metric.note or (TOO_FEW if lacks_interval else ""),
            )
        if metric.findings != ALL_FINDINGS:
            yield Measurement(
                finding="mean",
                metric=kind.metric,
                at=kind.at,
                match=kind.match,
                value=_number(sampled.estimate[k, -1]),
                low=_number(low[k, -1]),
                high=_number(high[k, -1]),
                subject=metric.subject,
                group=metric.group,
                n=int((metric.divisor[draws.patients] > 0).any(axis=1).sum()),
                divisor=len(columns),
                divided_by="findings",
                threshold=_one_threshold(metric, columns),
                chosen_on=metric.chosen_on,
                averaged=tuple(metric.findings[column] for column in columns),
                note=metric.note or _note_of_mean(sampled, varies),
            )


def _sample(metric: Metric, draws: Draws) -> Sampled:
    known = np.flatnonzero(metric.divisor[draws.patients].sum(axis=0) > 0)
    shape = (len(metric.kinds), known.size + 1)
    if metric.values is None or not known.size:
        nothing = np.full((*shape, 1), np.nan)
        return Sampled(metric, draws, tuple(known.tolist()), nothing[..., 0], nothing[..., :0])
    columns = draws.weights.shape[1] if metric.has_interval else 0
    starts = range(0, columns, _COLUMNS)
    chunks = [draws.patients[:, None], *(draws.weights[:, k : k + _COLUMNS] for k in starts)]
    computed = []
    for weights in chunks:
        values = metric.values(weights.astype(float)).reshape(
            len(metric.kinds), len(metric.findings), -1
        )
        values = values[:, known]
        computed.append(np.concatenate([values, mean_over_findings(values)], axis=1))
    everything = np.concatenate(computed, axis=2)
    return Sampled(metric, draws, tuple(known.tolist()), everything[..., 0], everything[..., 1:])


def _with_interval(sampled: Sampled) -> Bool[np.ndarray, " known"]:
    """Findings with an interval: those with two patients or more, of whom some vary."""
    draws = sampled.draws
    carriers = (sampled.metric.divisor[:, list(sampled.known)] > 0) & draws.patients[:, None]
    several = carriers.sum(axis=0) > 1
    return np.asarray(several & (carriers & draws.varies[:, None]).any(axis=0))


def _ends(
    sampled: Sampled, shown: Bool[np.ndarray, " column"]
) -> Float[np.ndarray, "end kind column"]:
    """Both ends of each interval, NaN where there is none."""
    ends = np.full((2, *sampled.estimate.shape), np.nan)
    if sampled.distribution.size and shown.any():
        ends[:, :, shown] = interval(sampled.distribution[:, shown], sampled.draws.level)
    return ends


def _note_of_mean(sampled: Sampled, varies: Bool[np.ndarray, " known"]) -> str:
    """A note on how many of the averaged findings have an interval, unless all of them have one."""
    if varies.all() or not (sampled.metric.has_interval and sampled.draws.weights.size):
        return ""
    if not varies.any():
        return f"no interval: none of the {varies.size} findings has one"
    return f"{varies.sum()} of the {varies.size} findings have an interval; the others stay fixed"


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _one_threshold(metric: Metric, columns: Sequence[int]) -> float | None:
    """The threshold that all these findings share; None if there is none or if they differ."""
    if metric.threshold is None:
        return None
    first = float(metric.threshold[columns[0]])
    same = np.isfinite(first) and (metric.threshold[list(columns)] == first).all()
    return first if same else None
