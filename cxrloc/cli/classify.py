"""`cxrloc classify`: scores image-level predictions."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxrloc.cli.classification_options import (
    Aggregate,
    Aggregation,
    ByUnit,
    Group,
    NoFinding,
    Uncertain,
    Unit,
)
from cxrloc.cli.missing_inputs import existing
from cxrloc.cli.options import (
    All,
    AllowContaminated,
    Beside,
    Finding,
    Html,
    LogJson,
    Models,
    PatientIds,
    Products,
    Projection,
    Quiet,
    Resamples,
    TruthLabels,
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
    from cxrloc.files.run_folder import Destination
    from cxrloc.inference.image_sets import DataOptions
    from cxrloc.inference.paired_images import Pairing
    from cxrloc.inference.prepared import InferenceSettings

TERMINAL_METRICS = ("auc", "sensitivity", "specificity")
"""Metrics of a classification report on the terminal; more do not fit beside each other."""


@with_settings(
    images=image_data,
    pairing=view_pairing,
    where=destination,
    inference=inference_settings,
)
def classify(
    *,
    data: Annotated[
        Path | None,
        typer.Argument(
            callback=existing,
            help="Folder of ChestX-ray14, CheXpert, MIMIC-CXR or Open-i; a plain folder of images, "
            "with --labels; or boxes with the images beside.  [default: embedded phantoms]",
        ),
    ] = None,
    model: Models = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            callback=existing,
            help="Score the probabilities of any tool: a CSV with the column image and one column "
            "per finding, or the results of `cxrloc archive`.",
        ),
    ] = None,
    labels: TruthLabels = None,
    readings: Annotated[
        Path | None,
        typer.Option(
            callback=existing,
            help="Radiologists' calls, drawn as points beside the curves: a CSV with the column "
            "reader, one of image, study and patient, and 1, 0 or blank per finding.",
        ),
    ] = None,
    products: Products = False,
    split: Annotated[
        str,
        typer.Option(
            help="all, an official part (train_val, train, validation, test), or own: the test "
            "part of the split that the model was trained by."
        ),
    ] = "all",
    projection: Projection = "",
    finding: Finding = [],  # noqa: B006
    population: Annotated[
        str,
        typer.Option(
            help="all, single-label or multi-label: score units by their number of labels."
        ),
    ] = "all",
    uncertain: Annotated[
        Uncertain | None,
        typer.Option(
            help="Uncertain labels: unknown (left out) or negative.  [default: as the model's "
            "recipe, else unknown]",
            show_default=False,
        ),
    ] = None,
    no_finding: Annotated[
        NoFinding | None,
        typer.Option(
            help="No Finding: the data set's own label (labels), or none of the findings scored "
            "beside it (outputs).  [default: as the model's recipe, else labels]",
            show_default=False,
        ),
    ] = None,
    patient_ids: PatientIds = False,
    folds: Annotated[
        bool,
        typer.Option(
            "--folds",
            help="The models are folds of one recipe (`cxrloc train --fold`): score each on its "
            "own test part, then mean and standard deviation over them.",
        ),
    ] = False,
    by: ByUnit = Unit.IMAGE,
    aggregation: Aggregate = Aggregation.MAX,
    tuning: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Share of patients on whom thresholds are chosen; they are not scored.",
        ),
    ] = 0.0,
    operating_point: Annotated[
        float | None,
        typer.Option(
            "--operating-point",
            min=0,
            max=1,
            help="Label every image with all findings of a probability above this (labels.csv), "
            "and score these lists.",
        ),
    ] = None,
    group_by: Annotated[
        list[Group], typer.Option(help="Also report each group alone; may be repeated.")
    ] = [*Group],  # noqa: B006 (typer copies it)
    beside: Beside = [],  # noqa: B006
    html: Html = False,
    resamples: Resamples = 1000,
    images: "DataOptions",
    allow_contaminated: AllowContaminated = False,
    pairing: "Pairing",
    where: "Destination",
    inference: "InferenceSettings",
    every: All = False,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Score probabilities of images: AUC, decisions and calibration.

    All numbers are also given by view, sex and age.
    """
    with clear_errors(quiet, log_json):
        if "list" in beside:
            show_published()
            return
        from cxrloc.evaluation.resampling import Resampling
        from cxrloc.models.names import DEFAULT_MODEL, PHANTOM_MODEL
        from cxrloc.pipeline.classify import classify as score
        from cxrloc.pipeline.classify_options import ClassifyOptions
        from cxrloc.pipeline.run_settings import run_in_folder

        options = ClassifyOptions(
            models=tuple(model or [DEFAULT_MODEL if data else PHANTOM_MODEL]),
            predictions=predictions,
            labels=labels,
            readings=readings,
            split=split,
            projection=projection,
            findings=tuple(finding),
            population=population,
            uncertain=uncertain.value if uncertain else None,
            no_finding=no_finding.value if no_finding else None,
            patient_ids=patient_ids,
            unit=by.value,
            aggregation=aggregation.value,
            tuning=tuning,
            operating_point=operating_point,
            groups=tuple(group.value for group in group_by),
            beside=tuple(beside),
            html=html,
            resampling=Resampling(resamples, inference.seed),
            data=replace(images, allow_contaminated=allow_contaminated),
            pairing=pairing,
            inference=replace(inference, products=products),
        )
        if folds:
            show_folds(data, where, options, quiet)
            return
        result, folder = run_in_folder(
            "classify",
            where,
            [data],
            options,
            lambda run: score(
                data, run.path, options, lambda items: with_progress(items, quiet), run.journal
            ),
        )
        show_warnings(warnings_with_counts(result.run["warnings"]))
        show_warnings(result.run["notes"])
        if not quiet:
            show_classification(result, folder, every)
        exit_on(result.failures)


def show_folds(data: Path | None, where: "Destination", options: Any, quiet: bool) -> None:
    """Score the models as folds of one recipe; print mean and standard deviation of every AUC."""
    from cxrloc.pipeline.classify_folds import classify_folds
    from cxrloc.pipeline.run_settings import run_in_folder

    result, out = run_in_folder(
        "classify-folds",
        where,
        [data],
        options,
        lambda run: classify_folds(
            data, run.path, options, lambda items: with_progress(items, quiet), run.journal
        ),
    )
    for text, images in result.run["warnings"].items():
        counts = ", ".join(f"{n} images of {fold}" for fold, n in images.items())
        show_warnings([f"{text} ({counts})"])
    if not quiet:
        run, frame = result.run, result.frame
        screen = console()
        screen.print(f"{run['recipe']}: {len(run['scored'])} of {run['folds']} folds.")
        show_frame(frame[frame["metric"] == "auc"].drop(columns="metric"))
        screen.print(f"folds.csv, and a folder of results for each fold, are in {out}")
    exit_on(result.failures)


def show_classification(result: Any, out: Path, every: bool) -> None:
    """Print main numbers and each finding's AUC; with `every`, decisions and published numbers."""
    from cxrloc.evaluation.classification.tables import headlines, printed_frame
    from cxrloc.files.table_writer import terminal_table

    run, report = result.run, result.report
    screen = console()
    missing = run["missing"] + len(run["failed_images"])
    screen.print(
        f"{model_line(run)}Data: {run['data']['name']}; labels: {run['labels_from']}.",
        f"{run['predicted_images']} of {run['data']['images']} images predicted, {missing} "
        f"missing; {report.units} units ({report.unit}) of {report.patients} patients scored.",
        *(f"Note: {text}" for text in run["remarks"]),
        *headlines(report),
        sep="\n",
        highlight=False,
    )
    metrics = TERMINAL_METRICS if every else TERMINAL_METRICS[:1]
    screen.print(terminal_table(printed_frame(report, metrics)))
    points = run["operating_points"].values()
    if chosen := sorted({f"{point['rule']}, on {point['chosen_on']}" for point in points}):
        screen.print(f"Thresholds of sensitivity and specificity: {'; '.join(chosen)}.")
    if report.list_threshold is not None:
        screen.print(f"Labels above {report.list_threshold:g} are in labels.csv.", highlight=False)
    if readers := run["readers"]:
        screen.print(
            f"Radiologists under the curve, mean over findings: {readers['mean_under_curve']:.1f} "
            f"of {readers['mean_readers']:g}; mean AUC of their operating points "
            f"{readers['mean_auc']:.3f} (readers.csv)",
            highlight=False,
        )
    show_frame(result.beside)
    more = "" if every else "Sensitivity and specificity of each finding: --all. "
    screen.print(f"{more}Tables, curves and run.json are in {out}", highlight=False)
