"""`cxrloc figure`: draws a panel for a paper or a slide."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cxrloc.cli.missing_inputs import existing, existing_result
from cxrloc.cli.options import Beside, LogJson, Projection, Quiet
from cxrloc.cli.terminal import clear_errors, console, say


class Width(StrEnum):
    """Width of a figure, in columns of a journal."""

    SINGLE = "single"
    DOUBLE = "double"


def figure(
    panel: Annotated[
        str | None, typer.Argument(help="Name from `cxrloc figure --list`.", show_default=False)
    ] = None,
    results: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RESULT...",
            callback=existing_result,
            help="Folders or files that commands wrote.",
        ),
    ] = None,
    width: Annotated[
        Width, typer.Option(help="Width of one column (89 mm) or of two (183 mm).")
    ] = (Width.DOUBLE),
    dark: Annotated[bool, typer.Option("--dark", help="White on black, for slides.")] = False,
    finding: Annotated[
        list[str] | None,
        typer.Option(help="Draw only these findings, in this order; may be repeated."),
    ] = None,
    image: Annotated[
        list[str] | None, typer.Option(help="Draw only this image; may be repeated.")
    ] = None,
    projection: Projection = "",
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="Name of a result in the figure; give it once for each result, in their order."
        ),
    ] = None,
    beside: Beside = [],  # noqa: B006 (typer copies it)
    out: Annotated[
        Path | None,
        typer.Option(help="FILE.pdf, .svg or .png, or a name for all three.  [default: PANEL]"),
    ] = None,
    training_images: Annotated[
        int,
        typer.Option(
            min=0,
            help="Number of training images, for the schedule of a recipe that counts epochs.",
        ),
    ] = 0,
    gallery: Annotated[
        Path | None,
        typer.Option(
            metavar="RESULT",
            callback=existing,
            help="Draw all panels that this run or data set gives on one page, gallery.html.",
        ),
    ] = None,
    names: Annotated[
        bool, typer.Option("--list", help="List the panels and what each is drawn from.")
    ] = False,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Draw a figure for a paper from results on disk: PDF, SVG, PNG."""
    with clear_errors(quiet, log_json):
        from cxrloc.errors import UsageError
        from cxrloc.panels.panels import PANELS
        from cxrloc.panels.plots import FigureRequest
        from cxrloc.pipeline import figure as flow

        if names or (panel is None and gallery is None):
            for known, each in PANELS.items():
                after = f"; after {each.after}" if each.after else ""
                say(f"{known:24} {each.reads}{after}")
            return
        request = FigureRequest(
            width.value,
            tuple(finding or ()),
            tuple(beside),
            images=tuple(image or ()),
            projection=projection,
            names=tuple(name or ()),
        )
        if gallery is not None:
            if panel is not None:
                raise UsageError("--gallery draws all panels: name no panel")
            paths = [out or Path("gallery.html")]
            flow.gallery([gallery], paths[0], request, dark)
        else:
            paths = flow.figure(
                str(panel), results or [], out or Path(str(panel)), request, dark, training_images
            )
        if not quiet:
            console().print(f"Wrote {', '.join(map(str, paths))}", highlight=False)
