"""What the commands share: tables, progress, and a user's mistake as one line."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType


T = TypeVar("T")

_IN_FILE = {"metric", "n", "positives", "accuracy_low", "accuracy_high", "auc_low", "auc_high"}
"""Columns that stand in the files and leave the terminal to the others."""

LARGE_BYTES = 1e9
"""A cache that is to grow by so much is announced."""


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn a user's mistake into one line, never a traceback: exit 2 for wrong usage, else 1."""
    from cxrloc.types import CxrlocError, UsageError

    try:
        yield
    except CxrlocError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None
    except BrokenPipeError:  # who reads has had enough, as `head` has: no mistake to speak of
        raise
    except OSError as error:  # a full disk, a folder that cannot be written
        typer.echo(f"Error: {error.filename or 'output'}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None


def with_progress(items: Iterable[T], quiet: bool, what: str = "Images") -> Iterator[T]:
    """The items, with a running count on a terminal and nothing in a pipe."""
    from rich.progress import track

    screen = console(stderr=True)
    hidden = quiet or not screen.is_terminal
    yield from track(items, what, console=screen, disable=hidden, transient=True)


def decoded(making: Any, quiet: bool) -> Iterator[bytes | str]:
    """Images on their way into the cache, after a word on its size where that is large."""
    from shutil import disk_usage

    if making.bytes_needed >= LARGE_BYTES and not quiet:
        free = disk_usage(making.folder).free
        typer.echo(
            f"{making.count} images are decoded into {making.folder}: this takes "
            f"{making.bytes_needed / 1e9:.1f} GB of the {free / 1e9:.1f} GB that are free there",
            err=True,
        )
    yield from with_progress(making, quiet, "Images decoded")


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


def show_warnings(warnings: Iterable[str]) -> None:
    """One line on stderr for each."""
    for warning in warnings:
        typer.echo(f"Warning: {warning}", err=True)


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
    console().print(table)


def show_published() -> None:
    """The published tables that results can be set beside, by name."""
    from cxrloc.evaluation.published import published_tables

    for name, caption in published_tables().items():
        typer.echo(f"{name:20} {caption}")


def model_line(run: dict[str, Any]) -> str:
    """Which model made the claims, if one did."""
    model = run["model"]
    return f"Model {model['name']}, trained on {model['trained_on']}. " if model else ""


def plain_table(rows: Iterable[Sequence[str]]) -> "RenderableType":
    """Rows of cells, headings first; numbers stand to the right of the first column."""
    from rich import box as lines
    from rich.table import Table
    from rich.text import Text

    headings, *body = rows
    table = Table(box=lines.SIMPLE_HEAD)
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left", overflow="fold")
    for row in body:
        table.add_row(*map(Text, row))  # a cell is no markup, whatever brackets are in it
    return table


def console(stderr: bool = False) -> Any:
    """Where to print: as wide as the terminal; in a pipe, which has no width, the widest table."""
    from rich.console import Console

    # A file's name is no markup, whatever brackets are in it.
    screen = Console(stderr=stderr, markup=False, highlight=False)
    if not screen.is_terminal:
        screen.width = 160
    return screen
