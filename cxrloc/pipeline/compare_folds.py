"""Compares runs of `classify --folds`, fold by fold, and averages over the folds."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cxrloc.evaluation.result_folders import PREDICTIONS, folds_of
from cxrloc.panels.results import run_names
from cxrloc.pipeline.compare import (
    CompareOptions,
    CompareResult,
    KindWatch,
    compare_named,
    write_comparison,
)
from cxrloc.pipeline.folds import spread
from cxrloc.types import UsageError

_PAIR = ["finding", "metric", "run_a", "run_b"]


def compare_folds(
    paths: Sequence[Path], out: Path, options: CompareOptions, watch: KindWatch = iter
) -> CompareResult:
    """Compare the runs of each fold as `compare` does; average differences and rank correlations.

    Source: Baltruschat et al. 2019, table 5: Spearman's rank correlation between all pairs of
    models, "averaged over all five splits".
    `out` gets the files of `compare` for each fold in a folder `fold-0`, ..., and over the folds
    `differences.csv` (mean, standard deviation of a sample, min and max), `rank_correlations.csv`
    (mean of the folds that have one), `table.md`, `table.tex` and `run.json`.

    Args:
        paths: result folders of `classify --folds`, of the same folds.
        out: folder for the results, which must not be a folder of the runs.
        options: truth and protocol.
        watch: as for `compare`, for each fold.

    Raises:
        UsageError: the runs do not have the same folds, or as for `compare`.
        CxrlocError: as `compare`.
    """
    if {out.resolve(), out.resolve().parent} & {path.resolve() for path in paths}:
        raise UsageError(f"--out {out} is one of the runs, or lies in it: choose another folder")
    named = dict(zip(run_names(paths), paths, strict=True))
    folds = {name: folds_of(path) for name, path in named.items()}
    first = folds_of(paths[0])
    if any(own != first for own in folds.values()):
        said = "; ".join(f"{name}: {', '.join(own) or 'none'}" for name, own in folds.items())
        raise UsageError(f"runs are compared on the same folds; these have {said}")
    results = {
        fold: compare_named(
            {name: path / fold for name, path in named.items()}, out / fold, options, watch
        )
        for fold in first
    }
    frames = {
        "differences": spread(
            pd.concat([r.frames["differences"] for r in results.values()]), _PAIR, "difference"
        ),
        "rank_correlations": _mean([r.frames["rank_correlations"] for r in results.values()]),
    }
    one = results[first[0]].run
    run = {
        **{key: one[key] for key in ("versions", "data", "notes", "labels_from", "protocol")},
        "runs": {name: str(path) for name, path in named.items()},
        "folds": {fold: result.run[PREDICTIONS] for fold, result in results.items()},
    }
    write_comparison(frames, run, out)
    return CompareResult(frames, run)


def _mean(folds: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(folds).groupby("run", sort=False).mean().reset_index()
