"""Labels without a vocabulary: clauses of free-text diagnoses, clustered by edit distance.

Source: *Dong et al. 2017, section IV.A*; works on any script, Chinese included.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, UInt8

from cxrloc.errors import CxrlocError
from cxrloc.extras import import_extra
from cxrloc.reports.negation import denial_goes_on
from cxrloc.reports.plain_text import clean
from cxrloc.reports.read import Report
from cxrloc.reports.sections import relevant_text

MAX_CLAUSES = 16_000
"""Most distinct clauses whose distances (one byte each) are all kept in memory; rarer clauses
join the clusters afterwards."""

# A number includes its decimals, so that "1.5 cm" is not split into two clauses.
_NUMBER = re.compile(r"\d+(?:[.\uff0e]\d+)?")
# ASCII marks, then the Chinese comma, full stop, semicolon, colon, list comma, ! ? and middle dot.
_BREAK = re.compile(r"[,;:.!?\n\uff0c\u3002\uff1b\uff1a\u3001\uff01\uff1f\u00b7]+")


_CHINESE_DENIAL = re.compile("[\u672a\u65e0]|\u6ca1\u6709|\u4e0d\u89c1|\u6392\u9664")
"""Chinese words for: not (seen), without, none, not seen, excluded."""


@dataclass(frozen=True, slots=True)
class ClauseCluster:
    """A cluster of similar clauses, with its medoid and its frequency.

    Attributes:
        medoid: the member nearest to all others; it helps a person to name the label.
        reports: number of reports with at least one member.
        members: distinct clauses and how often each occurs, most frequent first.
    """

    medoid: str
    reports: int
    members: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Clustering:
    """The largest clusters, as labels.

    Attributes:
        clusters: by number of reports, largest first.
        coverage: share of the reports with a clause in any of these clusters.
        labels: id of each report and positions of its clusters; None for a report without clauses.
    """

    clusters: tuple[ClauseCluster, ...]
    coverage: float
    labels: tuple[tuple[str, tuple[int, ...] | None], ...]


def split_clauses(text: str) -> list[str]:
    r"""The clauses of a diagnosis, in lower case and without digits.

    A denied list stays one clause: the part "effusion" of "no mass, effusion" alone would mean the
    opposite.

    >>> split_clauses("No mass, effusion or edema, small nodule.")
    ['no mass, effusion or edema', 'small nodule']
    >>> split_clauses("1. Small effusion, 12 mm.\n2、右肺门影增大，主动脉硬化")
    ['small effusion', 'mm', '右肺门影增大', '主动脉硬化']
    """
    text = _NUMBER.sub("", text).lower()
    parts, marks = _BREAK.split(text), ["", *_BREAK.findall(text)]
    found: list[str] = []
    for part, mark in zip(parts, marks, strict=True):
        clause = " ".join(part.split())
        if not clause:
            continue
        if found and mark in {",", "\u3001"} and _denies_both(found[-1], clause):
            found[-1] += f"{mark}{clause}" if mark == "\u3001" else f"{mark} {clause}"
        else:
            found.append(clause)
    return found


def _denies_both(clause: str, following: str) -> bool:
    if _CHINESE_DENIAL.search(clause):
        return _CHINESE_DENIAL.match(following) is None
    return denial_goes_on(clause, following)


def cluster_clauses(
    reports: Sequence[Report],
    top: int,
    clusters: int | None = None,
    seed: int = 0,
    headings: Sequence[str] = (),
) -> Clustering:
    """Clusters the clauses of reports and keeps the largest clusters as labels.

    Source: *Dong et al. 2017, section IV.A*: clauses, digits removed, edit distance, k-medoids,
    the ten largest clusters (97 % of the images).
    Open: the number of clusters of which the ten are the largest. Here it is five times as many, or
    two for every three different clauses where there are few, so that these are grouped too.

    Args:
        reports: diagnoses.
        top: number of labels.
        clusters: number of all clusters, at least `top`; None for the number described above.
        seed: seed of the first medoids.
        headings: headings of the sections to read, in any language; without them, findings and
            impression are read where a report has such headings (`relevant_text`).

    Raises:
        CxrlocError: there is no clause, or `clusters` is below `top`.
    """
    clauses = [
        sorted(set(split_clauses(relevant_text(clean(report.text), headings))))
        for report in reports
    ]
    counts = Counter(clause for of_report in clauses for clause in of_report)
    clusters = clusters or max(top, min(5 * top, 2 * len(counts) // 3))
    if not counts:
        raise CxrlocError("no report holds a clause to cluster")
    if not 0 < top <= clusters:
        raise CxrlocError(f"{top} labels out of {clusters} clusters: needs 0 < labels <= clusters")
    distinct = sorted(counts, key=lambda clause: (-counts[clause], clause))
    medoids = _medoid_clauses(distinct, counts, clusters, seed)
    cluster_of = dict(zip(distinct, _nearest(distinct, medoids).tolist(), strict=True))
    found = [sorted({cluster_of[clause] for clause in of_report}) for of_report in clauses]
    sizes = Counter(cluster for of_report in found for cluster in of_report)
    largest = [cluster for cluster, _ in sizes.most_common(top)]
    place = {cluster: position for position, cluster in enumerate(largest)}
    labels = tuple(
        (
            report.report_id,
            tuple(sorted(place[c] for c in of_report if c in place)) if of_report else None,
        )
        for report, of_report in zip(reports, found, strict=True)
    )
    kept = tuple(
        ClauseCluster(
            medoids[cluster],
            sizes[cluster],
            tuple((clause, counts[clause]) for clause in distinct if cluster_of[clause] == cluster),
        )
        for cluster in largest
    )
    return Clustering(kept, sum(bool(one) for _, one in labels) / len(reports), labels)


def _medoid_clauses(
    distinct: Sequence[str], counts: Counter[str], clusters: int, seed: int
) -> list[str]:
    """The medoids of clauses, each of which is weighted by its frequency."""
    frequent = distinct[:MAX_CLAUSES]
    weights = np.array([counts[clause] for clause in frequent], dtype=np.int64)
    generator = np.random.default_rng(seed)
    count = min(clusters, len(frequent))
    medoids = k_medoids(edit_distances(frequent), weights, count, generator)
    return [frequent[medoid] for medoid in medoids]


def edit_distances(clauses: Sequence[str]) -> UInt8[np.ndarray, "clause clause"]:
    """Levenshtein distances of all pairs, in compiled code, one byte each (255 means 255 or more).

    >>> edit_distances(["effusion", "efusion", "edema"])[0].tolist()
    [0, 1, 7]
    """
    # If the second list is a copy, rapidfuzz compares many strings at once. This is 2.8 times as
    # fast (measured) as its way for one list, which leaves out half of the pairs.
    return _cdist(clauses, list(clauses))


def _cdist(clauses: Sequence[str], others: Sequence[str]) -> UInt8[np.ndarray, "clause other"]:
    distance = import_extra("rapidfuzz.distance", "reports").Levenshtein.distance
    return import_extra("rapidfuzz.process", "reports").cdist(
        clauses,
        others,
        scorer=distance,
        score_cutoff=254,  # above it the scorer answers 255
        dtype=np.uint8,
        workers=-1,
    )


def _nearest(clauses: Sequence[str], medoids: Sequence[str]) -> Int[np.ndarray, " clause"]:
    return _cdist(clauses, medoids).argmin(axis=1)


def k_medoids(
    distances: UInt8[np.ndarray, "n n"],
    weights: Int[np.ndarray, " n"],
    k: int,
    generator: np.random.Generator,
) -> Int[np.ndarray, " k"]:
    """Positions of k medoids whose weighted sum of distances cannot be lowered by a single swap.

    Source: *Schubert and Rousseeuw 2021*, FasterPAM: for a candidate c the change of the sum by
    taking c for medoid j is, with d1 and d2 a point's distances to its nearest and second medoid,

        sum over j's points of (d2 - d1)  +  sum over all points of min(d_c - d1, 0)
        +  sum over j's points of  (d1 - d2 if d_c < d1, else min(d_c - d2, 0)),

    for all j at once in O(n); an improving swap is made at once. The first medoids are drawn with
    probabilities proportional to weight x distance to the medoids drawn before.

    Raises:
        CxrlocError: there are fewer points than medoids.

    >>> line = np.array([0, 1, 2, 50, 51, 52])
    >>> table = abs(line[:, None] - line).astype(np.uint8)
    >>> k_medoids(table, np.ones(6, dtype=np.int64), 2, np.random.default_rng(0)).tolist()
    [1, 4]
    """
    n = len(distances)
    if k > n:
        raise CxrlocError(f"{k} clusters of {n} different clauses: ask for at most {n} clusters")
    medoids = _seeds(distances, weights, k, generator)
    nearest, d1, d2 = _two_nearest(distances, medoids)
    unimproved, candidate = 0, 0
    while unimproved < n and k < n:
        d_c = distances[candidate].astype(np.int64)
        shared = (weights * np.minimum(d_c - d1, 0)).sum()
        # The sum of "d2 - d1" and the correction above: the cost for a point of j if c replaces j.
        of_nearest = np.where(d_c < d1, 0, np.minimum(d_c, d2) - d1)
        change = shared + np.bincount(nearest, weights=weights * of_nearest, minlength=k)
        worst = int(change.argmin())
        unimproved += 1
        if change[worst] < 0:
            medoids[worst] = candidate
            nearest, d1, d2 = _two_nearest(distances, medoids)
            unimproved = 0
        candidate = (candidate + 1) % n
    return np.sort(medoids)


def _seeds(
    distances: UInt8[np.ndarray, "n n"],
    weights: Int[np.ndarray, " n"],
    k: int,
    generator: np.random.Generator,
) -> Int[np.ndarray, " k"]:
    medoids = [int(weights.argmax())]
    nearest = distances[medoids[0]].astype(np.int64)
    while len(medoids) < k:
        chances = (weights * nearest).astype(np.float64)
        chances[medoids] = 0
        if not chances.any():
            chances = np.ones(len(distances))
            chances[medoids] = 0
        medoids.append(int(generator.choice(len(distances), p=chances / chances.sum())))
        nearest = np.minimum(nearest, distances[medoids[-1]])
    return np.array(medoids, dtype=np.int64)


def _two_nearest(
    distances: UInt8[np.ndarray, "n n"], medoids: Int[np.ndarray, " k"]
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Position of each point's nearest medoid, its distance, and that of the second."""
    to_medoids = distances[medoids].astype(np.int64)  # medoid n
    nearest = to_medoids.argmin(axis=0)
    points = np.arange(to_medoids.shape[1])
    d1 = to_medoids[nearest, points]
    to_medoids[nearest, points] = np.iinfo(np.int64).max // 4
    # With one medoid there is no second one, so that any candidate takes over all points.
    d2 = to_medoids.min(axis=0) if len(medoids) > 1 else np.full_like(d1, 256)
    return nearest, d1, d2
