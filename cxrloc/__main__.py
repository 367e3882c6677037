"""`python -m cxrloc` is `cxrloc`; `torchrun ... -m cxrloc train RECIPE` starts one per GPU."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType

STOPPED = {signal.SIGINT: ("Interrupted", 130), signal.SIGTERM: ("Terminated", 143)}
"""Signals that ask the program to end: the word for the message, and the exit status."""


def main() -> None:
    """Run the command line; a signal before or after the command ends it with one line too."""
    for number, default_handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, signal.SIG_DFL),
    ):
        if signal.getsignal(number) == default_handler:  # a shell may have asked to ignore it
            signal.signal(number, _end)
    from cxrloc.cli import app  # only now, because this takes a third of a second
    from cxrloc.memory import keep_freed_memory

    keep_freed_memory()
    app()


def _end(number: int, frame: FrameType | None) -> None:
    """End at once, since an exception could be lost in the import of a library."""
    how, status = STOPPED[signal.Signals(number)]
    os.write(2, f"{how} while the program started or ended. Every file is whole.\n".encode())
    os._exit(status)


def _leave_out_current_folder() -> None:
    """Take the current folder, where `python -m` looks first, out of the search for modules.

    Otherwise a user's `onnx.py` or `typer.py` there would be imported in place of the library.
    """
    if Path(sys.path[0]) == Path.cwd() != Path(__file__).parents[1]:
        del sys.path[0]


if __name__ == "__main__":
    _leave_out_current_folder()
    main()
