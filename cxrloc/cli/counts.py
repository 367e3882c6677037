"""`cxrloc counts`: counts the images of a data set per finding and per view."""

from pathlib import Path
from typing import Annotated

import typer

from cxrloc.cli.missing_inputs import existing
from cxrloc.cli.options import Beside, Finding, LogJson, Out, Projection, Quiet, TruthLabels
from cxrloc.cli.terminal import clear_errors, console, show_frame, show_published, show_warnings


def counts(
    data: Annotated[
        Path | None,
        typer.Argument(
            callback=existing, help="Folder or file of a data set, as classify takes it."
        ),
    ] = None,
    labels: TruthLabels = None,
    split: Annotated[
        str, typer.Option(help="all, or an official part: train_val, train, validation, test.")
    ] = "all",
    projection: Projection = "",
    finding: Finding = [],  # noqa: B006 (typer copies it)
    beside: Beside = [],  # noqa: B006
    out: Out = Path("cxrloc-counts"),
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Count a data set: images per finding, overlaps, views and pairs.

    Beside published tables of counts (wang2017:1, wang2017:16, dong2017:I, rubin2018:1 to 3), the
    findings of each table are counted.
    """
    with clear_errors(quiet, log_json):
        from cxrloc.errors import UsageError
        from cxrloc.pipeline.counts import CountOptions, count

        if "list" in beside:
            show_published()
            return
        if data is None:
            raise UsageError("name a data set to count")
        options = CountOptions(labels, split, projection, tuple(finding), tuple(beside))
        result = count(data, out, options)
        show_warnings(result.run["notes"])
        if quiet:
            return
        screen = console()
        screen.print(f"Data: {result.run['data']['name']}; labels: {result.run['labels_from']}.")
        for note in result.run["remarks"]:
            screen.print(f"Note: {note}")
        for name, frame in result.frames.items():
            screen.print(name.replace("_", " ").capitalize())
            show_frame(frame)
        screen.print(f"Tables and run.json are in {out}", highlight=False)
