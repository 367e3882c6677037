"""`cxrloc heatmap`: writes picture, findings and boxes of each radiograph."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxrloc.cli.options import (
    Backend,
    BelowOperatingPoint,
    BoxRuleName,
    Force,
    LogJson,
    MaxMegapixels,
    Method,
    Models,
    Products,
    Quiet,
    Strict,
    Thresholds,
)
from cxrloc.cli.settings import (
    check_images,
    destination,
    inference_settings,
    view_pairing,
    with_settings,
)
from cxrloc.cli.terminal import (
    clear_errors,
    console,
    expect,
    show_failures,
    show_warnings,
    with_progress,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cxrloc.files.run_folder import Destination
    from cxrloc.inference.paired_images import Pairing
    from cxrloc.inference.prepared import InferenceSettings


@with_settings(check_images, pairing=view_pairing, where=destination, inference=inference_settings)
def heatmap(
    *,
    paths: Annotated[
        list[Path], typer.Argument(help="DICOM, PNG or JPEG files, or folders of them.")
    ],
    model: Models = None,
    backend: Backend = "auto",
    method: Method = "cam",
    finding: Annotated[
        list[str] | None, typer.Option(help="Report this finding only; may be repeated.")
    ] = None,
    top: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of findings drawn: those above their operating point first, then the most "
            "probable. DICOM reports have the boxes of every finding above its operating point.",
        ),
    ] = 3,
    threshold: Thresholds = [60.0, 180.0],  # noqa: B006 (typer copies it)
    box_rule: BoxRuleName = "two-threshold",
    below_operating_point: BelowOperatingPoint = False,
    force: Force = False,
    strict: Strict = False,
    voi: Annotated[int, typer.Option(min=0, help="Which window of a DICOM, from 0.")] = 0,
    max_megapixels: MaxMegapixels = 80.0,
    write: Annotated[
        str,
        typer.Option(
            help="Files of each image, with commas between: png, json, npz (raw maps of all "
            "findings); of a DICOM image also the DICOM objects sr, gsps, sc, seg, fractional-seg "
            "(extra pacs). An interrupted run goes on only with json."
        ),
    ] = "png,json",
    object_date: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
            metavar="YYYY-MM-DDTHH:MM:SS",
            help="Date and time of the DICOM objects.  [default: those of the image]",
            show_default=False,
        ),
    ] = None,
    save_maps: Annotated[bool, typer.Option("--save-maps", help="Also write npz.")] = False,
    uids: Annotated[
        bool, typer.Option("--uids", help="Write SOP Instance UIDs of DICOM files into the JSON.")
    ] = False,
    products: Products = False,
    pairing: "Pairing",
    where: "Destination",
    inference: "InferenceSettings",
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Write a picture, findings and boxes of each radiograph.

    Called again with the same settings, it leaves out the images that are done.
    """
    with clear_errors(quiet, log_json):
        from cxrloc.image_results.report import ReportSettings
        from cxrloc.image_results.writers import chosen_writers
        from cxrloc.models.names import DEFAULT_MODEL
        from cxrloc.pipeline import heatmap as flow

        kinds = [kind.strip() for kind in write.split(",")] + ["npz"] * save_maps
        options = flow.HeatmapOptions(
            models=tuple(model or [DEFAULT_MODEL]),
            backend=backend,
            voi=voi,
            write=chosen_writers(kinds),
            max_megapixels=max_megapixels,
            report=ReportSettings(
                top,
                tuple(threshold),
                below_operating_point,
                uids,
                force,
                strict,
                object_date,
                box_rule,
            ),
            pairing=pairing,
            inference=replace(
                inference, method=method, findings=tuple(finding or ()), products=products
            ),
        )
        results = flow.heatmap(paths, where, options, expect)
        show_each(results, top, quiet, force)


def show_each(results: Iterable[Any], top: int, quiet: bool, force: bool = False) -> None:
    """Print the model, each image as it comes, and the folder; exit with status 1 on a failure."""
    from cxrloc.image_results.report import OUTSIDE
    from cxrloc.inference.hierarchy import ALONG_TREE
    from cxrloc.inference.prepared import Failure
    from cxrloc.localization.boxes import SCORE
    from cxrloc.models.provenance import caption_of

    screen = console()
    counts, warnings = Counter[str](), Counter[str]()
    last = None
    for result in with_progress(results, quiet):
        if isinstance(result, Failure):
            counts["failed"] += 1
            show_failures([result])
            continue
        new = [text for text in result.report["warnings"] if text not in warnings]
        warnings.update(result.report["warnings"])
        show_warnings(f"{result.report['image']}: {text}" for text in new)
        counts["skipped" if result.skipped else "done"] += 1
        counts["outside"] += result.report["status"] == "outside"
        if not quiet and last is None:
            screen.print(caption_of(result.model))
            screen.print(SCORE)
            if result.report["products_along_tree"]:
                screen.print(ALONG_TREE)
        if not quiet and not result.skipped:
            screen.print(findings_table(result.report, top))
        last = result
    show_warnings(f"{text} ({n} images)" for text, n in warnings.items() if n > 1)
    if counts["outside"]:
        forced = "" if force else ", so they have no boxes and no operating points (see --force)"
        show_warnings([f"{counts['outside']} of these images are {OUTSIDE}{forced}"])
    if last is not None and not quiet:
        if counts["skipped"]:
            screen.print(f"{counts['skipped']} images were done before and are left as they are.")
        screen.print(f"Pictures and boxes are in {last.folder}")
    if counts["failed"]:
        raise typer.Exit(1)


def findings_table(report: Any, top: int) -> "RenderableType":
    """A table of the most probable findings of one image, with their boxes, under its name.

    Scores are on the scale of the raw probability, so that is shown where calibration changed it.
    """
    from rich import box as lines
    from rich.console import Group
    from rich.table import Table

    from cxrloc.image_results.report import top_findings
    from cxrloc.text import one_line

    rows = top_findings(report, top)
    calibrated = any(row["raw_probability"] != row["probability"] for row in rows)
    raw = ("Raw", "Threshold", "Box: x, y, to x, y", "Raw score")
    plain = ("Threshold", "Box: x, y, to x, y", "Score")
    # Narrow padding, so that a terminal of 80 columns shows names of findings whole.
    table = Table(box=lines.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("Finding", "Probability", *(raw if calibrated else plain)):
        name = heading == "Finding"
        table.add_column(heading, justify="left" if name else "right", no_wrap=not name)
    for row in rows:
        below = " (below operating point)" if row["above_operating_point"] is False else ""
        head = [f"{row['finding']}{below}", f"{row['probability']:.3f}"]
        head += [f"{row['raw_probability']:.3f}"] * calibrated
        if not row["boxes"]:
            why = "flat map, no box" if row["degenerate"] else "no box" if not below else ""
            table.add_row(*head, "", why, "")
        for box in row["boxes"]:
            corners = " ".join(f"{box[side]:.0f}" for side in ("x_min", "y_min", "x_max", "y_max"))
            table.add_row(*head, f"{box['threshold']:g}", corners, f"{box['score']:.3f}")
            head = [""] * len(head)
    sentences = [one_line(report["image"])]
    if report["outside_because"]:
        sentences.append(f"Status outside: {'; '.join(report['outside_because'])}")
    return Group(*sentences, table)
