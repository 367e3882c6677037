"""The command line: parse, call one function of `pipeline`, print.

Nothing heavy is imported before a command runs, so that every `--help` answers at once.
"""

from pathlib import Path
from typing import Annotated

import typer

from cxrloc.options import (
    Aggregate,
    Aggregation,
    BatchSize,
    Beside,
    ByUnit,
    Device,
    Group,
    Method,
    Models,
    Out,
    Quiet,
    Resamples,
    Seed,
    Thresholds,
    TIobb,
    TIou,
    Unit,
    Views,
    Workers,
)
from cxrloc.terminal import (
    clear_errors,
    exit_on,
    findings_table,
    show_bench,
    show_classification,
    show_clusters,
    show_comparison,
    show_each,
    show_labels,
    show_published,
    show_trust,
    with_progress,
)

app = typer.Typer(
    name="cxrloc",
    help="Weakly-supervised localization for chest radiographs. Research only: not for diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command(
    epilog="Example: cxrloc phantom chests --n 4 --format dicom && cxrloc heatmap chests/images"
)
def heatmap(
    paths: Annotated[
        list[Path], typer.Argument(help="DICOM, PNG or JPEG files, or folders of them.")
    ],
    model: Models = None,
    method: Method = "cam",
    finding: Annotated[
        list[str] | None, typer.Option(help="Report this finding only; may be repeated.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Findings drawn, most probable first.")] = 3,
    threshold: Thresholds = [60.0, 180.0],  # noqa: B006 (typer copies it)
    voi: Annotated[int, typer.Option(min=0, help="Which window of a DICOM, from 0.")] = 0,
    save_maps: Annotated[bool, typer.Option(help="Write raw maps of all findings (npz).")] = False,
    out: Out = Path("cxrloc-out"),
    views: Views = "plain",
    device: Device = "auto",
    batch_size: BatchSize = 8,
    workers: Workers = 2,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Picture, findings and boxes of each radiograph."""
    with clear_errors():
        from cxrloc.inference.batches import InferenceSettings
        from cxrloc.models.weights import DEFAULT_MODEL
        from cxrloc.pipeline import heatmap as flow

        options = flow.HeatmapOptions(
            models=tuple(model or [DEFAULT_MODEL]),
            top=top,
            thresholds=tuple(threshold),
            voi=voi,
            save_maps=save_maps,
            inference=InferenceSettings(
                method, tuple(finding or ()), views, device, batch_size, workers, seed
            ),
        )
        results = flow.heatmap(paths, out, options)
        show_each(results, lambda result: findings_table(result, top), quiet)
        if not quiet:
            typer.echo(f"Pictures and boxes are in {out}")


@app.command(epilog="Example: cxrloc models --default")
def models(
    default: Annotated[bool, typer.Option("--default", help="Print its name only.")] = False,
) -> None:
    """The embedded models, what they were trained on and their limits."""
    with clear_errors():
        from cxrloc.models.weights import DEFAULT_MODEL, MODELS, read_model

        if default:
            typer.echo(DEFAULT_MODEL)
            return
        for name in MODELS:
            card = read_model(name).card
            mark = " (default)" if name == DEFAULT_MODEL else ""
            typer.echo(f"{name}{mark}\n  trained on: {card.trained_on}")
            typer.echo(f"  findings:   {', '.join(card.findings)}\n  limits:     {card.limits}")


@app.command(epilog="Example: cxrloc bench --t-iobb 0.5")
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
    resamples: Resamples = 1000,
    method: Method = "cam",
    threshold: Thresholds = [60.0, 180.0],  # noqa: B006 (typer copies it)
    out: Out = Path("cxrloc-out"),
    views: Views = "plain",
    device: Device = "auto",
    batch_size: BatchSize = 8,
    workers: Workers = 2,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Score localization against experts' boxes, with intervals and controls."""
    with clear_errors():
        if "list" in beside:
            show_published()
            return
        from cxrloc.evaluation.localization.threshold_choice import ThresholdProtocol
        from cxrloc.evaluation.resampling import Resampling
        from cxrloc.inference.batches import InferenceSettings
        from cxrloc.models.weights import DEFAULT_MODEL
        from cxrloc.pipeline import bench as flow

        resampling = Resampling(resamples, seed)
        options = flow.BenchOptions(
            models=tuple(model or [DEFAULT_MODEL]),
            detections=detections,
            maps=maps,
            protocol=flow.protocol(t_iobb or [], t_iou or [], boxes_for, threshold, resampling),
            thresholds=ThresholdProtocol(tuning, oracle_threshold, seed),
            sensitivity=sensitivity,
            beside=tuple(beside),
            inference=InferenceSettings(method, (), views, device, batch_size, workers, seed),
        )
        result = flow.bench(data, out, options, lambda images: with_progress(images, quiet))
        if not quiet:
            show_bench(result, out)
        exit_on(result.claims.failures)


@app.command(epilog="Example: cxrloc classify --by patient --tuning 0.3")
def classify(
    data: Annotated[
        Path | None,
        typer.Argument(
            help="Folder in ChestX-ray14's layout, or boxes with images beside."
            "  [default: embedded phantoms]",
        ),
    ] = None,
    model: Models = None,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Score the probabilities of any tool: image, one column per finding."),
    ] = None,
    split: Annotated[str, typer.Option(help="all, or an official list: train_val, test.")] = "all",
    by: ByUnit = Unit.IMAGE,
    aggregation: Aggregate = Aggregation.MAX,
    tuning: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share of patients to choose thresholds on, and not to score."
        ),
    ] = 0.0,
    group_by: Annotated[
        list[Group], typer.Option(help="Report these groups apart; may be repeated.")
    ] = [*Group],  # noqa: B006 (typer copies it)
    beside: Beside = [],  # noqa: B006
    resamples: Resamples = 1000,
    out: Out = Path("cxrloc-out"),
    views: Views = "plain",
    device: Device = "auto",
    batch_size: BatchSize = 8,
    workers: Workers = 2,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Score classification: AUC, operating points, calibration, by view, sex and age."""
    with clear_errors():
        if "list" in beside:
            show_published()
            return
        from cxrloc.evaluation.resampling import Resampling
        from cxrloc.inference.batches import InferenceSettings
        from cxrloc.models.weights import DEFAULT_MODEL
        from cxrloc.pipeline import classify as flow

        options = flow.ClassifyOptions(
            models=tuple(model or [DEFAULT_MODEL]),
            predictions=predictions,
            split=split,
            unit=by.value,
            aggregation=aggregation.value,
            tuning=tuning,
            groups=tuple(group.value for group in group_by),
            beside=tuple(beside),
            resampling=Resampling(resamples, seed),
            inference=InferenceSettings("cam", (), views, device, batch_size, workers, seed),
        )
        result = flow.classify(data, out, options, lambda images: with_progress(images, quiet))
        if not quiet:
            show_classification(result, out)
        exit_on(result.failures)


@app.command(
    epilog="Example: echo 'No effusion. Possible mass.' > report.txt && cxrloc label report.txt"
)
def label(
    reports: Annotated[
        Path,
        typer.Argument(help="Folder or .tgz of Open-i XML, CSV with a text column, or text files."),
    ],
    out: Annotated[Path, typer.Option(help="Label file; others are named after it.")] = Path(
        "labels.csv"
    ),
    gold: Annotated[
        Path | None, typer.Option(help="Score against the labels in this CSV, one row per report.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Also write sentence, span and rule of each mention.")
    ] = False,
    vocabulary: Annotated[str, typer.Option(help="chestxray14 or chexpert.")] = "chestxray14",
    engine: Annotated[str, typer.Option(help="Of negation: scope or dependency.")] = "scope",
    parser: Annotated[
        str, typer.Option(help="spaCy pipeline of the dependency engine.")
    ] = "en_core_web_sm",
    cluster: Annotated[
        int | None,
        typer.Option(min=1, help="Group diagnosis clauses instead: the largest K clusters."),
    ] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Labels out of radiology reports: 1, 0, -1 (uncertain) or empty (not mentioned)."""
    with clear_errors():
        from cxrloc.pipeline import label as flow
        from cxrloc.types import UsageError

        def watch(found: flow.Reports) -> flow.Reports:
            return with_progress(found, quiet, "Reports")

        if cluster is not None:
            if gold or explain:
                raise UsageError("--cluster excludes --gold and --explain: clusters have no names")
            clusters = flow.cluster(reports, out, cluster, seed, watch)
            if not quiet:
                show_clusters(clusters)
            exit_on(clusters.failures)
            return
        options = flow.LabelOptions(gold, explain, vocabulary, engine, parser, seed)
        result = flow.label(reports, out, options, watch)
        if not quiet:
            show_labels(result)
        exit_on(result.failures)


@app.command(
    epilog="Example: cxrloc classify --out a && cxrloc classify --views tta --out b"
    " && cxrloc compare a b"
)
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Two or more folders of classify or bench, or CSV files of theirs."),
    ],
    data: Annotated[
        Path | None, typer.Option(help="The images' data set.  [default: what the runs name]")
    ] = None,
    by: ByUnit = Unit.IMAGE,
    aggregation: Aggregate = Aggregation.MAX,
    t_iobb: TIobb = None,
    t_iou: TIou = None,
    most: Annotated[int, typer.Option(min=1, help="Disagreements listed.")] = 50,
    resamples: Annotated[int, typer.Option(min=1, help="Of the patient bootstrap.")] = 1000,
    out: Out = Path("cxrloc-compare"),
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Paired differences, rank correlations and disagreements of runs on the same images."""
    with clear_errors():
        from cxrloc.evaluation.resampling import Resampling
        from cxrloc.pipeline import compare as flow
        from cxrloc.pipeline.bench import protocol

        rules = protocol(t_iobb or [], t_iou or [], "annotated", (), Resampling(resamples, seed))
        options = flow.CompareOptions(data, by.value, aggregation.value, rules, most)
        result = flow.compare(runs, out, options)
        if not quiet:
            show_comparison(result, out)


@app.command(epilog="Example: cxrloc trust --images 2")
def trust(
    data: Annotated[
        Path | None,
        typer.Argument(help="A data set with labels.  [default: embedded phantoms]"),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Name from `cxrloc models`, or a checkpoint file.")
    ] = None,
    shuffled_model: Annotated[
        str | None, typer.Option(help="Trained alike on shuffled labels: label randomisation.")
    ] = None,
    other_model: Annotated[
        list[str] | None, typer.Option(help="Of another seed or architecture; may be repeated.")
    ] = None,
    images: Annotated[int, typer.Option(min=2, help="Images drawn.")] = 8,
    resamples: Resamples = 1000,
    method: Method = "cam",
    out: Out = Path("cxrloc-trust"),
    device: Device = "auto",
    batch_size: BatchSize = 8,
    workers: Workers = 2,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Test heatmaps: faithfulness, randomised weights and labels, repeatability, stability."""
    with clear_errors():
        from cxrloc.evaluation.resampling import Resampling
        from cxrloc.inference.batches import InferenceSettings
        from cxrloc.models.weights import DEFAULT_MODEL
        from cxrloc.pipeline import trust as flow
        from cxrloc.pipeline.trust_cases import TrustOptions

        options = TrustOptions(
            model=model or DEFAULT_MODEL,
            shuffled_model=shuffled_model,
            other_models=tuple(other_model or ()),
            images=images,
            resampling=Resampling(resamples, seed),
            inference=InferenceSettings(method, (), "plain", device, batch_size, workers, seed),
        )
        result = flow.trust(data, out, options, lambda cases: with_progress(cases, quiet))
        if not quiet:
            show_trust(result, out)
        exit_on(result.failures)


@app.command(epilog="Example: cxrloc phantom chests --n 8 && cxrloc bench chests")
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    n: Annotated[int, typer.Option(min=1, help="Number of radiographs.")] = 200,
    seed: Seed = 0,
    file_format: Annotated[str, typer.Option("--format", help="png or dicom.")] = "png",
    quiet: Quiet = False,
) -> None:
    """A data set of synthetic radiographs with exact boxes, laid out as ChestX-ray14."""
    with clear_errors():
        from cxrloc.datasets.phantom import write_phantoms

        records = write_phantoms(out, n, seed, file_format)
        if not quiet:
            boxes = sum(len(record.annotations) for record in records)
            typer.echo(f"{len(records)} radiographs with {boxes} findings are in {out}")
