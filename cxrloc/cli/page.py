"""`cxrloc page`: writes a page that runs a model in the browser."""

from pathlib import Path
from typing import Annotated

import typer

from cxrloc.cli.missing_inputs import existing_model
from cxrloc.cli.terminal import clear_errors, say, show_warnings


def page(
    model: Annotated[
        str,
        typer.Option(
            "--model",
            callback=existing_model,
            help="Name from `cxrloc models`, a checkpoint file, or an ONNX file.",
        ),
    ] = "",
    out: Annotated[Path, typer.Option("--out", help="The page.")] = Path("demo.html"),
    runtime: Annotated[
        Path,
        typer.Option(
            "--runtime",
            help="Folder in which `npm install` put the packages of the example.",
        ),
    ] = Path(),
) -> None:
    """Write a page that runs a model in the browser, offline.

    It is one file that works offline; nothing leaves the reader's machine. Needs the extra onnx.
    """
    with clear_errors():
        from cxrloc.report_page.npm_packages import read_runtime

        packages = read_runtime(runtime)  # before torch is imported, as a package may be missing
        from cxrloc.models.names import DEFAULT_MODEL
        from cxrloc.pipeline import page as flow

        written = flow.page(model or DEFAULT_MODEL, packages, out)
        say(f"{written.path}: {written.bytes / 1e6:.1f} MB")
        if written.bytes > flow.MOST_BYTES:
            show_warnings([f"{written.path} has more than {flow.MOST_BYTES / 1e6:.0f} MB"])
