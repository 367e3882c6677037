"""Speed and memory of the report labeler and of the clustering of clauses.

    python benchmarks/speed_reports.py OPENI_FOLDER [--reports 20000] [--repeated 0]
        [--clauses 16000]

OPENI_FOLDER holds NLMCXR_reports.tgz. Prints Markdown. The tables show CPU seconds beside wall
seconds, because other work on the machine affects wall seconds.
"""

import argparse
import resource
import time
from collections.abc import Iterable, Iterator
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from cxrloc.reports.clauses import edit_distances, k_medoids
from cxrloc.reports.labels import label_reports
from cxrloc.reports.read import Report, read_reports

CLUSTERS = 50
PART = 500  # reports; other work on the machine slows the fastest of many parts least

WORDS = (
    *("small", "left", "right", "pleural", "effusion", "mild", "basilar", "atelectasis", "stable"),
    *("calcified", "nodule", "lobe", "upper", "lower", "heart", "enlarged", "tortuous", "aorta"),
)


def distinct(reports: Iterable[Report]) -> Iterator[Report]:
    """Reports without equal sentences, so that the labeler cannot use cached results.

    Each sentence gets a running number.
    """
    for number, report in enumerate(reports):
        yield Report(report.report_id, report.text.replace(". ", f" {number}a. "))


def peak_mib() -> float:
    """Peak resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed_labels(name: str, reports: Iterable[Report]) -> None:
    """A row of the table: reports per second, the fastest part, and the growth of peak memory."""
    before, wall, used = peak_mib(), time.perf_counter(), [time.process_time()]
    labelled, count, fastest = label_reports(reports), 0, 0.0
    while part := sum(1 for _ in islice(labelled, PART)):
        used.append(time.process_time())
        count += part
        fastest = max(fastest, part / (used[-1] - used[-2]))
    wall, growth = time.perf_counter() - wall, peak_mib() - before
    rates = f"{count / wall:.0f} | {count / (used[-1] - used[0]):.0f} | {fastest:.0f}"
    print(f"| {name} | {count} | {rates} | {growth:.0f} |")


def timed_clauses(count: int) -> None:
    """Rows on clustering invented clauses, and on the distances of a quarter of them, two ways."""
    generator = np.random.default_rng(0)
    clauses: set[str] = set()
    while len(clauses) < count:
        clauses.add(" ".join(generator.choice(WORDS, size=generator.integers(2, 7))))
    names = sorted(clauses)
    start = time.perf_counter()
    distances = edit_distances(names)
    middle = time.perf_counter()
    k_medoids(distances, np.ones(count, dtype=np.int64), CLUSTERS, generator)
    end = time.perf_counter()
    print(f"\n| {count} clauses, {CLUSTERS} clusters | s |\n|---|---|")
    print(f"| edit distances, {distances.nbytes / 2**20:.0f} MiB | {middle - start:.1f} |")
    print(f"| k-medoids | {end - middle:.1f} |\n| together | {end - start:.1f} |")
    ratio = one_list_ratio(names[::4])
    print(f"| rapidfuzz with one list for both sides, over ours | {ratio:.1f} x |")


def one_list_ratio(names: list[str]) -> float:
    """Time of rapidfuzz's symmetric path over ours, medians of five interleaved runs."""
    times: list[list[float]] = [[], []]
    for _ in range(5):
        for place, other in enumerate((names, list(names))):
            start = time.perf_counter()
            cdist(names, other, scorer=Levenshtein.distance, dtype=np.uint8, workers=-1)
            times[place].append(time.perf_counter() - start)
    return float(np.median(times[0]) / np.median(times[1]))


def main() -> None:
    """Print all rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("openi", type=Path)
    parser.add_argument("--reports", type=int, default=20_000)
    parser.add_argument("--repeated", type=int, default=0)
    parser.add_argument("--clauses", type=int, default=16_000)
    arguments = parser.parse_args()
    if arguments.clauses < CLUSTERS:
        parser.error(f"--clauses {arguments.clauses}: {CLUSTERS} clusters need as many clauses")
    archive = arguments.openi / "NLMCXR_reports.tgz"
    reports = [report for report in read_reports(archive) if isinstance(report, Report)]
    print("| reports | number | per s | per CPU s | fastest 500, per CPU s | memory grew by, MiB |")
    print("|---|---|---|---|---|---|")
    timed_labels("first use (rules compiled)", reports[:1])
    timed_labels("as they come, each once", reports)
    endless = cycle(reports)
    timed_labels("no sentence twice", distinct(islice(endless, arguments.reports // 2)))
    timed_labels("the same, again as many", distinct(islice(endless, arguments.reports // 2)))
    if arguments.repeated:
        copies = enumerate(islice(cycle(reports), arguments.repeated))
        named = (Report(f"{report.report_id}-{number}", report.text) for number, report in copies)
        timed_labels("as they come, repeated under ids of their own", named)
    timed_clauses(arguments.clauses)


if __name__ == "__main__":
    main()
