"""Variants of the small model, compared over the folds that `screen_nih_small.py --save` left.

    python benchmarks/compare_screened.py RUNS VARIANT VARIANT...

A fold of a variant is the folder RUNS/VARIANT/FOLD. Only folds that all variants have are compared.
Prints two Markdown tables. The first has the mean AUC of the eight findings over the folds, with
paired differences from the first variant (1,000 resamples of patients, within each fold). The
second has the accuracy of boxes on the images of `guides_of_place.py`, and its difference from the
accuracy of permuted maps, as mean and standard error over the folds.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

RESAMPLES = 1000


def common_folds(variants: Sequence[Path]) -> list[str]:
    """Names of the folds that every variant has finished."""
    finished = [{path.parent.name for path in one.glob("*/guides.json")} for one in variants]
    return sorted(set.intersection(*finished))


def fold_aucs(fold: Path, abnormal: bool, resamples: int) -> np.ndarray:
    """Mean AUC over the findings on a fold, and the same in each resample of the fold's patients.

    Args:
        fold: folder of a run.
        abnormal: count only the images with one of the findings.
        resamples: number of resamples of the patients, which are the same for every variant.
    """
    saved = np.load(fold / "fold.npz")
    truth, logits = saved["truth"], saved["logits"]
    kept = truth.any(axis=1) if abnormal else np.ones(len(truth), dtype=bool)
    truth, logits = truth[kept], logits[kept]
    patients, of_image = np.unique(saved["patients"][kept], return_inverse=True)
    rng = np.random.default_rng(0)
    draws = rng.multinomial(len(patients), np.full(len(patients), 1 / len(patients)), resamples)
    weights = np.vstack([np.ones(len(truth)), draws[:, of_image]])
    return np.array([mean_auc(truth, logits, one) for one in weights])


def mean_auc(truth: np.ndarray, logits: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean AUC over findings that have positive and negative images; weights are 1 by default."""
    weights = np.ones(len(truth)) if weights is None else weights
    areas = []
    for one, scores in zip(truth.T, logits.T, strict=True):
        with_finding = weights[one].sum()
        if 0 < with_finding < weights.sum():
            areas.append(roc_auc_score(one, scores, sample_weight=weights))
    return float(np.mean(areas))


def auc_table(variants: Sequence[Path], folds: Sequence[str]) -> list[str]:
    """Print rows of AUC with intervals."""
    rows = ["| variant | AUC, all | | AUC, abnormal | |", "|---|---|---|---|---|"]
    first: list[np.ndarray] = []
    for variant in variants:
        cells = []
        for column, abnormal in enumerate((False, True)):
            of_folds = [fold_aucs(variant / fold, abnormal, RESAMPLES) for fold in folds]
            values = np.mean(of_folds, axis=0)
            if len(first) <= column:
                first.append(values)
                cells += [with_interval(values, ".3f"), ""]
            else:
                paired = with_interval(values - first[column], "+.3f")
                cells += [with_interval(values, ".3f"), paired]
        rows.append(f"| {variant.name} | " + " | ".join(cells) + " |")
    return rows


def with_interval(values: np.ndarray, digits: str) -> str:
    """Text of the first value with the 95 % interval of the other values."""
    low, high = np.quantile(values[1:], (0.025, 0.975))
    return f"{values[0]:{digits}} [{low:{digits}}, {high:{digits}}]"


def guide_table(variants: Sequence[Path], folds: Sequence[str]) -> list[str]:
    """Print rows of accuracy and of its difference from the accuracy of permuted maps."""
    rows = [
        "| variant | guide | boxes per map | IoBB .25 | above permuted | IoU .1 | above permuted |",
        "|---|---|---|---|---|---|---|",
    ]
    for variant in variants:
        runs = [json.loads((variant / fold / "guides.json").read_text()) for fold in folds]
        for guide in runs[0]:
            boxes = np.mean([run[guide]["boxes"] for run in runs])
            own = np.array([run[guide]["own"] for run in runs])  # fold rule
            above = own - np.array([run[guide]["permuted"] for run in runs])
            error = above.std(axis=0) / np.sqrt(max(1, len(folds) - 1))
            cells = [
                f"{own[:, k].mean():.3f} | {above[:, k].mean():+.3f} ({error[k]:.3f})"
                for k in range(2)
            ]
            rows.append(f"| {variant.name} | {guide} | {boxes:.1f} | " + " | ".join(cells) + " |")
    return rows


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, help="folder of all runs")
    parser.add_argument(
        "variants", nargs="+", help="names of sub-folders; the first is compared to"
    )
    options = parser.parse_args()
    variants = [options.runs / name for name in options.variants]
    folds = common_folds(variants)
    print(f"Folds: {', '.join(folds)}\n")
    print("\n".join([*auc_table(variants, folds), "", *guide_table(variants, folds)]))


if __name__ == "__main__":
    main()
