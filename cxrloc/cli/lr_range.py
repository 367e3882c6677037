"""`cxrloc lr-range`: tests how high a recipe's learning rate may be."""

from typing import TYPE_CHECKING, Annotated

import typer

from cxrloc.cli.options import LogJson, Quiet
from cxrloc.cli.settings import destination, with_settings
from cxrloc.cli.terminal import (
    clear_errors,
    decoded,
    say,
    show_failures,
    show_warnings,
    with_progress,
)
from cxrloc.cli.training_settings import training

if TYPE_CHECKING:
    from cxrloc.files.run_folder import Destination
    from cxrloc.pipeline.train import TrainOptions


@with_settings(options=training, where=destination)
def lr_range(
    *,
    options: "TrainOptions",
    lowest: Annotated[float, typer.Option(help="Learning rate of the first step.")] = 1e-6,
    highest: Annotated[float, typer.Option(help="Learning rate of the last step.")] = 1.0,
    steps: Annotated[int, typer.Option(help="Number of steps, each of one batch.")] = 100,
    ramp: Annotated[
        str, typer.Option(help="How the learning rate rises: exponential or linear.")
    ] = "exponential",
    where: "Destination",
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Measure the loss of a recipe while its learning rate rises.

    Under `torchrun`, on several GPUs, as `train`.
    """
    with clear_errors(quiet, log_json):
        from cxrloc.pipeline import lr_range as flow
        from cxrloc.pipeline.run_settings import run_in_folder
        from cxrloc.training.distributed import is_main_process

        config = flow.RangeConfig(lowest, highest, steps, ramp)
        if not is_main_process():
            flow.lr_range(None, options, config, decoding=iter, watch=iter)
            return
        result, folder = run_in_folder(
            "lr-range",
            where,
            [options.data],
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
                say("The loss falls from {:.2g} to {:.2g}".format(*result.falls))
            else:
                say("The loss falls nowhere: begin lower, or take more steps")
            if result.diverged:
                say(f"It diverges at {result.points[-1].learning_rate:.2g}")
            say(f"Table and plot are in {folder}")
        show_warnings(result.warnings)
        show_failures(result.failures)
