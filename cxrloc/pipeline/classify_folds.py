"""Scores the folds of one recipe, each model on its own test part, and averages over folds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cxrloc.datasets.splits import LEAKS
from cxrloc.errors import UsageError
from cxrloc.evaluation.classification.folds import over_folds
from cxrloc.evaluation.classification.predicted_images import PredictionWatch
from cxrloc.files.installed import versions
from cxrloc.files.journal import Journal
from cxrloc.files.run_folder import make_folder
from cxrloc.files.table_writer import markdown_table, with_notes, write_csv
from cxrloc.files.whole import write_json, write_text
from cxrloc.inference.prepared import Failure
from cxrloc.models.weights import read_model
from cxrloc.phantom import NOT_OF_PATIENTS, is_synthetic
from cxrloc.pipeline.classify import ClassifyResult, classify_by
from cxrloc.pipeline.classify_options import ClassifyOptions
from cxrloc.recipe_of_model import models_by_fold, own_recipe


class FoldsResult(NamedTuple):
    """The results for the terminal; the files are already written.

    Attributes:
        frame: the table of `over_folds`.
        run: the content of run.json.
        failures: images of all folds that could not be read.
    """

    frame: pd.DataFrame
    run: dict[str, Any]
    failures: Sequence[Failure]


def classify_folds(
    data: Path | None,
    out: Path,
    options: ClassifyOptions,
    watch: PredictionWatch = iter,
    journal: Journal | None = None,
) -> FoldsResult:
    """Score each fold's model on the test part of its fold; write mean and deviation over folds.

    Baltruschat et al. 2019, tables 2 to 4: mean and standard deviation over five resamplings.
    `out` gets the files of `classify` for each fold in a folder `fold-0`, ..., `folds.csv`,
    `table.md` and `run.json`.

    Args:
        data: the data set that the models were trained on.
        out: folder for the results.
        options: options of `classify`; the models are those of the folds.
        watch: as for `classify`.
        journal: probabilities of an interrupted run, which are not computed again.

    Raises:
        UsageError: the models are not folds of one recipe.
        CxrlocError: as for `classify`.
    """
    if options.predictions is not None:
        raise UsageError("--folds scores models, not --predictions")
    if options.split not in ("all", "own"):
        raise UsageError(f"--folds scores own test parts: leave --split {options.split} out")
    models = models_by_fold([(name, read_model(name)) for name in options.models])
    make_folder(out)
    options = replace(options, split="own")
    results = {}
    for fold, model in sorted(models.items()):
        name = f"fold-{fold}"
        fold_journal = None if journal is None else journal.part(name)
        results[name] = classify_by([model], data, out / name, options, watch, fold_journal)
    frame = over_folds([result.report for result in results.values()])
    remarks = [NOT_OF_PATIENTS] if is_synthetic(data) else []
    write_csv(with_notes(frame, remarks), out / "folds.csv")
    warnings = _warnings(results)
    sentences = "".join(f"\n{remark.capitalize()}.\n" for remark in remarks)
    sentences += "".join(f"\nWarning: {text}.\n" for text in warnings)
    write_text(out / "table.md", markdown_table(frame) + sentences)
    first = own_recipe(next(iter(models.values())))
    run = {
        "versions": versions(),
        "recipe": first.title,
        "data": {"path": str(data) if data else None, "synthetic": bool(remarks)},
        "split": first.data.split.kind,
        "folds": first.data.split.folds,
        "scored": {
            fold: {"model": result.run["model"], **result.run["scored"]}
            for fold, result in results.items()
        },
        LEAKS: any(result.run[LEAKS] for result in results.values()),
        "warnings": warnings,
    }
    write_json(out / "run.json", run)
    failures = [failure for result in results.values() for failure in result.failures]
    return FoldsResult(frame, run, failures)


def _warnings(results: Mapping[str, ClassifyResult]) -> dict[str, dict[str, int]]:
    """Each warning once, with the number of images in each fold that it was given for."""
    warnings: dict[str, dict[str, int]] = {}
    for fold, result in results.items():
        for text, images in result.run["warnings"].items():
            warnings.setdefault(text, {})[fold] = images
    return warnings
