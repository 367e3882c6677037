"""`cxrloc phantom`: writes a synthetic data set."""

from pathlib import Path
from typing import Annotated

import typer

from cxrloc.cli.options import LogJson, Quiet, Seed
from cxrloc.cli.terminal import clear_errors, say, with_progress


def phantom(
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    n: Annotated[int, typer.Option(min=1, help="Number of radiographs.")] = 200,
    seed: Seed = 0,
    file_format: Annotated[str, typer.Option("--format", help="png or dicom.")] = "png",
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Write a data set of synthetic radiographs with exact boxes.

    It has the layout of ChestX-ray14.
    """
    with clear_errors(quiet, log_json):
        from cxrloc.phantom import write_phantoms

        records = write_phantoms(
            out, n, seed, file_format, watch=lambda series: with_progress(series, quiet)
        )
        if not quiet:
            boxes = sum(len(record.annotations) for record in records)
            say(f"{len(records)} radiographs with {boxes} findings are in {out}")
