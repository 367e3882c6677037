"""The command line: parse, call one function of `pipeline`, print.

Nothing heavy is imported before a command runs, so that every `--help` answers at once.
"""

from pathlib import Path
from typing import Annotated

import typer

from cxrloc.terminal import (
    clear_errors,
    findings_table,
    show_bench,
    show_each,
    show_failures,
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

Out = Annotated[Path, typer.Option("--out", help="Folder for the results.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print failures only.")]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Name from `cxrloc models`, or a checkpoint file; several make an ensemble.",
    ),
]
Thresholds = Annotated[
    list[float],
    typer.Option("--threshold", min=0, max=255, help="Of the box rule; each gives boxes."),
]
Method = Annotated[
    str, typer.Option(help="cam, grad_cam, grad_cam_plus_plus, layer_cam, score_cam, ...")
]
Views = Annotated[str, typer.Option(help="plain, tta or five-patch.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Images in one forward pass.")]
Workers = Annotated[int, typer.Option(min=1, help="Threads that read and draw.")]
Seed = Annotated[int, typer.Option(help="Of every random draw.")]


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
            help="Folder in ChestX-ray14's layout; CSV, COCO JSON or folder of VOC XML with boxes."
            "  [default: embedded phantoms]",
        ),
    ] = None,
    model: Models = None,
    t_iobb: Annotated[
        list[float] | None, typer.Option(min=0, max=1, help="Correct above this IoBB.")
    ] = None,
    t_iou: Annotated[
        list[float] | None, typer.Option(min=0, max=1, help="Correct above this IoU.")
    ] = None,
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
    resamples: Annotated[int, typer.Option(min=0, help="Of the patient bootstrap.")] = 1000,
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
            sensitivity=sensitivity,
            inference=InferenceSettings(method, (), views, device, batch_size, workers, seed),
        )
        result = flow.bench(data, out, options, lambda images: with_progress(images, quiet))
        if not quiet:
            show_bench(result, out)
        show_failures(result.claims.failures)
        if result.claims.failures:
            raise typer.Exit(1)


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
