"""`cxrloc compare`: compares the results of two or more runs on the same images."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cxrloc.datasets import label_origin
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.evaluation.classification.folds import mean_over_folds, spread_over_folds
from cxrloc.evaluation.classification.populations import images_of_projection
from cxrloc.evaluation.classification.truth import under_rules
from cxrloc.evaluation.contamination import contamination_of_card
from cxrloc.evaluation.result_folders import (
    PREDICTIONS,
    TRUTH_SHA256,
    data_of,
    findings_of,
    folds_of,
    labels_of,
    notes_on_other_truth,
    read_run,
)
from cxrloc.evaluation.run_comparison import (
    COMPARED,
    CompareOptions,
    KindWatch,
    compare_runs_of_two_views,
    rules_of_runs,
    write_comparison,
)
from cxrloc.files.installed import versions
from cxrloc.files.run_folder import make_folder
from cxrloc.inference.image_sets import read_images, with_file_labels
from cxrloc.panels.results import run_names
from cxrloc.phantom import NOT_OF_PATIENTS, is_synthetic


class CompareResult(NamedTuple):
    """The results for the terminal; the files are already written."""

    frames: Mapping[str, pd.DataFrame]
    run: dict[str, Any]


def compare(
    paths: Sequence[Path], out: Path, options: CompareOptions, watch: KindWatch = iter
) -> CompareResult:
    """Compare the probabilities, the boxes or both that all runs have, and write tables to `out`.

    Args:
        paths: result folders of `classify` or `bench`, or CSV files of probabilities or boxes.
        out: folder for the results, which must not be a folder of the runs.
        options: truth and protocol.
        watch: wraps the iterator of the kinds that are compared, to show the progress.

    Raises:
        UsageError: a path is not a run, the truth is not found, or `out` cannot be written.
        CxrlocError: the runs have nothing in common.
    """
    return compare_named(dict(zip(run_names(paths), paths, strict=True)), out, options, watch)


def compare_named(
    paths: Mapping[str, Path], out: Path, options: CompareOptions, watch: KindWatch = iter
) -> CompareResult:
    """`compare` for runs that are given by the names that they have in the results."""
    if out.resolve() in {path.resolve() for path in paths.values()}:
        raise UsageError(f"--out {out} is one of the runs: its files would be overwritten")
    make_folder(out)
    runs = {name: read_run(path) for name, path in paths.items()}
    kinds = {PREDICTIONS: compare_runs_of_two_views} if options.two_views else COMPARED
    shared = {k: f for k, f in kinds.items() if all(k in run.files for run in runs.values())}
    if not shared:
        raise CxrlocError(
            f"{', '.join(runs)}: one has probabilities and another has boxes, so there is nothing "
            "to compare"
        )
    data, joined = data_of(runs, options.data, options.labels)
    labels = options.labels or labels_of(runs, data)
    declared = [*options.findings, *findings_of(runs)]
    image_set = read_images(data, joined, declared)
    options = replace(options, labels=None if image_set.has_own_tables else labels)
    image_set = with_file_labels(image_set, labels, declared)
    remarks = [NOT_OF_PATIENTS] if is_synthetic(data) else []
    for name, compared in runs.items():
        remarks += contamination_of_card(name, compared.card)
    notes = notes_on_other_truth(runs, image_set.records, data) if options.data else []
    image_set = images_of_projection(image_set, options.projection)
    rules = rules_of_runs(runs)
    records = under_rules(image_set.records, rules)
    frames: dict[str, pd.DataFrame] = {}
    counts: dict[str, Any] = {}
    for kind, compare_kind in watch(shared.items()):
        tables, counted = compare_kind(runs, records, options)
        frames |= tables
        counts[kind] = counted | {"truth_sha256": TRUTH_SHA256[kind](records)}
    run = {
        "versions": versions(),
        "runs": {
            name: {kind: str(f) for kind, f in run.files.items()} for name, run in runs.items()
        },
        "data": {
            "name": image_set.name,
            "path": str(data) if data else None,
            "options": asdict(joined),
            "synthetic": is_synthetic(data),
            "images": len(records),
            "truth_sha256": TRUTH_SHA256[next(iter(shared))](records),
        },
        "notes": [*remarks, *image_set.notes, *notes],
        "labels_from": label_origin(data, labels),
        "protocol": {k: v for k, v in asdict(options).items() if k not in ("data", "labels")}
        | asdict(rules),
        **counts,
    }
    write_comparison(frames, run, out)
    return CompareResult(frames, run)


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
    if any(names != first for names in folds.values()):
        of_runs = "; ".join(
            f"{name}: {', '.join(names) or 'none'}" for name, names in folds.items()
        )
        raise UsageError(f"runs are compared on the same folds; these have {of_runs}")
    results = {
        fold: compare_named(
            {name: path / fold for name, path in named.items()}, out / fold, options, watch
        )
        for fold in first
    }
    frames = {
        "differences": spread_over_folds(
            [r.frames["differences"] for r in results.values()],
            ["finding", "metric", "run_a", "run_b"],
            "difference",
        ),
        "rank_correlations": mean_over_folds(
            [r.frames["rank_correlations"] for r in results.values()]
        ),
    }
    one = results[first[0]].run
    run = {
        **{key: one[key] for key in ("versions", "data", "labels_from", "protocol")},
        "notes": _notes_of_folds({fold: result.run["notes"] for fold, result in results.items()}),
        "runs": {name: str(path) for name, path in named.items()},
        "folds": {fold: result.run[PREDICTIONS] for fold, result in results.items()},
    }
    write_comparison(frames, run, out)
    return CompareResult(frames, run)


def _notes_of_folds(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """Every note once, followed by the names of its folds where not all of them have it.

    >>> _notes_of_folds({"fold-0": ["synthetic", "a leaks"], "fold-1": ["synthetic"]})
    ['synthetic', 'a leaks (fold-0)']
    """
    folds = {
        note: [f for f in notes if note in notes[f]] for each in notes.values() for note in each
    }
    return [
        note if len(of) == len(notes) else f"{note} ({', '.join(of)})" for note, of in folds.items()
    ]
