"""The files of `cxrloc bench`."""

from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pandas as pd

from cxrloc.evaluation.localization.scores import EXACT, SENSITIVITY, LocalizationScores
from cxrloc.evaluation.localization.tables import (
    by_view,
    controls_table,
    differences_frame,
    localization_frame,
    means_table,
    metrics_frame,
    report_note,
    rows_of,
    subjects_frame,
    views_frame,
    wang_tables,
)
from cxrloc.files.run_folder import make_folder
from cxrloc.files.table_writer import latex_table, markdown_table, write_csv
from cxrloc.files.whole import write_text
from cxrloc.inference.map_files import write_maps
from cxrloc.pipeline.claims import Claims, warning_lines
from cxrloc.types import Detection, Measurement, UsageError


def write_scores(scores: LocalizationScores, claims: Claims, out: Path) -> None:
    """Write the CSV files of scores, controls, differences, views and boxes, and the tables."""
    measured = scores.measurements
    frames = {
        "localization": localization_frame(rows_of(measured)),
        "controls": subjects_frame(measured, scores.controls, "control"),
        "differences": differences_frame(measured, "control"),
        "detections": detections_frame(claims.detections),
        "views": views_frame(measured),
    }
    for name, frame in frames.items():
        # Boxes in full: scored again, they must give the same numbers.
        if frame is not None:
            digits = None if name == "detections" else "%.6g"
            write_csv(frame, out / f"{name}.csv", digits)
    warnings, note = warning_lines(claims), report_note(scores)
    own = wang_tables(rows_of(measured)).values()
    of_views = {view: wang_tables(rows).values() for view, rows in by_view(measured).items()}
    markdown = [*map(markdown_table, own), f"{note}\n", *(f"{line}\n" for line in warnings)]
    markdown += [markdown_table(controls_table(scores))]
    latex = [*map(latex_table, own), f"% {note}", *(f"% {line}" for line in warnings)]
    for view, tables in of_views.items():
        markdown += [f"View {view}\n", *map(markdown_table, tables)]
        latex += [f"% View {view}", *map(latex_table, tables)]
    write_text(out / "table.md", "\n".join(markdown))
    write_text(out / "table.tex", "\n".join([*latex, ""]))


def make_maps_folder(folder: Path) -> None:
    """Make the folder of `write_claimed_maps`, before any work starts.

    Raises:
        UsageError: it cannot be made, or holds maps, which would pass for this run's.
    """
    if any(folder.glob("*.npz")):
        raise UsageError(
            f"--save-maps: {folder} holds maps of an earlier run: remove them, or choose another "
            "--out"
        )
    make_folder(folder)


def write_claimed_maps(claims: Claims, folder: Path) -> None:
    """Write the raw maps of every image as `<image_id>.npz`, as `heatmap --save-maps` does."""
    for each in claims.heatmaps:
        probabilities = np.array([claims.probabilities[each.image_id, f] for f in each.findings])
        write_maps(probabilities, each, folder / f"{each.image_id}.npz")


def write_metrics(measurements: Sequence[Measurement], out: Path) -> None:
    """Write `metrics.csv`, a row per number, and its means over findings as `metrics.md`."""
    write_csv(metrics_frame(measurements), out / "metrics.csv")
    write_text(out / "metrics.md", markdown_table(means_table(measurements)))


def write_sensitivity(readings: Sequence[Measurement], out: Path) -> None:
    """Write `sensitivity.csv`: scores under other readings of the box rule, and differences."""
    frame = subjects_frame(readings, (EXACT, *SENSITIVITY), "reading")
    write_csv(frame, out / "sensitivity.csv")
    write_csv(differences_frame(readings, "reading"), out / "sensitivity_differences.csv")


def detections_frame(detections: Sequence[Detection]) -> pd.DataFrame:
    """One row per box, in the columns that `--detections` reads."""
    rows = [(d.image_id, d.finding, *astuple(d.box), d.threshold, d.score) for d in detections]
    columns = ["image", "finding", "x_min", "y_min", "x_max", "y_max", "threshold", "score"]
    return pd.DataFrame(rows, columns=pd.Index(columns))
