"""`cxrloc heatmap`: picture, findings and boxes of each radiograph."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxrloc.cli.options import (
    BatchSize,
    Device,
    Method,
    Models,
    Out,
    PairingChoice,
    Pairs,
    Products,
    Quiet,
    Seed,
    Thresholds,
    Versions,
    Workers,
)
from cxrloc.cli.terminal import clear_errors, console, show_failures, with_progress

if TYPE_CHECKING:
    from rich.console import RenderableType


def heatmap(
    paths: Annotated[
        list[Path], typer.Argument(help="DICOM, PNG or JPEG files, or folders of them.")
    ],
    model: Models = None,
    method: Method = "cam",
    finding: Annotated[
        list[str] | None, typer.Option(help="Report this finding only; may be repeated.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Findings drawn, most probable first.")] = 3,
    threshold: Thresholds = [60.0, 180.0],  # noqa: B006 (typer copies it)
    voi: Annotated[int, typer.Option(min=0, help="Which window of a DICOM, from 0.")] = 0,
    save_maps: Annotated[bool, typer.Option(help="Write raw maps of all findings (npz).")] = False,
    products: Products = False,
    pairs: Pairs = None,
    pairing: PairingChoice = "first",
    out: Out = Path("cxrloc-out"),
    versions: Versions = "plain",
    device: Device = "auto",
    batch_size: BatchSize = 8,
    workers: Workers = 2,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Picture, findings and boxes of each radiograph."""
    with clear_errors(quiet):
        from cxrloc.inference.batches import InferenceSettings
        from cxrloc.inference.paired_images import Pairing
        from cxrloc.models.weights import DEFAULT_MODEL
        from cxrloc.pipeline import heatmap as flow

        options = flow.HeatmapOptions(
            models=tuple(model or [DEFAULT_MODEL]),
            top=top,
            thresholds=tuple(threshold),
            voi=voi,
            products=products,
            save_maps=save_maps,
            pairing=Pairing(pairs, pairing),
            inference=InferenceSettings(
                method, tuple(finding or ()), versions, device, batch_size, workers, seed
            ),
        )
        results = flow.heatmap(paths, out, options)
        show_each(results, top, out, quiet)


def show_each(results: Iterable[Any], top: int, out: Path, quiet: bool) -> None:
    """Print the model, each image as it comes, where they are; a failure makes exit status 1."""
    from cxrloc.inference.batches import Failure
    from cxrloc.inference.hierarchy import ALONG_TREE
    from cxrloc.models.provenance import caption_of

    screen = console()
    done, failures = 0, []
    for result in with_progress(results, quiet):
        if isinstance(result, Failure):
            failures.append(result)
            show_failures([result])
        elif not quiet:
            if not done:
                screen.print(caption_of(result.report["model"]))
                if result.report["products_along_tree"]:
                    screen.print(ALONG_TREE)
            screen.print(findings_table(result, top))
            done += 1
    if done:
        screen.print(f"Pictures and boxes are in {out}")
    if failures:
        raise typer.Exit(1)


def findings_table(result: Any, top: int) -> "RenderableType":
    """The most probable findings of one image, with their boxes, under its warnings."""
    from rich import box as lines
    from rich.console import Group
    from rich.table import Table

    from cxrloc.pipeline.heatmap import top_findings

    report = result.report
    table = Table(box=lines.SIMPLE_HEAD)
    for heading in ("Finding", "Probability", "Threshold", "Box: x, y, to x, y", "Score"):
        table.add_column(heading, justify="left" if heading == "Finding" else "right")
    for row in top_findings(report, top):
        below = " (below operating point)" if row["above_operating_point"] is False else ""
        head = [f"{row['finding']}{below}", f"{row['probability']:.3f}"]
        if not row["boxes"]:
            table.add_row(*head, "", "flat map, no box" if row["degenerate"] else "no box", "")
        for box in row["boxes"]:
            corners = " ".join(f"{box[side]:.0f}" for side in ("x_min", "y_min", "x_max", "y_max"))
            table.add_row(*head, f"{box['threshold']:g}", corners, f"{box['score']:.3f}")
            head = ["", ""]
    return Group(report["image"], *(f"Warning: {w}" for w in report["warnings"]), table)
