"""Writers of a scored run of classification: CSV files and printed tables."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from cxrloc.evaluation.classification.classification_report import ClassificationReport
from cxrloc.evaluation.classification.image_rankings import (
    image_precision_frame,
    labels_frame,
    single_findings_frame,
)
from cxrloc.evaluation.classification.operating_points import OperatingPoint
from cxrloc.evaluation.classification.reader_files import ReaderPoint
from cxrloc.evaluation.classification.roc_bands import roc_bands_frame
from cxrloc.evaluation.classification.tables import (
    auc_frame,
    classification_frame,
    classification_latex,
    classification_markdown,
    confusion_frame,
    reliability_frame,
    roc_frame,
)
from cxrloc.evaluation.classification.units import ScoredUnits, are_probabilities
from cxrloc.evaluation.resampling import Resampling
from cxrloc.files.table_writer import with_notes, write_csv
from cxrloc.files.whole import write_text


def write_classification(
    units: ScoredUnits,
    points: Mapping[str, OperatingPoint],
    report: ClassificationReport,
    out: Path,
    readers: Sequence[ReaderPoint] = (),
) -> None:
    """Write the CSV files of numbers and curves, and the tables.

    Radiologists' points are written to `readers.csv`. Curves and the confusion matrix are those of
    all units together. Scores outside [0, 1] are not probabilities and have no reliability curve.
    If lists of findings are scored, `labels.csv` has the labels that the threshold gives. The
    report's remarks stand in every row.
    """
    resampling = Resampling(report.resamples, report.seed, report.level)
    frames = {
        "roc": roc_frame(units),
        "roc_bands": roc_bands_frame(units, resampling),
        "confusion": confusion_frame(units, points),
        "single_findings": single_findings_frame(units),
        "image_precision": image_precision_frame(units, report.list_threshold),
    }
    if readers:
        frames["readers"] = pd.DataFrame([asdict(point) for point in readers])
    if are_probabilities(units.scores):
        frames["reliability"] = reliability_frame(units)
    if report.list_threshold is not None:
        frames["labels"] = labels_frame(units, report.list_threshold)
    frames = {name: with_notes(frame, report.remarks) for name, frame in frames.items()}
    frames |= {"auc": auc_frame(report), "classification": classification_frame(report)}
    for name, frame in frames.items():
        write_csv(frame, out / f"{name}.csv")
    write_text(out / "table.md", classification_markdown(report))
    write_text(out / "table.tex", classification_latex(report))
