"""`cxrloc trust`: tests heatmaps."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxrloc.cli.missing_inputs import existing, existing_model
from cxrloc.cli.options import (
    BatchSize,
    DataSetName,
    Devices,
    Layer,
    LogJson,
    Method,
    Quiet,
    Resamples,
    Seed,
    Workers,
)
from cxrloc.cli.settings import destination, view_pairing, with_settings
from cxrloc.cli.terminal import (
    clear_errors,
    console,
    exit_on,
    model_line,
    show_frame,
    with_progress,
)

if TYPE_CHECKING:
    from cxrloc.files.run_folder import Destination
    from cxrloc.inference.paired_images import Pairing


@with_settings(pairing=view_pairing, where=destination)
def trust(
    *,
    data: Annotated[
        Path | None,
        typer.Argument(
            callback=existing, help="A data set with labels.  [default: embedded phantoms]"
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(callback=existing_model, help="Name from `cxrloc models`, or a model file."),
    ] = None,
    shuffled_model: Annotated[
        str | None,
        typer.Option(
            callback=existing_model,
            help="Model of the same recipe, trained on shuffled labels: tests label randomisation.",
        ),
    ] = None,
    other_model: Annotated[
        list[str] | None,
        typer.Option(
            callback=existing_model,
            help="Model of another seed or architecture: tests repeatability; may be repeated.",
        ),
    ] = None,
    images: Annotated[
        int, typer.Option(min=2, help="Number of images on which the heatmaps are tested.")
    ] = 8,
    resamples: Resamples = 1000,
    method: Method = "cam",
    layer: Layer = "",
    dataset: DataSetName = "",
    pairing: "Pairing",
    where: "Destination",
    device: Devices = "auto",
    batch_size: BatchSize = "auto",  # type: ignore[assignment]
    workers: Workers = 2,
    seed: Seed = 0,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Test heatmaps: are they faithful, and do they repeat?

    Tests faithfulness, randomised weights and labels, repeatability and stability.

    Of a network that reads two views, the heatmap of the frontal one is tested.
    """
    with clear_errors(quiet, log_json):
        from cxrloc.evaluation.resampling import Resampling
        from cxrloc.evaluation.trust.cases import TrustOptions
        from cxrloc.inference.image_sets import DataOptions
        from cxrloc.inference.prepared import InferenceSettings
        from cxrloc.models.names import DEFAULT_MODEL, PHANTOM_MODEL
        from cxrloc.pipeline import trust as flow
        from cxrloc.pipeline.run_settings import run_in_folder

        options = TrustOptions(
            model=model or (DEFAULT_MODEL if data else PHANTOM_MODEL),
            shuffled_model=shuffled_model,
            other_models=tuple(other_model or ()),
            images=images,
            resampling=Resampling(resamples, seed),
            data=DataOptions(dataset),
            pairing=pairing,
            inference=InferenceSettings(
                method=method,
                device=device,
                batch_size=batch_size,
                workers=workers,
                seed=seed,
                layer=layer,
            ),
        )
        result, folder = run_in_folder(
            "trust",
            where,
            [data],
            options,
            lambda run: flow.trust(
                data, run.path, options, lambda items: with_progress(items, quiet)
            ),
        )
        if not quiet:
            show_trust(result, folder)
        exit_on(result.failures)


def show_trust(result: Any, out: Path) -> None:
    """Print the numbers about the model's heatmaps, then three lines of verdict."""
    from cxrloc.evaluation.trust.table import without_layers

    run, screen = result.run, console()
    screen.print(
        f"{model_line(run)}Data: {run['data']['name']}; "
        f"{run['pairs']} findings on {len(run['images'])} images.",
        highlight=False,
    )
    show_frame(without_layers(result.frame))
    for line in result.verdict:
        screen.print(line, highlight=False)
    screen.print(
        f"All layers, how to read each number, figure and run.json are in {out}", highlight=False
    )
