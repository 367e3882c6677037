"""Output that all commands share: errors, warnings and failures on stderr, progress, tables."""

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from cxrloc.cli.progress import Progress

if TYPE_CHECKING:
    from rich.console import RenderableType


T = TypeVar("T")

_IN_FILE = {"metric", "n", "positives", "accuracy_low", "accuracy_high", "auc_low", "auc_high"}
"""Columns that are written to files but not shown on the terminal, to save width."""

LARGE_BYTES = 1e9
"""A message is shown before a cache grows by at least this number of bytes."""

PROGRESS_SECONDS = 30.0
"""Seconds between two lines of progress where stderr is no terminal."""

GO_ON = "What is written is whole. Call the same command again to go on."

log = logging.getLogger("cxrloc")


class TerminatedError(KeyboardInterrupt):
    """The system asked the program to end (SIGTERM), like a user's Ctrl-C (SIGINT)."""


@contextmanager
def clear_errors(quiet: bool = False, log_json: bool = False, go_on: str = GO_ON) -> Iterator[None]:
    """Run a command: log to stderr, and turn errors and signals into one line and an exit status.

    The status is 2 for wrong usage, 1 for every other error that a user can mend, 130 after SIGINT
    and 143 after SIGTERM. Warnings and failures are shown under `quiet` too.

    Args:
        quiet: leave out everything but warnings, failures and errors.
        log_json: write one JSON object per line on stderr, in place of text.
        go_on: what the message tells a user who interrupts the command.
    """
    _start_progress()
    with _log_on_stderr(quiet, log_json), _signals_raise():
        try:
            yield
        except (typer.Exit, BrokenPipeError):  # the reader of a pipe may end early, as `head` does
            raise
        except KeyboardInterrupt as stop:
            terminated = isinstance(stop, TerminatedError)
            how = "Terminated" if terminated else "Interrupted"
            log.error("%s%s. %s", how, _progress.in_words(), go_on)
            raise typer.Exit(143 if terminated else 130) from None
        except (MemoryError, RecursionError) as error:
            log.error("Error: out of memory or nested too deeply (%s)", type(error).__name__)
            raise typer.Exit(1) from None
        except RuntimeError as error:
            # Python before 3.13 raises it for links that point at each other.
            if not str(error).startswith("Symlink loop"):
                raise
            log.error("Error: %s", error)
            raise typer.Exit(1) from None
        except OSError as error:  # a full disk, a folder that cannot be written
            log.error("Error: %s: %s", error.filename or "output", error.strerror or error)
            raise typer.Exit(1) from None
        except Exception as error:
            from cxrloc.errors import CxrlocError, UsageError

            if not isinstance(error, CxrlocError):
                raise
            log.error("Error: %s", error)
            raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None


@contextmanager
def _log_on_stderr(quiet: bool, log_json: bool) -> Iterator[None]:
    handler = _StderrLines(log_json)
    handler.setLevel(logging.WARNING if quiet else logging.INFO)
    former = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    # huggingface_hub would log each failed attempt; what cannot be fetched is one error at the end.
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(former)


class _StderrLines(logging.Handler):
    """Writes each record as one line on stderr, of text or as a JSON object."""

    def __init__(self, log_json: bool) -> None:
        super().__init__()
        self._log_json = log_json

    def emit(self, record: logging.LogRecord) -> None:
        from cxrloc.text import one_line

        line = one_line(record.getMessage())
        if self._log_json:
            moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
            fields = {"time": moment, "level": record.levelname.lower(), "message": line}
            line = json.dumps({**fields, **getattr(record, "fields", {})})
        elif record.levelno == logging.WARNING:
            line = one_line(f"Warning: {line}")
        typer.echo(line, err=True)


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Make SIGINT and SIGTERM raise in the main thread, so that files are left whole."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TerminatedError

    raising = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: stop}
    former = {
        number: signal.getsignal(number)
        for number in raising
        if signal.getsignal(number) != signal.SIG_IGN  # as in a shell's background job
    }
    try:
        for number in former:
            signal.signal(number, raising[number])
    except ValueError:  # not in the main thread
        former = {}
    former_hook = sys.unraisablehook
    sys.unraisablehook = partial(_again_if_lost, former_hook)
    try:
        yield
    finally:
        sys.unraisablehook = former_hook
        for number, handler in former.items():
            signal.signal(number, handler)


def _again_if_lost(
    former_hook: Callable[["sys.UnraisableHookArgs"], object], lost: "sys.UnraisableHookArgs"
) -> None:
    """Send a signal again whose exception was lost, because it came while an object was deleted."""
    if isinstance(lost.exc_value, KeyboardInterrupt):
        terminated = isinstance(lost.exc_value, TerminatedError)
        number = signal.SIGTERM if terminated else signal.SIGINT
        threading.Timer(0.01, os.kill, (os.getpid(), number)).start()  # when the deletion is over
    else:
        former_hook(lost)


_progress = Progress()


def _start_progress(what: str = "Images", total: int | None = None) -> Progress:
    global _progress
    _progress = Progress(what, total=total)
    return _progress


def with_progress(items: Iterable[T], quiet: bool, what: str = "Images") -> Iterator[T]:
    """Yields the items and shows progress: a bar on a terminal, else a line on stderr each 30 s."""
    from rich.progress import Progress as Bar

    screen = console(stderr=True)
    progress = _start_progress(what, len(items) if isinstance(items, Sized) else None)
    last_line = progress.started
    bar = Bar(console=screen, disable=quiet or not screen.is_terminal, transient=True)
    task = bar.add_task(what, total=progress.total)
    with bar:
        for item in items:
            progress.done += 1
            progress.failed += hasattr(item, "reason")  # as every kind of failure has
            bar.update(task, total=progress.total, completed=progress.done)
            if not screen.is_terminal and time.monotonic() - last_line >= PROGRESS_SECONDS:
                last_line = time.monotonic()
                log.info("%s", progress.line())
            yield item


def expect(total: int) -> None:
    """Tell the progress shown by `with_progress` how many items will come."""
    _progress.total = total


def decoded(making: Any, quiet: bool) -> Iterator[bytes | str]:
    """Yields the images that go into the cache; a message gives the cache's size if it is large."""
    from shutil import disk_usage

    if making.bytes_needed >= LARGE_BYTES and not quiet:
        free = disk_usage(making.folder).free
        say(
            f"{making.count} images are decoded into {making.folder}: this takes "
            f"{making.bytes_needed / 1e9:.1f} GB of the {free / 1e9:.1f} GB that are free there",
            stderr=True,
        )
    yield from with_progress(making, quiet, "Images decoded")


def exit_on(failures: Sequence[tuple[str, str]]) -> None:
    """If anything failed, print the failures and exit with status 1."""
    show_failures(failures)
    if failures:
        raise typer.Exit(1)


def show_failures(failures: Iterable[tuple[str, str]]) -> None:
    """Print one line on stderr for each image or report that failed: its name and the reason."""
    for name, reason in failures:
        # A reason that comes from a file reader may already begin with the file's name.
        line = reason if reason.startswith(name) else f"{name}: {reason}"
        log.error("%s", line, extra={"fields": {"failed": name, "reason": reason}})


def show_warnings(warnings: Iterable[str]) -> None:
    """Print one line on stderr for each warning."""
    for warning in warnings:
        log.warning("%s", warning)


def show_frame(frame: Any) -> None:
    """Print a data frame as a table of its main columns; print nothing if there is no frame."""
    from cxrloc.files.table_writer import terminal_table

    if frame is not None:
        shown = frame[[name for name in frame.columns if name not in _IN_FILE]]
        console().print(terminal_table(shown))


def show_published() -> None:
    """Print the names of the published tables that can be shown beside results."""
    from cxrloc.evaluation.published import published_tables

    for name, caption in published_tables().items():
        typer.echo(f"{name:20} {caption}")


def model_line(run: dict[str, Any]) -> str:
    """A line that names the model behind the results, if there is one."""
    model = run["model"]
    return f"Model {model['name']}, trained on {model['trained_on']}. " if model else ""


def plain_table(rows: Iterable[Sequence[str]]) -> "RenderableType":
    """A table of rows of cells, headings first; all columns but the first are right-aligned."""
    from rich import box as lines
    from rich.table import Table
    from rich.text import Text

    from cxrloc.text import for_terminal

    headings, *body = rows
    table = Table(box=lines.SIMPLE_HEAD)
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left", overflow="fold")
    for row in body:
        # A cell is no markup, whatever brackets are in it, and cannot control the terminal.
        table.add_row(*(Text(for_terminal(cell)) for cell in row))
    return table


def say(text: str, stderr: bool = False) -> None:
    """Print a text, of which no character can control the terminal."""
    from cxrloc.text import for_terminal

    typer.echo(for_terminal(text), err=stderr)


def console(stderr: bool = False) -> Any:
    """The console to print on, as wide as the terminal; 160 columns wide in a pipe."""
    from rich.console import Console

    from cxrloc.text import for_terminal

    class Screen(Console):
        """A console on which no character of a text can control the terminal."""

        def print(self, *parts: Any, **how: Any) -> None:
            safe = (for_terminal(part) if isinstance(part, str) else part for part in parts)
            super().print(*safe, **how)

    # Markup is off, so that brackets in a file's name are printed as they are.
    screen = Screen(stderr=stderr, markup=False, highlight=False)
    if not screen.is_terminal:
        screen.width = 160
    return screen
