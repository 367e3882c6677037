"""Writers of a scored run: CSV files, printed tables, maps, and its part of `run.json`."""

from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxrloc.errors import UsageError
from cxrloc.evaluation.localization.claims import Claims, warning_lines
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.localization.printed_tables import (
    controls_table,
    means_table,
    report_note,
    wang_tables,
)
from cxrloc.evaluation.localization.scores import EXACT, SENSITIVITY, LocalizationScores
from cxrloc.evaluation.localization.tables import (
    CRITERION_NAMES,
    by_view,
    differences_frame,
    localization_frame,
    metrics_frame,
    rows_of,
    subjects_frame,
    views_frame,
)
from cxrloc.evaluation.measurement import Measurement
from cxrloc.files.latex import PACKAGES, latex_tables
from cxrloc.files.table_writer import markdown_table, with_notes, write_csv
from cxrloc.files.whole import write_text
from cxrloc.inference.map_files import write_maps
from cxrloc.types import Detection, Record


def write_scores(
    scores: LocalizationScores, claims: Claims, out: Path, remarks: Sequence[str] = ()
) -> None:
    """Write the CSV files of scores, controls, differences, views and boxes, and the tables.

    Remarks on all numbers stand in the tables and in every row of differences, views and boxes.
    The columns of `localization.csv` and `controls.csv` are fixed, so these two rely on `run.json`.
    """
    measured = scores.measurements
    frames = {
        "localization": localization_frame(rows_of(measured)),
        "controls": subjects_frame(measured, scores.controls, "control"),
        "differences": differences_frame(measured, "control"),
        "detections": detections_frame(claims.detections),
        "views": views_frame(measured),
    }
    for name, frame in frames.items():
        # Boxes are written without rounding, so that scoring the file again gives the same numbers.
        if frame is not None:
            if name not in ("localization", "controls"):
                frame = with_notes(frame, remarks)
            digits = None if name == "detections" else "%.6g"
            write_csv(frame, out / f"{name}.csv", digits)
    new = [remark for remark in remarks if remark not in claims.warnings]
    sentences = [f"{remark[0].upper()}{remark[1:]}." for remark in new]
    warnings, note = [*sentences, *warning_lines(claims)], report_note(scores)
    printed = wang_tables(rows_of(measured))
    of_views = {view: wang_tables(rows) for view, rows in by_view(measured).items()}
    markdown = [*map(markdown_table, printed.values()), f"{note}\n"]
    markdown += [*(f"{line}\n" for line in warnings), markdown_table(controls_table(scores))]
    for view, tables in of_views.items():
        markdown += [f"View {view}\n", *map(markdown_table, tables.values())]
    write_text(out / "table.md", "\n".join(markdown))
    write_text(out / "table.tex", localization_latex(scores, warnings))


def localization_latex(scores: LocalizationScores, warnings: Sequence[str] = ()) -> str:
    """`table.tex`: a table for each criterion, of all images and of each view.

    Args:
        scores: of a run.
        warnings: sentences that stand in the notes below each table.
    """
    latex = [PACKAGES]
    notes = [report_note(scores), *warnings]
    measured = {"": rows_of(scores.measurements)} | by_view(scores.measurements)
    for view, rows in measured.items():
        for criterion, table in wang_tables(rows).items():
            caption = f"Localization by {CRITERION_NAMES[criterion]}{view and f', view {view}'}."
            latex.append(latex_tables(table, caption, notes, keys=3))
    return "\n".join(latex)


def refuse_other_maps(folder: Path) -> None:
    """Raise an error for a folder that already holds maps, since they would seem to be this run's.

    Raises:
        UsageError: there is one.
    """
    if any(folder.glob("*.npz")):
        raise UsageError(
            f"--save-maps: {folder} holds maps of an earlier run: remove them, or choose another "
            "--out"
        )


def write_claimed_maps(claims: Claims, folder: Path) -> None:
    """Write the raw maps of every image as `<image_id>.npz`, as `heatmap --save-maps` does."""
    folder.mkdir(exist_ok=True)
    for each in claims.heatmaps:
        probabilities = np.array([claims.probabilities[each.image_id, f] for f in each.findings])
        write_maps(probabilities, each, folder / f"{each.image_id}.npz")


def write_metrics(
    measurements: Sequence[Measurement], out: Path, remarks: Sequence[str] = ()
) -> None:
    """Write `metrics.csv` with a row per number, and `metrics.md` with the means over findings.

    Remarks on all numbers stand in every row and below the means.
    """
    write_csv(with_notes(metrics_frame(measurements), remarks), out / "metrics.csv")
    sentences = [f"{remark[0].upper()}{remark[1:]}.\n" for remark in remarks]
    write_text(
        out / "metrics.md", "\n".join([markdown_table(means_table(measurements)), *sentences])
    )


def write_sensitivity(
    readings: Sequence[Measurement], out: Path, remarks: Sequence[str] = ()
) -> None:
    """Write `sensitivity.csv`: scores under other readings of the box rule, and differences.

    Without readings nothing is written.
    """
    if not readings:
        return
    frame = subjects_frame(readings, (EXACT, *SENSITIVITY), "reading")
    differences = differences_frame(readings, "reading")
    write_csv(with_notes(frame, remarks), out / "sensitivity.csv")
    write_csv(with_notes(differences, remarks), out / "sensitivity_differences.csv")


def detections_frame(detections: Sequence[Detection]) -> pd.DataFrame:
    """One row per box, in the columns that `--detections` reads."""
    rows = [(d.image_id, d.finding, *astuple(d.box), d.threshold, d.score) for d in detections]
    columns = ["image", "finding", "x_min", "y_min", "x_max", "y_max", "threshold", "score"]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def describe_protocol(
    name: str, scores: LocalizationScores, protocol: ScoringProtocol
) -> dict[str, str]:
    """The protocol of this run in the columns of `published.protocols`, for comparison."""
    chosen = protocol.thresholds_from
    return {
        "table": "this run",
        "setting": name,
        "boxes_for_training": "see the model's card",
        "tuned_on_boxed_images": f"thresholds: {chosen}" if chosen else "no",
        "split": f"none of {scores.patients} patients trained the model, as far as its card says",
        "images_scored": f"{scores.boxes} boxes on {scores.images} images",
        "boxes_per_map": scores.box_rule or "boxes of a tool",
        "read": "measured",
    }


def describe_scores(
    scores: LocalizationScores, claims: Claims, records: Sequence[Record]
) -> dict[str, Any]:
    """What was scored and what was not: divisors, missing and failed images, degenerate maps."""
    divisors = {
        (row.metric, row.finding): row.divisor
        for row in rows_of(scores.measurements)
        if row.metric in ("accuracy", "boxes_per_heatmap") and row.finding != "mean"
    }
    boxes = {finding: divisors["accuracy", finding] for finding in scores.findings}
    maps = {
        finding: divisors.get(("boxes_per_heatmap", finding), 0.0) for finding in scores.findings
    }
    scored = {record.image_id for record in claims.records}
    failed = {failure.image_id: failure.reason for failure in claims.failures}
    absent = [r.image_id for r in records if r.image_id not in scored | failed.keys()]
    return {
        "scored_images": scores.images,
        "scored_images_without_box": sum(not record.annotations for record in claims.records),
        "scored_patients": scores.patients,
        "missing_images": absent,
        "failed_images": failed,
        "divisors": {
            "accuracy": boxes | {"mean": sum(boxes.values())},
            "afp": scores.boxes,
            "false_positives_per_heatmap": maps | {"mean": sum(maps.values())},
        },
        "detections_left_out": scores.left_out,
        "images_without_map_file": list(claims.without_map),
        "degenerate_maps": scores.maps_degenerate,
        "scored_pairs_without_map": scores.maps_missing,
        "warnings": dict(claims.warnings),
    }
