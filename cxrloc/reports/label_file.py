"""Writes and reads `labels.csv`, the output of `cxrloc label` and an input of `cxrloc train`."""

import csv
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrloc.errors import CxrlocError
from cxrloc.files.tables import NOTE, Table, is_blank, number_of, read_table, rows_of
from cxrloc.files.whole import closed_after, named_errors, whole_file
from cxrloc.findings import NO_FINDING, finding_columns
from cxrloc.reports.labels import FINDINGS, ReportLabels
from cxrloc.reports.read import UnreadableReport
from cxrloc.reports.report_columns import ID_COLUMNS
from cxrloc.text import for_csv, from_csv
from cxrloc.types import Label

Labels = Mapping[str, Mapping[str, Label]]
"""For each report id, the label of each finding that is mentioned."""

NORMAL = "normal"
EXPLANATION_COLUMNS = (
    "report_id",
    "finding",
    "concept",
    "label",
    "phrase",
    "rule",
    "start",
    "end",
    "sentence",
)


@dataclass(frozen=True, slots=True)
class Written:
    """What a label file holds.

    Attributes:
        reports: number of reports with labels.
        failures: the reports that could not be read.
        without_text: number of reports with an empty row, because nothing is written under their
            headings.
        open_normal: number of reports that are `normal` although something is uncertain.
    """

    reports: int
    failures: tuple[UnreadableReport, ...] = ()
    without_text: int = 0
    open_normal: int = 0


def write_labels(
    labelled: Iterable[ReportLabels | UnreadableReport],
    path: Path,
    vocabulary: str = "chestxray14",
    explanations: Path | None = None,
) -> Written:
    """Writes one row per report as it comes, so that memory use stays constant.

    The file appears when it is complete.

    Columns: `report_id`; one per finding of the vocabulary, in its order: 1, 0, -1 (uncertain),
    empty (not mentioned); `No Finding`: 1 or empty; `normal`: 1 or 0 (any abnormality at all),
    empty for a report without text. An unreadable report has no row. As in Wang et al. 2017, what
    is uncertain counts as absent for `normal`, and for `No Finding` of the vocabulary chestxray14.

    Args:
        labelled: from `label_reports`.
        path: the file to write.
        vocabulary: the vocabulary that the labels were made with.
        explanations: a second file, one row per mention: report, finding (empty for an
            abnormality outside the vocabulary), concept, label, words, rule, and where the words
            stand in the sentence.
    """
    findings = (*FINDINGS[vocabulary], NO_FINDING)
    count, without_text, open_normal, failures = 0, 0, 0, []
    with ExitStack() as stack:
        table = stack.enter_context(_table(path))
        table.writerow(("report_id", *findings, NORMAL))
        reasons = None
        if explanations is not None:
            reasons = stack.enter_context(_table(explanations))
            reasons.writerow(EXPLANATION_COLUMNS)
        for report in labelled:
            if isinstance(report, UnreadableReport):
                failures.append(report)
                continue
            if report.normal is None:
                without_text += 1
            else:
                count += 1
            uncertain = any(one.label is Label.UNCERTAIN for one in report.evidence)
            open_normal += bool(report.normal and uncertain)
            row = (report.labels.get(finding) for finding in findings)
            normal = None if report.normal is None else int(report.normal)
            cells = for_csv(report.report_id), *(_cell(label) for label in row), _cell(normal)
            with named_errors(path):
                table.writerow(cells)
            if reasons is not None:
                reasons.writerows(_explanations(report))
    return Written(count, tuple(failures), without_text, open_normal)


@contextmanager
def _table(path: Path) -> Iterator[Any]:
    """Yield a writer of the rows of a file that is whole when the block ends."""
    with (
        whole_file(path) as part,
        closed_after(part.open("w", encoding="utf-8", newline="")) as file,
    ):
        yield csv.writer(file)


def _cell(value: int | None) -> str:
    return "" if value is None else str(int(value))


def _explanations(report: ReportLabels) -> Iterator[tuple[str | int, ...]]:
    for one in report.evidence:
        words = one.sentence[one.start : one.end]
        what = (one.finding, one.concept, int(one.label), for_csv(words), for_csv(one.rule))
        yield (for_csv(report.report_id), *what, one.start, one.end, for_csv(one.sentence))


def read_labels(path: Path, declared: Collection[str] | None = None) -> dict[str, dict[str, Label]]:
    """The labels of each report in a table: ours, gold labels, CheXpert's or MIMIC's (1.0, -1.0).

    The id is the first column of a usual name (`report_id`, `study_id`, `filename`, ...), else
    the first column. A report that has no label at all is unknown. Equal rows count once.

    Args:
        path: the table.
        declared: findings that count beside the known ones; columns of other names, such as split
            flags, are left out (`columns_of` names them). None: every other column but
            `note` is a finding.

    Raises:
        CxrlocError: the table cannot be read, or has no row, no column of a finding, a cell that is
            not 1, 0, -1 or empty, an empty id, or two rows of one id that contradict each other;
            the message names file and row.
    """
    table = read_table(path)
    key, columns, _ = _columns(path, table, declared)
    found: dict[str, dict[str, Label]] = {}
    first: dict[str, str] = {}
    for where, row in rows_of(table):
        report_id = from_csv(row[key])
        if not report_id:
            raise CxrlocError(f"{where}: no id of a report")
        cells = {as_: row[name] for name, as_ in columns.items() if not is_blank(row[name])}
        labels = {finding: _label(cell, where) for finding, cell in cells.items()}
        if found.setdefault(report_id, labels) != labels:
            raise CxrlocError(
                f"{where}: id {report_id!r} occurs twice, with other labels than in "
                f"{first[report_id]}; keep one row"
            )
        first.setdefault(report_id, where.removeprefix(f"{path}, "))
    if not found:
        raise CxrlocError(f"{path}: no labels; expected a heading and one row per report")
    return found


def columns_of(path: Path, declared: Collection[str]) -> tuple[list[str], list[str]]:
    """The findings of a table's columns, and the columns that `read_labels` leaves out."""
    _, findings, others = _columns(path, read_table(path), declared)
    return [*findings.values()], others


def _columns(
    path: Path, table: Table, declared: Collection[str] | None
) -> tuple[str, dict[str, str], list[str]]:
    """The column of ids, the columns of findings with the name of each finding, and the others."""
    known_names = [name for name in table.columns if name.lower() in ID_COLUMNS]
    key = known_names[0] if known_names else next(iter(table.columns), "")
    names = [name for name in table.columns if name not in (key, NOTE)]
    if declared is None:
        return key, {name: name for name in names}, []
    kept, others = finding_columns(names, declared)
    # Our own files have both `normal` and No Finding, and `with_labels` tells them apart.
    kept = {name: NORMAL if name == NORMAL else finding for name, finding in kept.items()}
    if twice := [finding for finding, n in Counter(kept.values()).items() if n > 1]:
        raise CxrlocError(f"{path}: two columns are of {twice[0]}: keep one")
    if not kept and names:
        raise CxrlocError(
            f"{path}: none of its columns {', '.join(names)[:200]} is a finding; name them by "
            "their findings, such as Effusion, or declare them with --finding"
        )
    return key, kept, others


def _label(cell: str, place: str) -> Label:
    if (value := number_of(cell)) not in set(Label):
        raise CxrlocError(f"{place}: label {cell!r} is none of 1, 0, -1 and empty")
    return Label(int(value))
