"""`cxrloc compare`: compares runs on the same images, in pairs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cxrloc.cli.classification_options import Aggregate, Aggregation, ByUnit, Unit
from cxrloc.cli.missing_inputs import existing
from cxrloc.cli.options import (
    All,
    Finding,
    LogJson,
    NewOut,
    Overwrite,
    PairingChoice,
    PatientIds,
    Projection,
    Quiet,
    Seed,
    TIobb,
    TIou,
    TruthLabels,
)
from cxrloc.cli.terminal import clear_errors, console, show_frame, with_progress


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            callback=existing,
            help="Two or more folders of classify or bench, or their CSV files; or folders of "
            "classify --folds, of which each fold is compared, then averaged.",
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            callback=existing, help="Data set of the images.  [default: the one that the runs name]"
        ),
    ] = None,
    labels: TruthLabels = None,
    projection: Projection = "",
    finding: Finding = [],  # noqa: B006 (typer copies it)
    patient_ids: PatientIds = False,
    two_views: Annotated[
        bool,
        typer.Option(
            "--two-views",
            help="The runs are of a frontal model, a lateral model and a network of both views, "
            "in this order: the last against the two together, on its studies (--by study).",
        ),
    ] = False,
    pairing: PairingChoice = "first",
    by: ByUnit = Unit.IMAGE,
    aggregation: Aggregate = Aggregation.MAX,
    t_iobb: TIobb = None,
    t_iou: TIou = None,
    most: Annotated[int, typer.Option(min=1, help="Number of disagreements that are listed.")] = 50,
    resamples: Annotated[
        int, typer.Option(min=1, help="Number of resamples of the bootstrap over patients.")
    ] = 1000,
    out: NewOut = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    every: All = False,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Compare runs on the same images: differences with intervals.

    Also rank correlations, and the images on which the runs disagree most.
    """
    with clear_errors(quiet, log_json):
        from cxrloc.evaluation.localization.placed_run import protocol_of_options
        from cxrloc.evaluation.resampling import Resampling
        from cxrloc.evaluation.result_folders import folds_of
        from cxrloc.files.run_folder import Destination
        from cxrloc.pipeline import compare as flow
        from cxrloc.pipeline.run_settings import run_in_folder

        rules = protocol_of_options(
            t_iobb or [], t_iou or [], "annotated", (), Resampling(resamples, seed)
        )
        options = flow.CompareOptions(
            data,
            by.value,
            aggregation.value,
            rules,
            most,
            labels,
            projection,
            tuple(finding),
            patient_ids,
            two_views,
            pairing,
        )
        in_folds = any(map(folds_of, runs)) and not two_views
        compare_runs = flow.compare_folds if in_folds else flow.compare
        result, folder = run_in_folder(
            "compare",
            Destination(out, overwrite),
            runs,
            options,
            lambda run: compare_runs(
                runs, run.path, options, lambda items: with_progress(items, quiet, "Comparisons")
            ),
        )
        if not quiet:
            show_comparison(result, folder, every)


def show_comparison(result: Any, out: Path, every: bool) -> None:
    """Print mean difference and rank correlations; with `every`, each finding's AUC difference."""
    screen = console()
    folds = f" Over {len(result.run['folds'])} folds." if "folds" in result.run else ""
    screen.print(
        f"Data: {result.run['data']['name']}; labels: {result.run['labels_from']}.{folds} "
        "Differences: later minus earlier run.",
        *(f"Note: {note}" for note in result.run["notes"]),
        sep="\n",
        highlight=False,
    )
    for name, frame in result.frames.items():
        if name.endswith("disagreements"):
            continue
        if name in ("differences", "two_views"):
            frame = frame[frame["metric"] == "auc"].drop(columns="metric")
        if "finding" in frame.columns and not every:
            frame = frame[frame["finding"] == "mean"]
        screen.print(f"{name.replace('_', ' ').capitalize()}:")
        show_frame(frame)
    more = "" if every else "Each finding: --all. "
    screen.print(f"{more}Tables, lists of disagreements and run.json are in {out}", highlight=False)
