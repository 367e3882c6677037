"""Scores labels of reports against gold labels, and prints them beside published scores."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.measurement import Measurement
from cxrloc.evaluation.published import beside, published
from cxrloc.evaluation.report_labels.scores import (
    METRICS,
    TOTAL,
    LabelScoring,
    outcomes,
    score_labels,
    totals_of,
)
from cxrloc.evaluation.resampling import Resampling
from cxrloc.findings import CHESTXRAY8, standard_finding
from cxrloc.reports.label_file import NORMAL, Labels
from cxrloc.reports.labels import FINDINGS
from cxrloc.types import Label

SYSTEMS = ("Wang 2017 on OpenI", "MetaMap on OpenI")
"""Settings of the published tables that were measured on the same reports."""

NORMAL_ROW, TABLE_2_TOTAL = "Normal", "Total of the eight and Normal"
"""Rows of table 2 of Wang et al. 2017: it counts Normal like a finding, and has eight findings."""

PUBLISHED_TOTALS = {"wang2017:18": TOTAL, "wang2017:2": TABLE_2_TOTAL}
"""Published tables by name, each with the total of this module that sums the same labels."""

STRICT, LOOSE = "uncertain as negative", "uncertain as positive"
_READINGS = {
    STRICT: frozenset({Label.POSITIVE}),
    LOOSE: frozenset({Label.POSITIVE, Label.UNCERTAIN}),
}


class GoldScores(NamedTuple):
    """Scores, and the number of reports with gold labels that they are computed on.

    Attributes:
        measurements: precision, recall and F1 of every finding and total, by both ways to count an
            uncertain label (`Measurement.group`).
        reports: number of reports that were scored.
        missing: number of reports with gold labels that were not labelled.
    """

    measurements: tuple[Measurement, ...]
    reports: int
    missing: int


def score_against_gold(labels: Labels, gold: Labels, vocabulary: str, seed: int) -> GoldScores:
    """Scores of the reports that have gold labels and could be read.

    Source: *Wang et al. 2017, tables 2 and 18*. A report with text is Normal if no abnormality is
    found in the text. Where the gold labels say which reports are normal, there is also the total
    of table 2, over its eight findings and Normal.

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
    found: list[Measurement] = []
    for reading, positive in _READINGS.items():
        pairs = outcomes(labels, scored, findings, positive)
        rows, totals = [*findings], totals_of(findings)
        if NORMAL in named and reading == STRICT:
            pairs = np.concatenate([pairs, _normal(labels, scored)], axis=1)
            rows.append(NORMAL_ROW)
            if set(CHESTXRAY8) <= set(findings):
                totals[TABLE_2_TOTAL] = (*CHESTXRAY8, NORMAL_ROW)
        scoring = LabelScoring(rows, totals, reading, Resampling(seed=seed))
        found += score_labels(pairs, scoring)
    return GoldScores(tuple(found), len(scored), len(gold) - len(scored))


def scores_frame(measurements: Sequence[Measurement]) -> pd.DataFrame:
    """One row per finding or total and reading: counts, then the ratios with their intervals.

    Columns: `uncertain_as` ("negative" or "positive"), `finding`, `true_positives`,
    `false_positives`, `false_negatives`, and each of `METRICS` with `_low` and `_high`.
    """
    rows = []
    for start in range(0, len(measurements), len(METRICS)):
        precision, recall, _ = finding_rows = measurements[start : start + len(METRICS)]
        hit = int(precision.numerator or 0)
        row = {
            "uncertain_as": precision.group.removeprefix("uncertain as "),
            "finding": precision.finding,
            "true_positives": hit,
            "false_positives": int(precision.divisor) - hit,
            "false_negatives": int(recall.divisor) - hit,
        }
        for one in finding_rows:
            row |= {
                one.metric: one.value,
                f"{one.metric}_low": one.low,
                f"{one.metric}_high": one.high,
            }
        rows.append(row)
    return pd.DataFrame(rows)


def beside_published(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Scores beside each published table of labelers, which count uncertain labels as negative.

    A total stands beside a total over the same labels only, so each table has its own rows.
    """
    shown = {}
    strict = frame[frame["uncertain_as"] == "negative"]
    for name, total in PUBLISHED_TOTALS.items():
        published_names = {standard_finding(finding) for finding in published(name)["finding"]}
        rows = strict.replace({"finding": {TOTAL: "", total: TOTAL}})
        rows = rows[rows["finding"].map(standard_finding).isin(published_names)].drop(
            columns="uncertain_as"
        )
        for metric in METRICS:
            rows = beside(rows, name, metric)
        shown[name] = rows.replace({"finding": {TOTAL: total}}).reset_index(drop=True)
    return shown


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


def beside_rows(frame: pd.DataFrame, shown: pd.DataFrame, cited: str) -> list[list[str]]:
    """A printed table: precision, recall and F1 by both readings, and those of a published table.

    Args:
        frame: of `scores_frame`.
        shown: its rows that count uncertain labels as negative, with the published numbers in
            further columns (`beside_published`).
        cited: how these columns call the published table.
    """
    table = [[f"{cited}, P / R / F1", STRICT, LOOSE, *SYSTEMS]]
    loose = frame[frame["uncertain_as"] == "positive"].set_index("finding").to_dict("index")
    for row in shown.to_dict("records"):
        cells = [_precision_recall_f1(row), _precision_recall_f1(loose.get(row["finding"], {}))]
        cells += (_precision_recall_f1(row, f" ({cited}: {system})") for system in SYSTEMS)
        table.append([row["finding"], *cells])
    return table


def _with_interval(row: Mapping[Any, Any], metric: str) -> str:
    if pd.isna(row[metric]):
        return "not defined"
    return f"{row[metric]:.3f} ({row[f'{metric}_low']:.2f} to {row[f'{metric}_high']:.2f})"


def _precision_recall_f1(row: Mapping[Any, Any], end: str = "") -> str:
    """Precision / recall / F1 of the columns with this ending; empty if the row has none."""
    values = [row.get(f"{metric}{end}") for metric in METRICS]
    if all(pd.isna(value) for value in values):
        return ""
    return " / ".join("-" if pd.isna(value) else f"{value:.3f}" for value in values)


def _normal(
    labels: Labels, gold: Mapping[str, Mapping[str, Label]]
) -> Bool[np.ndarray, "report 1 2"]:
    pairs = [
        [(labels[report].get(NORMAL) == Label.POSITIVE, truth.get(NORMAL) == Label.POSITIVE)]
        for report, truth in sorted(gold.items())
    ]
    return np.array(pairs, dtype=bool)
