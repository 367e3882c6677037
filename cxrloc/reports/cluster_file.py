"""Writes clusters as labels and as lists of members, and reads the names that a person gave."""

import csv
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from cxrloc.errors import CxrlocError
from cxrloc.files.tables import read_table, rows_of
from cxrloc.files.whole import whole_file
from cxrloc.findings import standard_finding
from cxrloc.reports.clauses import Clustering
from cxrloc.text import for_csv, from_csv


def write_clusters(
    clustering: Clustering, path: Path, members: Path, names: Sequence[str] = ()
) -> None:
    """Writes clusters as labels, and what a person needs to name them.

    Args:
        clustering: from `cluster_clauses`.
        path: one row per report: `report_id`, then a column per cluster, with its medoid as the
            heading: 1, or empty where no clause of the report belongs to the cluster. With names: a
            column per name: 1, or 0 where no clause belongs to a cluster of that name; a report
            without any clause is unknown, so that its cells stay empty.
        members: one row per clause: `cluster` (1 is the largest), `medoid`, `reports` (of the
            cluster), `clause`, `count`.
        names: name of each cluster, from `read_cluster_names`; an empty name leaves a cluster out.
    """
    headings = names or [cluster.medoid for cluster in clustering.clusters]
    columns = [heading for heading in dict.fromkeys(headings) if heading]
    with ExitStack() as stack:
        part = stack.enter_context(whole_file(path))
        table = csv.writer(stack.enter_context(part.open("w", encoding="utf-8", newline="")))
        table.writerow(("report_id", *map(for_csv, columns)))
        for report_id, found in clustering.labels:
            absent = "0" if names and found is not None else ""
            headings_of_report = {headings[place] for place in found or ()}
            cells = ("1" if name in headings_of_report else absent for name in columns)
            table.writerow((for_csv(report_id), *cells))
    with ExitStack() as stack:
        part = stack.enter_context(whole_file(members))
        table = csv.writer(stack.enter_context(part.open("w", encoding="utf-8", newline="")))
        table.writerow(("cluster", "medoid", "reports", "clause", "count"))
        for number, cluster in enumerate(clustering.clusters, 1):
            medoid = for_csv(cluster.medoid)
            for clause, count in cluster.members:
                table.writerow((number, medoid, cluster.reports, for_csv(clause), count))


def read_cluster_names(path: Path) -> dict[str, str]:
    """The names that a person gave to clusters, from a table with the columns `medoid`, `name`.

    A finding of the package's vocabularies gets the spelling of the vocabulary; `normal` (Dong et
    al. 2017, table I) is No Finding. Clusters with the same name become one label, and a cluster
    without a name becomes no label.

    Raises:
        CxrlocError: the table cannot be read, lacks a column, or names a cluster twice.
    """
    names: dict[str, str] = {}
    for where, row in rows_of(read_table(path, ("medoid", "name"))):
        medoid = from_csv(row["medoid"])
        if medoid in names:
            raise CxrlocError(f"{where}: {medoid!r} is named twice")
        names[medoid] = standard_finding(row["name"]) if row["name"] else ""
    return names


def names_of(clustering: Clustering, names: Mapping[str, str], path: Path) -> tuple[str, ...]:
    """The name of each cluster.

    Args:
        clustering: from `cluster_clauses`.
        names: names by medoid, from `read_cluster_names`.
        path: the file of the names, for the message.

    Raises:
        CxrlocError: the clusters of the file and of the reports differ, because the file was
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
