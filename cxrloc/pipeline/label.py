"""`cxrloc label`: labels radiology reports, and writes the reasons and scores of the labels."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.evaluation.report_labels.gold_scores import (
    GoldScores,
    beside_published,
    score_against_gold,
    scores_frame,
)
from cxrloc.files.run_folder import make_folder
from cxrloc.files.table_writer import write_csv
from cxrloc.reports.clauses import Clustering, cluster_clauses
from cxrloc.reports.cluster_file import names_of, read_cluster_names, write_clusters
from cxrloc.reports.engines import ENGINES
from cxrloc.reports.label_file import Written, read_labels, write_labels
from cxrloc.reports.labels import label_reports
from cxrloc.reports.language import CHINESE, foreign_language
from cxrloc.reports.mentions import VOCABULARIES
from cxrloc.reports.read import Report, UnreadableReport, read_reports

Reports = Iterable[Report | UnreadableReport]

ReportWatch = Callable[[Reports], Reports]
"""A function that passes reports on, and may show the progress."""


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """The options of `label`, without its reports.

    Attributes:
        gold: a file of labels to score against, with a row per report.
        explain: also write sentence, span and rule of every mention.
        vocabulary: a name of `VOCABULARIES`: which findings become columns.
        engine: a name of `ENGINES`: how negation and uncertainty are found.
        parser: the spaCy pipeline of the dependency engine.
        seed: seed of the bootstrap for the scores' intervals.
    """

    gold: Path | None = None
    explain: bool = False
    vocabulary: str = "chestxray14"
    engine: str = "scope"
    parser: str = "en_core_web_sm"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """Which clusters become labels.

    Attributes:
        top: how many of the largest clusters become labels.
        names: a file that names them (`read_cluster_names`); None: by their medoids.
        seed: seed of the first medoids.
        out_of: number of clusters of which the largest are taken; None for the default of
            `cluster_clauses`.
        headings: headings of the sections that are read; none for findings and impression.
    """

    top: int
    names: Path | None = None
    seed: int = 0
    out_of: int | None = None
    headings: Sequence[str] = ()


class LabelResult(NamedTuple):
    """The results for the terminal; the files are already written.

    Attributes:
        reports: number of reports that were labelled.
        failures: id of each report that could not be read, and the reason.
        notes: sentences on reports without text, and on uncertain ones that are called normal.
        files: the files that were written.
        scores: against gold labels; None if there are none.
        frame: the scores as a table (`scores_frame`).
        beside: the same beside published tables, by the names of these.
    """

    reports: int
    failures: Sequence[tuple[str, str]]
    notes: Sequence[str]
    files: Sequence[Path]
    scores: GoldScores | None
    frame: pd.DataFrame | None = None
    beside: Mapping[str, pd.DataFrame] = {}


class ClusterResult(NamedTuple):
    """The results of clustering for the terminal; the files are already written.

    `names` has the name of each cluster, empty for a cluster without one; it is empty if the user
    gave no names. `foreign` counts the reports that are neither English nor Chinese, by language.
    """

    clustering: Clustering
    failures: Sequence[tuple[str, str]]
    files: Sequence[Path]
    names: Sequence[str]
    foreign: Mapping[str, int]


def label(
    reports: Path, out: Path, options: LabelOptions, watch: ReportWatch = iter
) -> LabelResult:
    """Write one row of labels per report to `out`, and reasons and scores to files beside it.

    The result names the reports that cannot be read, and the other reports are still labelled.

    Raises:
        UsageError: a name does not exist, or `out` would overwrite what is read or cannot be made.
        CxrlocError: there is no report, the engine lacks its parser or fails its self-check, or
            the gold labels are of other reports.
    """
    if options.vocabulary not in VOCABULARIES:
        raise UsageError(
            f"--vocabulary {options.vocabulary}: choose from {', '.join(VOCABULARIES)}"
        )
    if options.engine not in ENGINES:
        raise UsageError(f"--engine {options.engine}: choose from {', '.join(ENGINES)}")
    engine = ENGINES[options.engine](options.parser)
    gold = read_labels(options.gold) if options.gold else {}
    found = _opened(reports, out, options.gold)
    reasons = _beside(out, "explanations") if options.explain else None
    labelled = label_reports(watch(found), options.vocabulary, engine)
    written = write_labels(labelled, out, options.vocabulary, reasons)
    failures = [(failure.report_id, failure.reason) for failure in written.failures]
    files = [out, *([reasons] if reasons else [])]
    notes = notes_on(written)
    if not options.gold or not (written.reports or written.without_text):
        return LabelResult(written.reports, failures, notes, files, None)
    # The labels are read back, so that the scores are those of the written file.
    scores = score_against_gold(read_labels(out), gold, options.vocabulary, options.seed)
    frame = scores_frame(scores.measurements)
    files.append(_beside(out, "scores"))
    write_csv(frame, files[-1])
    shown = beside_published(frame) if options.vocabulary == "chestxray14" else {}
    for name, table in shown.items():
        files.append(_beside(out, f"beside_{name.replace(':', '_')}"))
        write_csv(table, files[-1])
    return LabelResult(written.reports, failures, notes, files, scores, frame, shown)


def notes_on(written: Written) -> list[str]:
    """Sentences on reports whose row could be misunderstood."""
    notes = []
    if n := written.without_text:
        reports = "1 report has" if n == 1 else f"{n} reports have"
        notes.append(f"{reports} no text under findings or impression, and therefore no labels.")
    if n := written.open_normal:
        reports = "1 report is" if n == 1 else f"{n} reports are"
        notes.append(
            f"{reports} called `normal` although a finding in {'it' if n == 1 else 'them'} is "
            "uncertain (Wang et al. 2017 count uncertain as absent)."
        )
    return notes


def cluster(
    reports: Path, out: Path, config: ClusterConfig, watch: ReportWatch = iter
) -> ClusterResult:
    """Write the largest clusters of diagnosis clauses as labels to `out`, members beside it.

    Raises:
        UsageError: `out` would overwrite what is read, or cannot be made.
        CxrlocError: there is no clause, the names are of other clusters, or rapidfuzz is missing.
    """
    members = _beside(out, "clusters")
    if config.names and config.names.resolve() == members.resolve():
        raise UsageError(f"--names {config.names} would be overwritten: choose another --out")
    named = read_cluster_names(config.names) if config.names else {}
    readable, failures = [], []
    for report in watch(_opened(reports, out, config.names)):
        if isinstance(report, UnreadableReport):
            failures.append((report.report_id, report.reason))
        else:
            readable.append(report)
    clustering = cluster_clauses(readable, config.top, config.out_of, config.seed, config.headings)
    names = names_of(clustering, named, config.names) if config.names else ()
    write_clusters(clustering, out, members, names)
    languages = Counter(foreign_language(report.text) for report in readable)
    foreign = {name: n for name, n in languages.items() if name and name != CHINESE}
    return ClusterResult(clustering, failures, [out, members], names, foreign)


def _beside(out: Path, what: str) -> Path:
    return out.with_name(f"{out.stem}_{what}.csv")


def _opened(
    reports: Path, out: Path, other: Path | None = None
) -> Iterator[Report | UnreadableReport]:
    """The reports; the first is read at once, so that a wrong path leaves an older `out` intact."""
    place = out.resolve()
    read = [path.resolve() for path in (reports, other) if path]
    if out.is_dir() or place in read:
        raise UsageError(f"--out {out} is one of the inputs, or a folder: name another file")
    if reports.is_dir() and place.is_relative_to(reports.resolve()):
        raise UsageError(
            f"--out {out} lies in the folder of the reports and would be read as a report: choose "
            "another place"
        )
    found = read_reports(reports)
    first = next(found, None)
    if first is None:
        raise CxrlocError(f"{reports}: no report in it")
    make_folder(out.parent)
    return chain([first], found)
