"""What commands show: tables, progress, and a user's mistake as one line."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cxrloc.evaluation.localization.scores import LocalizationScores
    from cxrloc.types import LocalizationReport

T = TypeVar("T")

TERMINAL_METRICS = ("auc", "sensitivity", "specificity")
"""Of a classification report: as many as fit beside each other."""

_IN_FILE = {"metric", "n", "positives", "accuracy_low", "accuracy_high", "auc_low", "auc_high"}
"""Columns that stand in the files and leave the terminal to the others."""


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn a user's mistake into one line, never a traceback: exit 2 for wrong usage, else 1."""
    from cxrloc.types import CxrlocError, UsageError

    try:
        yield
    except CxrlocError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None
    except OSError as error:  # a full disk, a folder that cannot be written
        typer.echo(f"Error: {error.filename or 'output'}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None


def with_progress(items: Iterable[T], quiet: bool, what: str = "Images") -> Iterator[T]:
    """The items, with a running count on a terminal and nothing in a pipe."""
    from rich.progress import track

    console = _console(stderr=True)
    hidden = quiet or not console.is_terminal
    yield from track(items, what, console=console, disable=hidden, transient=True)


def show_each(
    results: Iterable[Any], table: Callable[[Any], "RenderableType"], quiet: bool
) -> None:
    """Print the table of each result as it comes; failures go to stderr and make exit status 1."""
    from cxrloc.inference.batches import Failure

    console = _console()
    failures = []
    for result in with_progress(results, quiet):
        if isinstance(result, Failure):
            failures.append(result)
            show_failures([result])
        elif not quiet:
            console.print(table(result), highlight=False)
    if failures:
        raise typer.Exit(1)


def exit_on(failures: Sequence[tuple[str, str]]) -> None:
    """Name what failed, if anything, and leave with exit status 1."""
    show_failures(failures)
    if failures:
        raise typer.Exit(1)


def show_failures(failures: Iterable[tuple[str, str]]) -> None:
    """One line on stderr for each image or report that failed: which, and why."""
    for name, reason in failures:
        # A reason that comes from a reader names the file already.
        typer.echo(reason if reason.startswith(name) else f"{name}: {reason}", err=True)


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


def show_bench(result: Any, out: Path) -> None:
    """What was scored, by which model, on how much of the data; then the scores."""
    run, report = result.run, result.scores.report
    console = _console()
    missing = len(run["missing_images"]) + len(run["failed_images"])
    console.print(
        f"{_model_line(run)}Boxes from: {run['boxes_from']}. Data: {run['data']['name']}.\n"
        f"{report.images} of {run['data']['boxed_images']} boxed images scored, {missing} missing; "
        f"{report.divisor} of {run['data']['boxes']} boxes. Not scored: {report.left_out} "
        f"boxes on pairs outside the population, {run['degenerate_maps'] or 0} degenerate maps; "
        f"{run['scored_pairs_without_map'] or 0} scored pairs have no map.",
        *(f"Warning: {text} ({n} images)" for text, n in run["warnings"].items()),
        sep="\n",
        highlight=False,
    )
    console.print(scores_tables(result.scores, result.readings))
    show_frame(result.beside)
    console.print(f"Tables, boxes and run.json are in {out}", highlight=False)


def show_classification(result: Any, out: Path) -> None:
    """What was scored, by which model, on how much of the data; then the scores."""
    from cxrloc.evaluation.classification.tables import printed_rows

    run, report = result.run, result.report
    console = _console()
    missing = len(run["missing_images"]) + len(run["failed_images"])
    console.print(
        f"{_model_line(run)}Data: {run['data']['name']}.\n"
        f"{run['predicted_images']} of {run['data']['images']} images predicted, "
        f"{missing} missing; "
        f"{report.units} units ({report.unit}) of {report.patients} patients scored.",
        highlight=False,
    )
    console.print(_table(printed_rows(report, TERMINAL_METRICS)))
    show_frame(result.beside)
    console.print(f"Tables, curves and run.json are in {out}", highlight=False)


def show_labels(result: Any) -> None:
    """How many reports were labelled; where there are gold labels, scores beside published ones."""
    from cxrloc.pipeline.label_scores import beside_rows, interval_rows

    console = _console()
    console.print(
        f"{result.reports} reports labelled, {len(result.failures)} not read.", highlight=False
    )
    if result.scores is not None:
        frame, scored, missing = result.scores
        console.print(
            f"{scored} of them have gold labels; {missing} reports with gold labels are not among "
            "them.\nUncertain labels count as negative. Intervals: 95 %, bootstrap over reports.",
            highlight=False,
        )
        console.print(_table(interval_rows(frame)), _table(beside_rows(frame)))
    console.print(f"Written: {', '.join(map(str, result.files))}", highlight=False)


def show_clusters(result: Any) -> None:
    """The clusters by their medoids, and how many of the reports they cover."""
    clustering, console = result.clustering, _console()
    rows = [["Cluster, by its medoid", "reports", "different clauses"]]
    for one in clustering.clusters:
        rows.append([one.medoid, str(one.reports), str(len(one.members))])
    console.print(_table(rows))
    console.print(
        f"{clustering.coverage:.1%} of {len(clustering.labels)} reports are in these clusters; "
        f"{len(result.failures)} not read.\nWritten: {', '.join(map(str, result.files))}",
        highlight=False,
    )


def show_comparison(result: Any, out: Path) -> None:
    """Differences of each finding and rank correlations; the files hold more."""
    console = _console()
    console.print(f"Data: {result.run['data']}. Differences: later minus earlier run.")
    for name, frame in result.frames.items():
        if name == "differences":
            frame = frame[frame["metric"] == "auc"]
        if not name.endswith("disagreements"):
            console.print(name.replace("_", " ").capitalize())
            show_frame(frame)
    console.print(f"Tables, lists of disagreements and run.json are in {out}", highlight=False)


def show_trust(result: Any, out: Path) -> None:
    """Every number about the model's heatmaps, and how to read it."""
    run, console = result.run, _console()
    console.print(
        f"{_model_line(run)}Data: {run['data']['name']}; "
        f"{run['pairs']} findings on {len(run['images'])} images.",
        highlight=False,
    )
    show_frame(result.frame)
    console.print(f"Table, how to read it, figure and run.json are in {out}", highlight=False)


def show_frame(frame: Any) -> None:
    """A data frame as a table without its less needed columns; nothing where there is none."""
    from rich import box as lines
    from rich.table import Table

    from cxrloc.evaluation.classification.tables import frame_rows

    if frame is None:
        return
    headings, *rows = frame_rows(frame[[name for name in frame.columns if name not in _IN_FILE]])
    table = Table(box=lines.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for index, heading in enumerate(headings):
        table.add_column(
            heading, justify="right" if index else "left", overflow="fold", no_wrap=not index
        )
    for row in rows:
        table.add_row(*row)
    _console().print(table)


def show_published() -> None:
    """The published tables that results can be set beside, by name."""
    from cxrloc.evaluation.published import published_tables

    for name, caption in published_tables().items():
        typer.echo(f"{name:20} {caption}")


def scores_tables(
    scores: "LocalizationScores", readings: "Mapping[str, LocalizationReport]"
) -> "RenderableType":
    """Accuracy of every finding, then means: model, controls, views, other readings of the rule."""
    from rich import box as lines
    from rich.console import Group
    from rich.table import Table

    from cxrloc.evaluation.localization.tables import CRITERION_NAMES

    report, tables = scores.report, []
    for criterion in dict.fromkeys(rule.criterion for rule in report.rules):
        rows = [i for i, rule in enumerate(report.rules) if rule.criterion == criterion]
        table = Table(box=lines.SIMPLE_HEAD)
        table.add_column(f"Accuracy, {CRITERION_NAMES[criterion]}")
        table.add_column("boxes", justify="right")
        for row in rows:
            table.add_column(f"> {report.rules[row].threshold:g}", justify="right")
        # With few thresholds there is room for the intervals.
        cell = _with_interval if len(rows) <= 3 else _alone
        for column, finding in enumerate(report.findings):
            if finding == "mean":
                table.add_section()
            cells = [cell(report, row, column) for row in rows]
            table.add_row(finding, f"{report.annotated[column]:.0f}", *cells)
        afp = [f"{report.afp[row, -1]:.2f}" for row in rows]
        table.add_row("AFP, mean", "", *afp)
        table.add_section()
        for name, control in scores.controls.items():
            table.add_row(f"control {name}", "", *(cell(control, row, -1) for row in rows))
        for kind, others in (("view", scores.by_view), ("box rule", readings)):
            for name, other in others.items():
                table.add_row(f"{kind} {name}", "", *(cell(other, row, -1) for row in rows))
        tables.append(table)
    return Group(*tables)


def _model_line(run: dict[str, Any]) -> str:
    model = run["model"]
    return f"Model {model['name']}, trained on {model['trained_on']}. " if model else ""


def _table(rows: Iterable[Sequence[str]]) -> "RenderableType":
    """Rows of cells, headings first; numbers stand to the right of the first column."""
    from rich import box as lines
    from rich.table import Table
    from rich.text import Text

    headings, *body = rows
    table = Table(box=lines.SIMPLE_HEAD)
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left")
    for row in body:
        table.add_row(*map(Text, row))  # a cell is no markup, whatever brackets are in it
    return table


def _alone(report: Any, row: int, column: int) -> str:
    return f"{report.accuracy[row, column]:.3f}"


def _with_interval(report: Any, row: int, column: int) -> str:
    low, high = report.accuracy_low[row, column], report.accuracy_high[row, column]
    if low != low:  # no resamples, no interval
        return _alone(report, row, column)
    return f"{report.accuracy[row, column]:.3f} ({low:.2f} to {high:.2f})"


def _console(stderr: bool = False) -> Any:
    from rich.console import Console

    console = Console(stderr=stderr)
    # A pipe has no width; the widest table fits this one.
    return console if console.is_terminal else Console(stderr=stderr, width=120)
