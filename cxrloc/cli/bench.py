"""`cxrloc bench`: scores localization against experts' boxes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxrloc.cli.missing_inputs import existing
from cxrloc.cli.options import (
    AllowContaminated,
    Beside,
    BoxRuleName,
    Html,
    LogJson,
    Method,
    Models,
    Quiet,
    Resamples,
    Thresholds,
    TIobb,
    TIou,
)
from cxrloc.cli.settings import (
    destination,
    image_data,
    inference_settings,
    view_pairing,
    with_settings,
)
from cxrloc.cli.terminal import (
    clear_errors,
    console,
    exit_on,
    model_line,
    show_frame,
    show_published,
    show_warnings,
    with_progress,
)
from cxrloc.text import warnings_with_counts

if TYPE_CHECKING:
    from pandas import DataFrame

    from cxrloc.evaluation.localization.scores import LocalizationScores
    from cxrloc.evaluation.measurement import Measurement
    from cxrloc.files.run_folder import Destination
    from cxrloc.inference.image_sets import DataOptions
    from cxrloc.inference.paired_images import Pairing
    from cxrloc.inference.prepared import InferenceSettings


@with_settings(
    images=image_data,
    pairing=view_pairing,
    where=destination,
    inference=inference_settings,
)
def bench(
    *,
    data: Annotated[
        Path | None,
        typer.Argument(
            callback=existing,
            help="Folder in ChestX-ray14's layout; plain folder of images, with --boxes; CSV, COCO "
            "JSON or folder of VOC XML with the images beside; annotation file of VinDr-CXR, RSNA "
            "Pneumonia, SIIM, ChestX-Det or CheXlocalize.  [default: embedded phantoms]",
        ),
    ] = None,
    model: Models = None,
    t_iobb: TIobb = None,
    t_iou: TIou = None,
    boxes_for: Annotated[
        str,
        typer.Option(
            help="Findings of an image whose maps give boxes: annotated, labelled, predicted or "
            "all."
        ),
    ] = "annotated",
    detections: Annotated[
        Path | None,
        typer.Option(
            callback=existing,
            help="Score the boxes of any tool: a CSV, a DICOM SR or SEG, a folder of these, or the "
            "results of `cxrloc archive`.",
        ),
    ] = None,
    maps: Annotated[
        Path | None,
        typer.Option(
            callback=existing,
            help="Score the raw maps of any tool: a folder of npz, or results of `cxrloc archive`.",
        ),
    ] = None,
    points: Annotated[
        Path | None,
        typer.Option(
            callback=existing, help="Score a reader's points too: a JSON of CheXlocalize's points."
        ),
    ] = None,
    sensitivity: Annotated[
        bool, typer.Option(help="Also score other readings of the box rule (slow).")
    ] = False,
    tuning: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share of patients on whom thresholds of maps and scores are chosen."
        ),
    ] = 0.3,
    oracle_threshold: Annotated[
        bool,
        typer.Option(
            help="Also choose thresholds on the very patients that are scored; their rows say so."
        ),
    ] = False,
    beside: Beside = [],  # noqa: B006
    html: Html = False,
    save_maps: Annotated[
        bool,
        typer.Option(
            "--save-maps",
            help="Also write the raw maps to OUT/maps; then `cxrloc figure localization-rows OUT` "
            "draws them.",
        ),
    ] = False,
    resamples: Resamples = 1000,
    method: Method = "cam",
    threshold: Thresholds = [60.0, 180.0],  # noqa: B006 (typer copies it)
    box_rule: BoxRuleName = "two-threshold",
    images: "DataOptions",
    allow_contaminated: AllowContaminated = False,
    pairing: "Pairing",
    where: "Destination",
    inference: "InferenceSettings",
    everything: Annotated[
        bool,
        typer.Option("--all", help="Print all tables, also those by view and of other metrics."),
    ] = False,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Score boxes against experts' boxes, with intervals and controls."""
    with clear_errors(quiet, log_json):
        if "list" in beside:
            show_published()
            return
        from cxrloc.evaluation.localization.placed_run import protocol_of_options
        from cxrloc.evaluation.localization.threshold_choice import ThresholdProtocol
        from cxrloc.evaluation.resampling import Resampling
        from cxrloc.models.names import DEFAULT_MODEL, PHANTOM_MODEL
        from cxrloc.pipeline import bench as flow
        from cxrloc.pipeline.run_settings import run_in_folder

        protocol = protocol_of_options(
            t_iobb or [],
            t_iou or [],
            boxes_for,
            threshold,
            Resampling(resamples, inference.seed),
            ThresholdProtocol(tuning, oracle_threshold, inference.seed),
        )
        options = flow.BenchOptions(
            models=tuple(model or [DEFAULT_MODEL if data else PHANTOM_MODEL]),
            detections=detections,
            maps=maps,
            points=points,
            protocol=replace(protocol, box_rule=box_rule),
            sensitivity=sensitivity,
            beside=tuple(beside),
            html=html,
            save_maps=save_maps,
            data=replace(images, allow_contaminated=allow_contaminated),
            pairing=pairing,
            inference=replace(inference, method=method),
        )
        result, folder = run_in_folder(
            "bench",
            where,
            [data],
            options,
            lambda run: flow.bench(
                data, run.path, options, lambda items: with_progress(items, quiet), run.journal
            ),
        )
        show_warnings(warnings_with_counts(result.claims.warnings))
        if not quiet:
            show_bench(result, folder, everything)
        exit_on(result.claims.failures)


def show_bench(result: Any, out: Path, everything: bool) -> None:
    """Print a summary of ten lines, then Wang's two tables; with `everything`, all other tables."""
    from cxrloc.evaluation.localization.headline import headline_lines
    from cxrloc.evaluation.localization.printed_tables import means_table
    from cxrloc.files.table_writer import terminal_table

    run, scores = result.run, result.scores
    screen = console()
    screen.width = min(screen.width, 100)
    missing = len(run["missing_images"]) + len(run["failed_images"])
    without_box = run["scored_images_without_box"]
    rule = f"; box rule {scores.box_rule}" if scores.box_rule else ""
    lines = [
        f"{model_line(run)}Boxes from: {run['boxes_from']}{rule}",
        f"Data: {run['data']['name']}: {scores.images} of {run['data']['images']} images scored, "
        f"{missing} missing, {without_box} of them without a box; {scores.boxes} of "
        f"{run['data']['boxes']} boxes (--boxes-for {scores.population})",
        f"Not scored: {scores.left_out} boxes on other pairs, {run['degenerate_maps'] or 0} "
        f"degenerate maps; {run['scored_pairs_without_map'] or 0} scored pairs have no map",
        *headline_lines(scores),
        f"Tables, boxes and run.json are in {out}" + ("" if everything else "; --all prints them"),
    ]
    screen.print(*lines, sep="\n", highlight=False)
    for table in scores_tables(scores, result.readings, everything):
        screen.print(terminal_table(table))
    if everything:
        # Blanks in the names let a narrow terminal break long names between words.
        means = means_table(result.metrics)
        screen.print(terminal_table(means.map(lambda cell: cell.replace("_", " "))))
    show_frame(result.beside)


def scores_tables(
    scores: "LocalizationScores", readings: "Sequence[Measurement]", everything: bool
) -> "list[DataFrame]":
    """Tables by criterion: each finding's accuracy, then means of model, controls, views, readings.

    Views are shown only with `everything`, and readings wherever the user asked for them.
    """
    from cxrloc.evaluation.localization.scores import EXACT, SENSITIVITY
    from cxrloc.evaluation.localization.tables import by_view, localization_frame, rows_of

    measured = scores.measurements
    frame = localization_frame(rows_of(measured))
    means = {f"control {name}": rows_of(measured, name) for name in scores.controls}
    if everything:
        means |= {f"view {view}": rows for view, rows in by_view(measured).items()}
    if readings:
        means |= {f"box rule {name}": rows_of(readings, name) for name in (EXACT, *SENSITIVITY)}
    others = {name: localization_frame(rows) for name, rows in means.items()}
    return [_table_of(frame, others, str(criterion)) for criterion in frame["criterion"].unique()]


def _table_of(
    scored: "DataFrame", others: "Mapping[str, DataFrame]", criterion: str
) -> "DataFrame":
    import pandas as pd

    from cxrloc.evaluation.localization.tables import CRITERION_NAMES

    def rows_by(frame: "DataFrame", finding: str) -> list[dict[str, Any]]:
        chosen = (frame["finding"] == finding) & (frame["criterion"] == criterion)
        return [{str(k): v for k, v in row.items()} for row in frame[chosen].to_dict("records")]

    thresholds = [row["threshold"] for row in rows_by(scored, "mean")]
    # The intervals have room only where there are few thresholds.
    cell = _with_interval if len(thresholds) <= 3 else _accuracy
    table = []
    for finding in scored["finding"].unique():
        rows = rows_by(scored, finding)
        table.append([finding, f"{rows[0]['annotated']:.0f}", *map(cell, rows)])
    table.append(["AFP, mean", "", *(f"{row['afp']:.2f}" for row in rows_by(scored, "mean"))])
    for name, frame in others.items():
        table.append([name, "", *map(cell, rows_by(frame, "mean"))])
    columns = [f"Accuracy, {CRITERION_NAMES[criterion]}", "boxes"]
    columns += [f"> {threshold:g}" for threshold in thresholds]
    return pd.DataFrame(table, columns=pd.Index(columns))


def _accuracy(row: "Mapping[str, Any]") -> str:
    return f"{row['accuracy']:.3f}"


def _with_interval(row: "Mapping[str, Any]") -> str:
    low, high = row["accuracy_low"], row["accuracy_high"]
    if low != low:  # no resamples, no interval
        return _accuracy(row)
    return f"{row['accuracy']:.3f} ({low:.2f} to {high:.2f})"
