"""Clauses, their distances, and the medoids that no swap improves."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrloc.errors import CxrlocError
from cxrloc.reports.clauses import cluster_clauses, edit_distances, k_medoids, split_clauses
from cxrloc.reports.cluster_file import write_clusters
from cxrloc.reports.read import Report


def cost(distances: np.ndarray, weights: np.ndarray, medoids: np.ndarray) -> int:
    return int((weights * distances[medoids].astype(int).min(axis=0)).sum())


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(6, 14))
def test_no_single_swap_improves_the_medoids(seed: int, k: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    points = generator.integers(0, 60, size=(n, 2))
    distances = np.abs(points[:, None] - points).sum(axis=-1).astype(np.uint8)
    weights = generator.integers(1, 5, size=n)
    found = k_medoids(distances, weights, k, generator)
    assert len(set(found.tolist())) == k
    best = cost(distances, weights, found)
    for position in range(k):
        for candidate in range(n):
            swapped = found.copy()
            swapped[position] = candidate
            assert cost(distances, weights, swapped) >= best


def test_on_a_small_set_the_best_of_all_choices_is_found() -> None:
    points = np.array([0, 1, 2, 30, 31, 33, 90, 92])
    distances = np.abs(points[:, None] - points).astype(np.uint8)
    weights = np.ones(8, dtype=np.int64)
    found = k_medoids(distances, weights, 3, np.random.default_rng(1))
    every = [cost(distances, weights, np.array(c)) for c in combinations(range(8), 3)]
    assert cost(distances, weights, found) == min(every)


def test_more_clusters_than_clauses_are_refused_in_one_line() -> None:
    distances = edit_distances(["effusion", "edema"])
    with pytest.raises(CxrlocError, match="3 clusters of 2 different clauses: ask for at most 2"):
        k_medoids(distances, np.ones(2, dtype=np.int64), 3, np.random.default_rng(0))


def test_long_clauses_saturate_instead_of_wrapping() -> None:
    found = edit_distances(["a" * 300, "b", "a" * 299])
    assert found.dtype == np.uint8
    assert found.tolist() == [[0, 255, 1], [255, 0, 255], [1, 255, 0]]


def test_planted_clusters_come_back_in_spite_of_typos() -> None:
    planted = [
        "右肺门影增大",
        "主动脉硬化迂曲",
        "bilateral pleural effusion",
        "enlarged heart shadow",
    ]
    generator = np.random.default_rng(0)
    reports, truth = [], []
    for index in range(200):
        which = int(generator.choice(4, p=[0.4, 0.3, 0.2, 0.1]))
        letters = list(planted[which])
        if index % 3 == 0:
            letters[int(generator.integers(len(letters)))] = "x"  # a typo
        reports.append(Report(str(index), f"{index}. {''.join(letters)} {index} mm"))
        truth.append(which)
    found = cluster_clauses(reports, top=4, clusters=4)
    # Digits are gone, each report falls into its planted cluster, largest first.
    assert [cluster.medoid for cluster in found.clusters] == [f"{text} mm" for text in planted]
    assert [of_report for _, of_report in found.labels] == [(which,) for which in truth]
    assert found.coverage == 1.0
    assert [cluster.reports for cluster in found.clusters] == [truth.count(i) for i in range(4)]


def test_coverage_is_the_share_of_reports_in_the_largest_clusters() -> None:
    reports = [Report(str(i), text) for i, text in enumerate(["aaaa"] * 6 + ["bbbb"] * 3 + ["c"])]
    found = cluster_clauses(reports, top=2, clusters=3)
    assert [(c.medoid, c.reports, c.members) for c in found.clusters] == [
        ("aaaa", 6, (("aaaa", 6),)),
        ("bbbb", 3, (("bbbb", 3),)),
    ]
    assert found.coverage == 0.9
    assert found.labels[-1] == ("9", ())


def test_how_often_a_clause_occurs_decides_the_medoids_and_the_clusters() -> None:
    # "mass x" lies between the others; yet the frequent "mass xy" is nearest to most reports.
    wordings = ["mass xy"] * 9 + ["mass", "mass x"]
    reports = [Report(str(i), text) for i, text in enumerate(wordings)]
    (cluster,) = cluster_clauses(reports, top=1, clusters=1).clusters
    assert (cluster.medoid, cluster.reports) == ("mass xy", 11)
    assert cluster.members == (("mass xy", 9), ("mass", 1), ("mass x", 1))
    # Size is counted in reports, not in different clauses.
    reports = [
        Report(str(i), text) for i, text in enumerate(["edema"] * 4 + ["mass", "mas", "mss"])
    ]
    (largest,) = cluster_clauses(reports, top=1, clusters=2).clusters
    assert (largest.medoid, largest.reports) == ("edema", 4)


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        (
            "No mass, effusion or edema, small nodule.",
            ["no mass, effusion or edema", "small nodule"],
        ),
        ("No mass, effusion, or edema is seen.", ["no mass, effusion, or edema is seen"]),
        ("Without edema, mass.", ["without edema, mass"]),
        ("No mass, no edema", ["no mass", "no edema"]),
        ("Mass, edema", ["mass", "edema"]),
        ("No mass, heart is enlarged", ["no mass", "heart is enlarged"]),
        ("未见气胸、胸腔积液\uff0c心影增大", ["未见气胸、胸腔积液", "心影增大"]),
        ("肺气肿、结节", ["肺气肿", "结节"]),
    ],
)
def test_a_denied_list_is_one_clause(text: str, clauses: list[str]) -> None:
    assert split_clauses(text) == clauses


REPORT = "检查所见\uff1a右肺结节。\n诊断意见\uff1a肺气肿。\n建议\uff1a复查。"
GERMAN = "Befund: Erguss.\nBeurteilung: Pneumonie."


@pytest.mark.parametrize(
    ("text", "headings", "clauses"),
    [
        ("FINDINGS: Mass. IMPRESSION: Edema.", (), {"mass", "edema"}),
        ("FINDINGS: Mass. IMPRESSION: Edema.", ("impression",), {"edema"}),
        ("DIAGNOSIS\nEdema", ("diagnosis",), {"edema"}),
        (REPORT, ("诊断意见",), {"肺气肿"}),
        (GERMAN, ("beurteilung",), {"pneumonie"}),
        (GERMAN, ("beurteilung", "befund"), {"pneumonie", "erguss"}),
        ("Edema.", ("impression",), {"edema"}),  # no heading at all: the whole is the diagnosis
    ],
)
def test_only_what_stands_under_the_named_headings_is_clustered(
    text: str, headings: tuple[str, ...], clauses: set[str]
) -> None:
    found = cluster_clauses([Report("1", text)], top=1, clusters=2, headings=headings)
    every = cluster_clauses(
        [Report("1", text)], top=len(clauses), clusters=len(clauses), headings=headings
    )
    assert {clause for c in every.clusters for clause, _ in c.members} == clauses
    assert found.coverage == 1.0


def test_a_report_without_a_clause_is_unknown(tmp_path: Path) -> None:
    reports = [Report("a", "Edema"), Report("b", ""), Report("c", "Mass")]
    found = cluster_clauses(reports, top=2, clusters=2)
    assert dict(found.labels)["b"] is None
    write_clusters(found, tmp_path / "l.csv", tmp_path / "c.csv", ["Edema", "Mass"])
    assert (tmp_path / "l.csv").read_text().splitlines()[2] == "b,,"


@pytest.mark.parametrize(
    ("text", "top", "clusters", "message"),
    [("12. ", 1, None, "no report holds a clause"), ("a", 3, 2, "3 labels out of 2"),
     ("a", 0, 2, "0 labels")],
)  # fmt: skip
def test_what_cannot_be_clustered_says_so(
    text: str, top: int, clusters: int | None, message: str
) -> None:
    with pytest.raises(CxrlocError, match=message):
        cluster_clauses([Report("1", text)], top, clusters)


def test_a_report_counts_once_for_a_cluster_however_many_of_its_clauses_are_in_it() -> None:
    found = cluster_clauses(
        [Report("a", "effusion. effusions. efusion"), Report("b", "mass")], 2, 2
    )
    assert [one.reports for one in found.clusters] == [1, 1]
    assert found.labels[0][1] is not None
    assert len(found.labels[0][1]) == 1
