"""Scores labels of reports against gold labels, beside the scores of published labelers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool

from cxrloc.reports.label_file import NORMAL
from cxrloc.reports.labels import FINDINGS
from cxrloc.reports.scores import Labels, outcomes, score_intervals, score_labels
from cxrloc.types import CxrlocError, Label

METRICS = ("precision", "recall", "f1")
SYSTEMS = {"Wang 2017 on OpenI": "wang2017", "MetaMap on OpenI": "metamap"}
"""Settings of the published tables, and how their columns begin."""

_SAMPLES = 1000  # of the bootstrap
_READINGS = {
    "negative": frozenset({Label.POSITIVE}),
    "positive": frozenset({Label.POSITIVE, Label.UNCERTAIN}),
}


class GoldScores(NamedTuple):
    """Scores, and the number of reports with gold labels that they are computed on.

    The frame has one row per finding, totals with and without Hernia and Normal, for each way to
    count an uncertain label (`uncertain_as`): counts, then precision, recall and F1 with 95 %
    intervals.
    """

    frame: pd.DataFrame
    reports: int
    missing: int


def score_against_gold(labels: Labels, gold: Labels, vocabulary: str, seed: int) -> GoldScores:
    """Scores of the reports that have gold labels and could be read.

    Source: *Wang et al. 2017, tables 2 and 18*. A report with text is Normal if no abnormality is
    found in the text.

    Raises:
        CxrlocError: no report has both kinds of labels, or the gold labels have no finding of the
            vocabulary.
    """
    findings = FINDINGS[vocabulary]
    scored = {report: truth for report, truth in gold.items() if report in labels}
    if not scored:
        raise CxrlocError(
            f"none of the {len(gold)} reports of the gold labels is among the reports labelled; "
            f"ids there are as {next(iter(gold))!r}, here as {next(iter(labels))!r}"
        )
    named = {finding for truth in scored.values() for finding in truth}
    if named.isdisjoint(findings):
        raise CxrlocError(f"the gold labels have no finding of {vocabulary}: {', '.join(findings)}")
    rows = []
    for uncertain_as, positive in _READINGS.items():
        pairs = outcomes(labels, scored, findings, positive)
        rows += [{"uncertain_as": uncertain_as, **row} for row in _rows(pairs, findings, seed)]
    if NORMAL in named:
        (normal, *_) = _rows(_normal(labels, scored), ("Normal",), seed)
        rows.append({"uncertain_as": "negative", **normal})
    return GoldScores(pd.DataFrame(rows), len(scored), len(gold) - len(scored))


def with_published(scores: GoldScores, published: pd.DataFrame) -> GoldScores:
    """The scores beside those of the published labelers, which count uncertain as negative.

    Args:
        scores: by the vocabulary of ChestX-ray14.
        published: tables 18 and 2 of Wang et al. 2017: `setting`, `finding`, `metric`, `value`.
    """
    numbers = published[published["setting"].isin(SYSTEMS)]
    column = numbers["setting"].map(SYSTEMS) + "_" + numbers["metric"]
    wide = numbers.assign(column=column).pivot(index="finding", columns="column", values="value")
    ordered = [f"{system}_{metric}" for system in SYSTEMS.values() for metric in METRICS]
    beside = wide[ordered].reset_index().assign(uncertain_as="negative")
    frame = scores.frame.merge(beside, how="left", on=["uncertain_as", "finding"])
    return scores._replace(frame=frame)


def interval_rows(frame: pd.DataFrame) -> list[list[str]]:
    """A printed table, headings first: counts, and precision, recall and F1 with intervals."""
    table = [["Finding", "hit", "wrong", "missed", "precision", "recall", "F1"]]
    for row in frame[frame["uncertain_as"] == "negative"].to_dict("records"):
        counts = [row[f"{of}s"] for of in ("true_positive", "false_positive", "false_negative")]
        table.append(
            [
                row["finding"],
                *map(str, counts),
                *(_with_interval(row, metric) for metric in METRICS),
            ]
        )
    return table


def beside_rows(frame: pd.DataFrame) -> list[list[str]]:
    """The other printed table: precision, recall and F1 by both readings, and published ones."""
    headings = ["P / R / F1", "uncertain as negative", "uncertain as positive"]
    systems = {begin: name for name, begin in SYSTEMS.items() if f"{begin}_f1" in frame.columns}
    loose = frame[frame["uncertain_as"] == "positive"].set_index("finding").to_dict("index")
    table = [[*headings, *systems.values()]]
    for row in frame[frame["uncertain_as"] == "negative"].to_dict("records"):
        cells = [_ratios(row), _ratios(loose.get(row["finding"], {}))]
        cells += (_ratios(row, f"{system}_") for system in systems)
        table.append([row["finding"], *cells])
    return table


def _with_interval(row: Mapping[Any, Any], metric: str) -> str:
    if pd.isna(row[metric]):
        return "not defined"
    return f"{row[metric]:.3f} ({row[f'{metric}_low']:.2f} to {row[f'{metric}_high']:.2f})"


def _ratios(row: Mapping[Any, Any], begin: str = "") -> str:
    values = [row.get(f"{begin}{metric}") for metric in METRICS]
    if all(pd.isna(value) for value in values):
        return ""
    return " / ".join("-" if pd.isna(value) else f"{value:.3f}" for value in values)


def _rows(
    pairs: Bool[np.ndarray, "report finding two"], findings: Sequence[str], seed: int
) -> list[dict[str, Any]]:
    rows = []
    intervals = score_intervals(pairs, findings, _SAMPLES, seed)
    for score, ends in zip(score_labels(pairs, findings), intervals, strict=True):
        if score.finding == "Total without Hernia" and "Hernia" not in findings:
            continue
        row = asdict(score)
        for metric in METRICS:
            row[metric] = row.pop(metric)  # to stand before its interval
            row[f"{metric}_low"], row[f"{metric}_high"] = ends[metric] or (None, None)
        rows.append(row)
    return rows


def _normal(
    labels: Labels, gold: Mapping[str, Mapping[str, Label]]
) -> Bool[np.ndarray, "report 1 2"]:
    pairs = [
        [(labels[report].get(NORMAL) == Label.POSITIVE, truth.get(NORMAL) == Label.POSITIVE)]
        for report, truth in sorted(gold.items())
    ]
    return np.array(pairs, dtype=bool)
