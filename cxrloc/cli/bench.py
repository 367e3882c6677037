"""`cxrloc bench`: localization scored against experts' boxes."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxrloc.cli.options import (
    BatchSize,
    Beside,
    Device,
    Html,
    Method,
    Models,
    Out,
    PairingChoice,
    Pairs,
    Quiet,
    Resamples,
    Seed,
    Thresholds,
    TIobb,
    TIou,
    Versions,
    Workers,
)
from cxrloc.cli.terminal import (
    clear_errors,
    console,
    exit_on,
    model_line,
    plain_table,
    show_frame,
    show_published,
    with_progress,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cxrloc.evaluation.localization.scores import LocalizationScores
    from cxrloc.types import LocalizationReport


def bench(
    data: Annotated[
        Path | None,
        typer.Argument(
            help="Folder in ChestX-ray14's layout; CSV, COCO JSON or folder of VOC XML with boxes; "
            "annotation file of VinDr-CXR, RSNA Pneumonia, SIIM, ChestX-Det or CheXlocalize."
            "  [default: embedded phantoms]",
        ),
    ] = None,
    model: Models = None,
    t_iobb: TIobb = None,
    t_iou: TIou = None,
    boxes_for: Annotated[
        str, typer.Option(help="Whose maps give boxes: annotated, labelled, predicted or all.")
    ] = "annotated",
    detections: Annotated[
        Path | None, typer.Option(help="Score the boxes of any tool, from this CSV.")
    ] = None,
    maps: Annotated[
        Path | None, typer.Option(help="Score the raw maps of any tool, from this folder of npz.")
    ] = None,
    points: Annotated[
        Path | None,
        typer.Option(help="Score a reader's points too: a JSON of CheXlocalize's points."),
    ] = None,
    sensitivity: Annotated[
        bool, typer.Option(help="Also score other readings of the box rule (slow).")
    ] = False,
    tuning: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share of patients to choose thresholds of maps and scores on."
        ),
    ] = 0.3,
    oracle_threshold: Annotated[
        bool, typer.Option(help="Also choose them on the patients that are scored; marked so.")
    ] = False,
    beside: Beside = [],  # noqa: B006
    html: Html = False,
    save_maps: Annotated[
        bool,
        typer.Option(
            "--save-maps",
            help="Write the raw maps too, to OUT/maps: then `cxrloc figure localization-rows OUT` "
            "draws them.",
        ),
    ] = False,
    resamples: Resamples = 1000,
    method: Method = "cam",
    threshold: Thresholds = [60.0, 180.0],  # noqa: B006 (typer copies it)
    pairs: Pairs = None,
    pairing: PairingChoice = "first",
    out: Out = Path("cxrloc-out"),
    versions: Versions = "plain",
    device: Device = "auto",
    batch_size: BatchSize = 8,
    workers: Workers = 2,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Score localization against experts' boxes, with intervals and controls."""
    with clear_errors(quiet):
        if "list" in beside:
            show_published()
            return
        from cxrloc.evaluation.localization.threshold_choice import ThresholdProtocol
        from cxrloc.evaluation.resampling import Resampling
        from cxrloc.inference.batches import InferenceSettings
        from cxrloc.models.weights import DEFAULT_MODEL, PHANTOM_MODEL
        from cxrloc.pipeline import bench as flow
        from cxrloc.pipeline.paired_images import Pairing

        resampling = Resampling(resamples, seed)
        options = flow.BenchOptions(
            models=tuple(model or [DEFAULT_MODEL if data else PHANTOM_MODEL]),
            detections=detections,
            maps=maps,
            points=points,
            protocol=flow.protocol(t_iobb or [], t_iou or [], boxes_for, threshold, resampling),
            thresholds=ThresholdProtocol(tuning, oracle_threshold, seed),
            sensitivity=sensitivity,
            beside=tuple(beside),
            html=html,
            save_maps=save_maps,
            pairing=Pairing(pairs, pairing),
            inference=InferenceSettings(method, (), versions, device, batch_size, workers, seed),
        )
        result = flow.bench(data, out, options, lambda images: with_progress(images, quiet))
        if not quiet:
            show_bench(result, out)
        exit_on(result.claims.failures)


def show_bench(result: Any, out: Path) -> None:
    """What was scored, by which model, on how much of the data; then the scores."""
    from cxrloc.evaluation.localization.metrics import metrics_rows
    from cxrloc.pipeline.claims import warning_lines

    run, report = result.run, result.scores.report
    screen = console()
    missing = len(run["missing_images"]) + len(run["failed_images"])
    screen.print(
        f"{model_line(run)}Boxes from: {run['boxes_from']}. Data: {run['data']['name']}.\n"
        f"{report.images} of {run['data']['images']} images scored, {missing} missing; "
        f"{run['scored_images_without_box']} of them have no box "
        f"(--boxes-for {report.population}); "
        f"{report.divisor} of {run['data']['boxes']} boxes. Not scored: {report.left_out} "
        f"boxes on pairs outside the population, {run['degenerate_maps'] or 0} degenerate maps; "
        f"{run['scored_pairs_without_map'] or 0} scored pairs have no map.",
        *warning_lines(result.claims),
        sep="\n",
        highlight=False,
    )
    screen.print(scores_tables(result.scores, result.readings))
    # With blanks, so that a narrow terminal breaks long names between words.
    metrics = [[cell.replace("_", " ") for cell in row] for row in metrics_rows(result.metrics)]
    screen.print(plain_table(metrics))
    show_frame(result.beside)
    screen.print(f"Tables, boxes and run.json are in {out}", highlight=False)


def scores_tables(
    scores: "LocalizationScores", readings: "Mapping[str, LocalizationReport]"
) -> "RenderableType":
    """Accuracy of every finding, then means: model, controls, views, other readings of the rule."""
    from rich import box as lines
    from rich.console import Group
    from rich.table import Table

    from cxrloc.evaluation.localization.tables import CRITERION_NAMES

    report, tables = scores.report, []
    for criterion in dict.fromkeys(rule.criterion for rule in report.rules):
        rows = [i for i, rule in enumerate(report.rules) if rule.criterion == criterion]
        table = Table(box=lines.SIMPLE_HEAD)
        table.add_column(f"Accuracy, {CRITERION_NAMES[criterion]}")
        table.add_column("boxes", justify="right")
        for row in rows:
            table.add_column(f"> {report.rules[row].threshold:g}", justify="right")
        # With few thresholds there is room for the intervals.
        cell = _with_interval if len(rows) <= 3 else _alone
        for column, finding in enumerate(report.findings):
            if finding == "mean":
                table.add_section()
            cells = [cell(report, row, column) for row in rows]
            table.add_row(finding, f"{report.annotated[column]:.0f}", *cells)
        afp = [f"{report.afp[row, -1]:.2f}" for row in rows]
        table.add_row("AFP, mean", "", *afp)
        table.add_section()
        for name, control in scores.controls.items():
            table.add_row(f"control {name}", "", *(cell(control, row, -1) for row in rows))
        for kind, others in (("view", scores.by_view), ("box rule", readings)):
            for name, other in others.items():
                table.add_row(f"{kind} {name}", "", *(cell(other, row, -1) for row in rows))
        tables.append(table)
    return Group(*tables)


def _alone(report: Any, row: int, column: int) -> str:
    return f"{report.accuracy[row, column]:.3f}"


def _with_interval(report: Any, row: int, column: int) -> str:
    low, high = report.accuracy_low[row, column], report.accuracy_high[row, column]
    if low != low:  # no resamples, no interval
        return _alone(report, row, column)
    return f"{report.accuracy[row, column]:.3f} ({low:.2f} to {high:.2f})"
