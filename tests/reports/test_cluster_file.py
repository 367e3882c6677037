"""The files of clusters."""

from pathlib import Path

from cxrloc.reports.clauses import cluster_clauses
from cxrloc.reports.cluster_file import write_clusters
from cxrloc.reports.read import Report


def test_clusters_are_written_for_a_person_to_name(tmp_path: Path) -> None:
    reports = [Report("a", "心影增大。Edema"), Report("b", "心影稍增大"), Report("c", "心影增大")]
    labels, members = tmp_path / "labels.csv", tmp_path / "clusters.csv"
    write_clusters(cluster_clauses(reports, top=1, clusters=2), labels, members)
    assert labels.read_text("utf-8").splitlines() == ["report_id,心影增大", "a,1", "b,1", "c,1"]
    assert members.read_text("utf-8").splitlines() == [
        "cluster,medoid,reports,clause,count",
        "1,心影增大,3,心影增大,2",
        "1,心影增大,3,心影稍增大,1",
    ]
