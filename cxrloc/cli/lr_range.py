"""`cxrloc lr-range`: how high a recipe's learning rate may be."""

from pathlib import Path
from typing import Annotated

import typer

from cxrloc.cli.options import Device, Out, Quiet
from cxrloc.cli.terminal import clear_errors, decoded, show_failures, show_warnings, with_progress


def lr_range(
    recipe: Annotated[str, typer.Argument(help="Name from `cxrloc recipes`, or a TOML file.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of the recipe's data set; phantoms need none.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Labels by `cxrloc label`, in place of the data set's own."),
    ] = None,
    start: Annotated[
        str,
        typer.Option(help="First weights, in place of the recipe's: a file, imagenet, scratch."),
    ] = "",
    fold: Annotated[
        int | None,
        typer.Option(min=0, help="Which of the recipe's folds, numbered from 0."),
    ] = None,
    lowest: Annotated[float, typer.Option(help="Learning rate of the first step.")] = 1e-6,
    highest: Annotated[float, typer.Option(help="Learning rate of the last step.")] = 1.0,
    steps: Annotated[int, typer.Option(help="Batches.")] = 100,
    ramp: Annotated[str, typer.Option(help="exponential or linear.")] = "exponential",
    out: Out = Path("cxrloc-out"),
    cache: Annotated[
        Path, typer.Option(help="Folder that keeps decoded images for the next run.")
    ] = Path("cxrloc-cache"),
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Loss of a recipe while its learning rate rises, as a table and a plot."""
    with clear_errors(quiet):
        from cxrloc.pipeline import lr_range as flow
        from cxrloc.pipeline.train import TrainOptions

        options = TrainOptions(recipe, data, labels, start, fold, device=device, cache=cache)
        result = flow.lr_range(
            out,
            options,
            flow.RangeConfig(lowest, highest, steps, ramp),
            decoding=lambda making: decoded(making, quiet),
            watch=lambda points: with_progress(points, quiet, "Steps"),
        )
        if not quiet:
            if result.falls:
                typer.echo("The loss falls from {:.2g} to {:.2g}".format(*result.falls))
            else:
                typer.echo("The loss falls nowhere: begin lower, or take more steps")
            if result.diverged:
                typer.echo(f"It diverges at {result.points[-1].learning_rate:.2g}")
            typer.echo(f"Table and plot are in {out}")
        show_warnings(result.warnings)
        show_failures(result.failures)
