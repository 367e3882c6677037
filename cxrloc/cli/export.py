"""`cxrloc export`: writes a model as a file that other tools run."""

from pathlib import Path
from typing import Annotated

import typer

from cxrloc.cli.missing_inputs import existing_model, refuse_missing
from cxrloc.cli.terminal import clear_errors, console, log, plain_table, say

LARGE_CHANGE = 0.05
"""A change of a probability by more than this gets a warning: it moves findings across their
operating points."""


def export(
    model: Annotated[
        str,
        typer.Argument(
            callback=existing_model, help="Name from `cxrloc models`, or a checkpoint file."
        ),
    ],
    to: Annotated[str, typer.Option("--to", help="onnx (extra onnx), or pt2 of torch.export.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="File to write.  [default: MODEL.onnx, MODEL.pt2]", show_default=False
        ),
    ] = None,
    opset: Annotated[int, typer.Option(help="Version of ONNX's operators, 18 to 23.")] = 20,
    half: Annotated[
        bool, typer.Option("--half", help="Store the weights in half precision: half the size.")
    ] = False,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8", help="Convolutions in 8 bits: a quarter of the size, and less accurate."
        ),
    ] = False,
    images: Annotated[
        list[Path] | None,
        typer.Option(
            "--images",
            help="Radiographs on which the file is compared with torch, and on which --int8 "
            "measures ranges; may be repeated.  [default: phantoms]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a model as a graph for other tools: ONNX or torch.export.

    The graph takes grey levels and gives logits, probabilities and maps of all findings.

    Model card and preprocessing are in the file's metadata, where other programs find them.
    """
    with clear_errors():
        if images:
            refuse_missing(images)
        from cxrloc.exported.formats import ExportOptions
        from cxrloc.pipeline import export as flow

        path = out or Path(f"{Path(model).stem}.{to}")
        options = ExportOptions(to, path, opset, half, int8, tuple(images or ()))
        written = flow.export(model, options)
        say(f"{written.path}: {written.bytes / 1e6:.1f} MB")
        rows = [["output", "shape", "largest difference from torch"]]
        for name, shape in written.outputs.items():
            share = " of its range" if name == "maps" else ""
            sides = " x ".join(map(str, shape))
            rows.append([name, sides, f"{written.differences[name]:.1e}{share}"])
        console().print(plain_table(rows))
        say(f"Compared on {written.images}.")
        if (change := written.differences["probabilities"]) > LARGE_CHANGE:
            log.warning(
                "Warning: probabilities of this file differ by up to %.2f from those of the model: "
                "score it before use",
                change,
            )
