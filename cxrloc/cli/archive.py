"""`cxrloc archive`: runs a model over the images of a manifest, or shows the progress of a run."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxrloc.cli.missing_inputs import existing_input_or_status
from cxrloc.cli.options import (
    BelowOperatingPoint,
    BoxRuleName,
    Force,
    LogJson,
    MaxMegapixels,
    Method,
    Models,
    Quiet,
    Strict,
    Thresholds,
)
from cxrloc.cli.settings import inference_settings, with_settings
from cxrloc.cli.terminal import clear_errors, console, expect, say, with_progress

if TYPE_CHECKING:
    from cxrloc.inference.prepared import InferenceSettings

REASONS = 10
"""Number of reasons of failures that `status` shows."""


@with_settings(inference=inference_settings)
def archive(
    *,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="MANIFEST | status RESULTS",
            callback=existing_input_or_status,
            help="Parquet file of `cxrloc manifest`; 'status' shows how far results have come.",
        ),
    ],
    out: Annotated[
        str, typer.Option(metavar="RESULTS", help="Folder or URI for the results.")
    ] = "cxrloc-archive",
    model: Models = None,
    engine: Annotated[
        str, typer.Option(help="local (processes of this machine), or ray (a cluster).")
    ] = "local",
    address: Annotated[
        str,
        typer.Option(
            help="Of a running Ray cluster, such as auto.  [default: one on this machine]",
            show_default=False,
        ),
    ] = "",
    shard: Annotated[
        str, typer.Option(metavar="i/n", help="Compute this share of the parts, from 0/n on.")
    ] = "0/1",
    part_size: Annotated[int, typer.Option(min=1, help="Images of a part.")] = 10_000,
    save_maps: Annotated[
        bool, typer.Option("--save-maps", help="Also write the raw maps, as 16-bit numbers.")
    ] = False,
    write: Annotated[
        str,
        typer.Option(help="Also write files of each image, as `cxrloc heatmap --write` does."),
    ] = "",
    threshold: Thresholds = [60.0, 180.0],  # noqa: B006 (typer copies it)
    box_rule: BoxRuleName = "two-threshold",
    below_operating_point: BelowOperatingPoint = False,
    force: Force = False,
    strict: Strict = False,
    max_megapixels: MaxMegapixels = 80.0,
    seconds_per_image: Annotated[
        float, typer.Option(min=0.1, help="An image that takes longer to read fails.")
    ] = 60.0,
    megabytes_per_image: Annotated[
        int, typer.Option(min=1, help="An image that needs more memory to read fails.")
    ] = 4096,
    method: Method = "cam",
    workers: Annotated[int, typer.Option(min=1, help="Processes that read and decode.")] = 2,
    inference: "InferenceSettings",
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Write findings and boxes of a whole archive as Parquet tables.

    Called again, it goes on where it was.
    """
    with clear_errors(quiet, log_json):
        if words[0] == "status":
            _show_status(words[1])
            return
        from cxrloc.archive.image_steps import ArchiveOptions
        from cxrloc.archive.plan import shard_of
        from cxrloc.image_results.report import ReportSettings
        from cxrloc.image_results.writers import chosen_writers
        from cxrloc.models.names import DEFAULT_MODEL
        from cxrloc.pipeline import archive as flow

        options = ArchiveOptions(
            models=tuple(model or [DEFAULT_MODEL]),
            part_size=part_size,
            save_maps=save_maps,
            write=chosen_writers([kind.strip() for kind in write.split(",") if kind.strip()]),
            max_megapixels=max_megapixels,
            seconds_per_image=seconds_per_image,
            megabytes_per_image=megabytes_per_image,
            report=ReportSettings(
                thresholds=tuple(threshold),
                below_operating_point=below_operating_point,
                force=force,
                strict=strict,
                box_rule=box_rule,
            ),
            inference=replace(inference, method=method),
        )
        where = flow.Engine(engine, address, shard_of(shard))
        parts = flow.archive(words[0], out, options, where, expect)
        done = [*with_progress(parts, quiet, "Parts")]
        failed = sum(part.failed for part in done)
        if not quiet:
            images = sum(part.images for part in done)
            console().print(
                f"{images} images in {len(done)} parts are done, {failed} of them failed; the "
                f"tables are in {out}",
                highlight=False,
            )
        if failed:
            raise typer.Exit(1)


def _show_status(out: str) -> None:
    from cxrloc.archive.results import status_of

    progress: Any = status_of(out)
    say(f"parts     {progress.parts:>12,} of {progress.parts_in_all:,}")
    say(f"images    {progress.images:>12,} of {progress.images_in_all:,}")
    say(f"failed    {progress.failed:>12,}")
    say(f"rate      {progress.images_per_second:>12.1f} images per second")
    if progress.seconds_left is not None:
        say(f"time left {progress.seconds_left / 3600:>12.1f} hours")
    for reason, count in progress.reasons[:REASONS]:
        say(f"{count:>8,} x {reason}")
    if len(progress.reasons) > REASONS:
        say(f"and {len(progress.reasons) - REASONS} other reasons: see the tables `failures`")
