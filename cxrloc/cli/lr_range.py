"""`cxrloc lr-range`: tests how high a recipe's learning rate may be."""

from pathlib import Path
from typing import Annotated

import typer

from cxrloc.cli.options import (
    Device,
    FirstWeights,
    Fold,
    ImageCache,
    LogJson,
    NewOut,
    Overwrite,
    Quiet,
    RecipeName,
    TrainingBatchSize,
    TrainingFolder,
    TrainingLabels,
    TrainingPrecision,
)
from cxrloc.cli.terminal import clear_errors, decoded, show_failures, show_warnings, with_progress


def lr_range(
    recipe: RecipeName,
    data: TrainingFolder = None,
    labels: TrainingLabels = None,
    start: FirstWeights = "",
    fold: Fold = None,
    lowest: Annotated[float, typer.Option(help="Learning rate of the first step.")] = 1e-6,
    highest: Annotated[float, typer.Option(help="Learning rate of the last step.")] = 1.0,
    steps: Annotated[int, typer.Option(help="Batches.")] = 100,
    ramp: Annotated[str, typer.Option(help="exponential or linear.")] = "exponential",
    out: NewOut = None,
    overwrite: Overwrite = False,
    cache: ImageCache = Path("cxrloc-cache"),
    precision: TrainingPrecision = "",
    batch_size: TrainingBatchSize = 0,
    device: Device = "auto",
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Loss of a recipe while its learning rate rises, as a table and a plot."""
    with clear_errors(quiet, log_json):
        from cxrloc.files.run_folder import Destination
        from cxrloc.inference.image_sets import DataOptions
        from cxrloc.pipeline import lr_range as flow
        from cxrloc.pipeline.run_settings import run_in_folder
        from cxrloc.pipeline.train import TrainOptions

        options = TrainOptions(
            recipe=recipe,
            data=data,
            start=start,
            fold=fold,
            cache=cache,
            device=device,
            precision=precision,
            batch_size=batch_size,
            images=DataOptions(labels=labels),
        )
        config = flow.RangeConfig(lowest, highest, steps, ramp)
        result, folder = run_in_folder(
            "lr-range",
            Destination(out, overwrite),
            [data],
            (options, config),
            lambda run: flow.lr_range(
                run.path,
                options,
                config,
                decoding=lambda images: decoded(images, quiet),
                watch=lambda points: with_progress(points, quiet, "Steps"),
            ),
        )
        if not quiet:
            if result.falls:
                typer.echo("The loss falls from {:.2g} to {:.2g}".format(*result.falls))
            else:
                typer.echo("The loss falls nowhere: begin lower, or take more steps")
            if result.diverged:
                typer.echo(f"It diverges at {result.points[-1].learning_rate:.2g}")
            typer.echo(f"Table and plot are in {folder}")
        show_warnings(result.warnings)
        show_failures(result.failures)
