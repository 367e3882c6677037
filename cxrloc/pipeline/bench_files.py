"""The files of `cxrloc bench`."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pandas as pd

from cxrloc.evaluation.localization.metrics import metrics_frame, metrics_markdown
from cxrloc.evaluation.localization.scores import LocalizationScores, PairedDifferences
from cxrloc.evaluation.localization.tables import (
    controls_markdown,
    differences_frame,
    latex_table,
    markdown_table,
    report_frame,
    reports_frame,
)
from cxrloc.inference.map_files import write_maps
from cxrloc.pipeline.claims import Claims, warning_lines
from cxrloc.pipeline.outputs import make_folder
from cxrloc.types import Detection, LocalizationReport, Measurement, UsageError


def write_scores(scores: LocalizationScores, claims: Claims, out: Path) -> None:
    """Write the CSV files of scores, controls, differences, views and boxes, and the tables."""
    frames = {
        "localization": report_frame(scores.report),
        "controls": reports_frame(scores.controls, "control"),
        "differences": differences_frame(scores.differences),
        "detections": detections_frame(claims.detections),
    }
    if scores.by_view:
        by_view = {str(view): report for view, report in scores.by_view.items()}
        frames["views"] = reports_frame(by_view, "view")
    for name, frame in frames.items():
        # Boxes in full: scored again, they must give the same numbers.
        digits = None if name == "detections" else "%.6g"
        frame.to_csv(out / f"{name}.csv", index=False, float_format=digits)
    warnings = warning_lines(claims)
    controls = controls_markdown(scores.report, scores.controls, scores.differences)
    views = [f"View {v}\n\n{markdown_table(r)}" for v, r in scores.by_view.items()]
    (out / "table.md").write_text(
        "\n".join([markdown_table(scores.report), *(f"{w}\n" for w in warnings), controls, *views])
    )
    views = [f"% View {v}\n{latex_table(r)}" for v, r in scores.by_view.items()]
    (out / "table.tex").write_text(
        "\n".join([latex_table(scores.report), *(f"% {w}" for w in warnings), *views])
    )


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
    frame = metrics_frame(measurements)
    frame.to_csv(out / "metrics.csv", index=False, float_format="%.6g")
    (out / "metrics.md").write_text(metrics_markdown(measurements))


def write_sensitivity(
    readings: Mapping[str, LocalizationReport],
    differences: Mapping[str, PairedDifferences],
    out: Path,
) -> None:
    """Write `sensitivity.csv`: scores under other readings of the box rule, and differences."""
    reports_frame(readings, "reading").to_csv(
        out / "sensitivity.csv", index=False, float_format="%.6g"
    )
    differences_frame(differences).rename(columns={"control": "reading"}).to_csv(
        out / "sensitivity_differences.csv", index=False, float_format="%.6g"
    )


def detections_frame(detections: Sequence[Detection]) -> pd.DataFrame:
    """One row per box, in the columns that `--detections` reads."""
    rows = [(d.image_id, d.finding, *astuple(d.box), d.threshold, d.score) for d in detections]
    columns = ["image", "finding", "x_min", "y_min", "x_max", "y_max", "threshold", "score"]
    return pd.DataFrame(rows, columns=pd.Index(columns))
