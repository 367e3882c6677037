"""Dong et al. 2017, section IV.A: labels from clustered clauses of Chinese diagnoses."""

import pytest

from cxrloc.reports.clauses import cluster_clauses, edit_distances, split_clauses
from cxrloc.reports.read import Report


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("1.双肺纹理增多。2.主动脉硬化。", ["双肺纹理增多", "主动脉硬化"]),
        ("右肺可见直径12.5mm结节、左肺未见异常", ["右肺可见直径mm结节", "左肺未见异常"]),
    ],
)
def test_clauses_without_digits(text: str, clauses: list[str]) -> None:
    assert split_clauses(text) == clauses


def test_the_edit_distance_counts_insertion_deletion_and_substitution() -> None:
    # one character inserted, deleted, substituted
    words = ["主动脉硬化", "主动脉弓硬化", "主动脉化", "主动脉硬变"]
    assert edit_distances(words)[0].tolist() == [0, 1, 1, 1]


def test_different_wordings_of_a_diagnosis_share_a_label() -> None:
    wordings = [
        "双肺纹理增多",
        "双肺纹理增粗",
        "两肺纹理增多",
        "心影增大",
        "心影稍增大",
        "心影增大",
    ]
    reports = [Report(str(i), text) for i, text in enumerate(wordings)]
    found = cluster_clauses(reports, top=2, clusters=2)
    assert [labels for _, labels in found.labels] == [(0,)] * 3 + [(1,)] * 3
    assert {cluster.medoid for cluster in found.clusters} == {"双肺纹理增多", "心影增大"}
