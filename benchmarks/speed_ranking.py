"""Bootstrap of AUC and average precision over patients against scikit-learn called in a loop.

Both sides score the same resamples of a test set as large as ChestX-ray14's (25,596 images of
about 2,797 patients, 14 findings) and must agree to 1e-12. The loop is timed on a few resamples,
in turns with ours, and scaled to all of them: the printed seconds of the loop are that estimate.

    python benchmarks/speed_ranking.py [--resamples 1000] [--timed 5] [--rounds 3]
"""

import argparse
import statistics
import time

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from cxrloc.evaluation.classification.auc_intervals import (
    rank_by_patient,
    resampled_rank_statistics,
)
from cxrloc.evaluation.resampling import resample_patients

IMAGES, PATIENTS, FINDINGS = 25_596, 2_797, 14
COLUMNS = 250  # resamples at once, as in cxrloc.evaluation.resampling


def made_set():
    """Truth, scores and patients; prevalences from 0.3 to 24 %, one finding with many ties."""
    generator = np.random.default_rng(0)
    truth = generator.random((IMAGES, FINDINGS)) < np.geomspace(0.003, 0.24, FINDINGS)
    scores = generator.normal(size=truth.shape) + truth
    scores[:, 0] = scores[:, 0].round(1)
    images = generator.pareto(1.5, PATIENTS) + 0.2  # few patients have many images
    patient = generator.choice(PATIENTS, IMAGES, p=images / images.sum())
    return truth, scores, np.unique(patient, return_inverse=True)[1]


def bootstrap_all(truth, scores, patient, resamples):
    """Counts, and values [finding, metric, resample], by drawing, sorting and scoring resamples."""
    patients = int(patient.max()) + 1
    carries = np.zeros((patients, 2 * FINDINGS), dtype=bool)
    np.logical_or.at(carries, patient, np.hstack([truth, ~truth]))
    counts = resample_patients(carries, resamples, seed=0)
    values = np.empty((FINDINGS, 2, resamples))
    for finding in range(FINDINGS):
        ranking = rank_by_patient(truth[:, finding], scores[:, finding], patient, patients)
        for first in range(0, resamples, COLUMNS):
            part = slice(first, first + COLUMNS)
            values[finding, :, part] = resampled_rank_statistics(
                ranking, counts[:, part].astype(float)
            )
    return counts, values


def loop(truth, scores, patient, counts, measures):
    """The same values by scikit-learn, one resample and finding after another."""
    values = np.empty((FINDINGS, len(measures), counts.shape[1]))
    for column in range(counts.shape[1]):
        index = np.repeat(np.arange(IMAGES), counts[patient, column])
        for finding in range(FINDINGS):
            drawn = truth[index, finding], scores[index, finding]
            values[finding, :, column] = [measure(*drawn) for measure in measures]
    return values


def timed(function, *arguments):
    """Seconds that a call takes, and its result."""
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--timed", type=int, default=5, help="resamples that the loop is timed on")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    data = made_set()
    seconds = {"ours": [], "AUC": [], "AUC and average precision": []}
    apart = 0.0
    for _ in range(options.rounds):
        spent, (counts, values) = timed(bootstrap_all, *data, options.resamples)
        seconds["ours"].append(spent)
        few = counts[:, : options.timed]
        for name, measures in (
            ("AUC", [roc_auc_score]),
            ("AUC and average precision", [roc_auc_score, average_precision_score]),
        ):
            spent, expected = timed(loop, *data, few, measures)
            seconds[name].append(spent * options.resamples / options.timed)
            same = values[:, : len(measures), : options.timed]
            apart = max(apart, float(np.abs(expected - same).max()))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{options.resamples} resamples x {FINDINGS} findings x {IMAGES} images")
    print(f"largest difference from scikit-learn: {apart:.1e}\n")
    print("| scikit-learn in a loop | loop, s (scaled) | ours, AUC and AP, s | ratio |")
    print("| --- | ---: | ---: | ---: |")
    for name in ("AUC", "AUC and average precision"):
        ratio = medians[name] / medians["ours"]
        print(f"| {name} | {medians[name]:.1f} | {medians['ours']:.2f} | {ratio:.0f} |")


if __name__ == "__main__":
    main()
