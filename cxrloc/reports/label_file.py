"""labels.csv: what `cxrloc label` writes, and dataset readers and `cxrloc train` take."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from cxrloc.findings import NO_FINDING, standard_finding
from cxrloc.reports.clauses import Clustering
from cxrloc.reports.labels import FINDINGS, ReportLabels
from cxrloc.reports.read import ID_COLUMNS, UnreadableReport
from cxrloc.types import CxrlocError, Label

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
    """How many reports a label file holds, and those that could not be read."""

    reports: int
    failures: tuple[UnreadableReport, ...]


def write_labels(
    labelled: Iterable[ReportLabels | UnreadableReport],
    path: Path,
    vocabulary: str = "chestxray14",
    explanations: Path | None = None,
) -> Written:
    """Writes one row per report as it comes, so that memory stays flat.

    Columns: `report_id`; one per finding of the vocabulary, in its order: 1, 0, -1 (uncertain),
    empty (not mentioned); `No Finding`: 1 or empty; `normal`: 1 or 0 (any abnormality at all),
    empty for a report without text. An unreadable report has no row.

    Args:
        labelled: from `label_reports`.
        path: the file to write.
        vocabulary: the one that the labels were made with.
        explanations: a second file, one row per mention: report, finding (empty for an
            abnormality outside the vocabulary), concept, label, words, rule, and where the words
            stand in the sentence.
    """
    findings = (*FINDINGS[vocabulary], NO_FINDING)
    count, failures = 0, []
    with ExitStack() as stack:
        table = csv.writer(stack.enter_context(path.open("w", encoding="utf-8", newline="")))
        table.writerow(("report_id", *findings, NORMAL))
        reasons = None
        if explanations is not None:
            file = stack.enter_context(explanations.open("w", encoding="utf-8", newline=""))
            reasons = csv.writer(file)
            reasons.writerow(EXPLANATION_COLUMNS)
        for report in labelled:
            if isinstance(report, UnreadableReport):
                failures.append(report)
                continue
            count += 1
            row = (report.labels.get(finding) for finding in findings)
            normal = None if report.normal is None else int(report.normal)
            table.writerow((report.report_id, *(_cell(label) for label in row), _cell(normal)))
            if reasons is not None:
                reasons.writerows(_explanations(report))
    return Written(count, tuple(failures))


def write_clusters(
    clustering: Clustering, path: Path, members: Path, names: Sequence[str] = ()
) -> None:
    """Writes clusters as labels, and what a person needs to name them.

    Args:
        clustering: from `cluster_clauses`.
        path: one row per report: `report_id`, then a column per cluster, headed by its medoid: 1,
            or empty where no clause of the report belongs to it. With names: a column per name, 1,
            or 0 where no clause belongs to a cluster of that name.
        members: one row per clause: `cluster` (1 is the largest), `medoid`, `reports` (of the
            cluster), `clause`, `count`.
        names: of each cluster, from `read_cluster_names`; an empty one leaves it out.
    """
    headings = names or [cluster.medoid for cluster in clustering.clusters]
    columns = [heading for heading in dict.fromkeys(headings) if heading]
    absent = "0" if names else ""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("report_id", *columns))
        for report_id, found in clustering.labels:
            said = {headings[place] for place in found}
            table.writerow((report_id, *("1" if name in said else absent for name in columns)))
    with members.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("cluster", "medoid", "reports", "clause", "count"))
        for number, cluster in enumerate(clustering.clusters, 1):
            for clause, count in cluster.members:
                table.writerow((number, cluster.medoid, cluster.reports, clause, count))


def read_cluster_names(path: Path) -> dict[str, str]:
    """Reads what a person called the clusters: a CSV with the columns `medoid` and `name`.

    A name becomes `standard_finding` of it, so `normal` (Dong et al. 2017, table I) is No Finding;
    clusters of one name become one label; without a name a cluster is none.

    Raises:
        CxrlocError: it cannot be read, lacks a column, or names a cluster twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if not {"medoid", "name"} <= set(rows.fieldnames or ()):
                raise CxrlocError(f"{path}: needs the columns medoid and name")
            names: dict[str, str] = {}
            for row in rows:
                medoid, name = ((row[column] or "").strip() for column in ("medoid", "name"))
                if medoid in names:
                    raise CxrlocError(f"{path}, line {rows.line_num}: {medoid!r} is named twice")
                names[medoid] = standard_finding(name)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CxrlocError(f"{path}: no CSV file that can be read ({error})") from error
    return names


def names_of(clustering: Clustering, names: Mapping[str, str], path: Path) -> tuple[str, ...]:
    """The name of each cluster.

    Args:
        clustering: from `cluster_clauses`.
        names: by medoid, from `read_cluster_names`.
        path: of their file, for the message.

    Raises:
        CxrlocError: a cluster is not in the file, or the file has one that is not there: it was
            written for other reports, another number of clusters or another seed.
    """
    medoids = [cluster.medoid for cluster in clustering.clusters]
    wrong = [f"{name!r} is no cluster" for name in names if name not in medoids]
    wrong += [f"the cluster {medoid!r} is not in it" for medoid in medoids if medoid not in names]
    if wrong:
        raise CxrlocError(
            f"{path}: {'; '.join(wrong)}: name the clusters of these reports, this --cluster and "
            "this --seed (an empty name leaves one out)"
        )
    return tuple(names[medoid] for medoid in medoids)


def _cell(value: int | None) -> str:
    return "" if value is None else str(int(value))


def _explanations(report: ReportLabels) -> Iterator[tuple[str | int, ...]]:
    for one in report.evidence:
        words = one.sentence[one.start : one.end]
        what = (one.finding, one.concept, int(one.label), words, one.rule)
        yield (report.report_id, *what, one.start, one.end, one.sentence)


def read_labels(path: Path) -> dict[str, dict[str, Label]]:
    """Reads a file of labels per report: ours, gold labels, or CheXpert's and MIMIC's (1.0, -1.0).

    The id is the first column of a usual name (`report_id`, `study_id`, `filename`, ...), else
    the first column; every other column is a finding.

    Raises:
        CxrlocError: it cannot be read, or has no row, a cell that is none of 1, 0, -1 and empty,
            or an id that occurs twice; names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise CxrlocError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CxrlocError(f"{path}: no label file that can be read ({error})") from error
    found: dict[str, dict[str, Label]] = {}
    rows = csv.reader(io.StringIO(text))
    header = next(rows, [])
    usual = [i for i, name in enumerate(header) if name.strip().lower() in ID_COLUMNS]
    key = usual[0] if usual else 0
    for row in rows:
        if not row:
            continue
        place = f"{path}, line {rows.line_num}"
        if len(row) != len(header):
            raise CxrlocError(f"{place}: {len(row)} cells under {len(header)} headings")
        if row[key] in found:
            raise CxrlocError(f"{place}: id {row[key]!r} occurs twice; ids must be unique")
        found[row[key]] = {
            name.strip(): _label(cell, place)
            for i, (name, cell) in enumerate(zip(header, row, strict=True))
            if i != key and cell.strip()
        }
    if not found:
        raise CxrlocError(f"{path}: no labels; expected a heading and one row per report")
    return found


def _label(cell: str, place: str) -> Label:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if value not in set(Label):
        raise CxrlocError(f"{place}: label {cell!r} is none of 1, 0, -1 and empty")
    return Label(int(value))
