"""The messages of every command on stderr, and its exit status."""

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from cxrloc.cli import terminal
from cxrloc.cli.terminal import (
    clear_errors,
    console,
    decoded,
    plain_table,
    say,
    show_failures,
    show_warnings,
    with_progress,
)
from cxrloc.datasets.image_cache import ImagesToDecode
from cxrloc.errors import CxrlocError, UsageError


def ended(work: Callable[[], object], **options: bool) -> int:
    """The exit status of a command that does this work."""

    def command() -> None:
        with clear_errors(**options):
            work()

    with pytest.raises(typer.Exit) as raised:
        command()
    return raised.value.exit_code


def raising(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (CxrlocError("a.dcm: no image"), 1, "Error: a.dcm: no image"),
        (UsageError("--seed x: no number"), 2, "Error: --seed x: no number"),
        (OSError(errno.ENOSPC, "No space left", "a.png"), 1, "Error: a.png: No space left"),
        (CxrlocError("a\x1b[2J\nb"), 1, "Error: a\\x1b[2J b"),
        (RuntimeError("Symlink loop from 'a'"), 1, "Error: Symlink loop from 'a'"),
        (MemoryError(), 1, "Error: out of memory or nested too deeply (MemoryError)"),
        (RecursionError(), 1, "Error: out of memory or nested too deeply (RecursionError)"),
    ],
)
def test_an_error_is_one_line_and_a_status(
    error: BaseException, status: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(raising(error), quiet=True) == status
    assert capsys.readouterr().err == f"{line}\n"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_one_line_that_says_how_far_it_came_and_how_to_go_on(
    number: signal.Signals,
    status: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # A shell starts background jobs, such as a whole test run, with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def work() -> None:
        for image in with_progress(["a", "b", "c"], quiet=True):
            if image == "b":
                os.kill(os.getpid(), number)

    former = signal.getsignal(signal.SIGTERM)
    assert ended(work, quiet=True) == status
    how = {130: "Interrupted", 143: "Terminated"}[status]
    assert capsys.readouterr().err == (
        f"{how} after 2 of 3 images. What is written is whole. "
        "Call the same command again to go on.\n"
    )
    assert signal.getsignal(signal.SIGTERM) is former


def test_warnings_and_failures_stay_under_quiet_and_news_does_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for quiet in (True, False):
        with clear_errors(quiet):
            logging.getLogger("cxrloc.files").info("goes on after 3 images")
            show_warnings(["a lateral view"])
            show_failures([("a.dcm", "a.dcm: cut short"), ("b.dcm", "no image")])
    kept = ["Warning: a lateral view", "a.dcm: cut short", "b.dcm: no image"]
    assert capsys.readouterr().err.splitlines() == [*kept, "goes on after 3 images", *kept]


def test_the_log_can_be_json_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    with clear_errors(quiet=True, log_json=True):
        show_failures([("a\n.dcm", "cut short")])
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert said.pop("time").endswith("Z")
    assert said == {
        "level": "error",
        "message": "a .dcm: cut short",
        "failed": "a\n.dcm",
        "reason": "cut short",
    }


@pytest.mark.parametrize(("asked", "level"), [(None, "error"), ("debug", "debug")])
def test_attempts_to_reach_the_hub_are_no_lines_unless_asked_for(
    asked: str | None, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {"HF_HUB_VERBOSITY": asked} if asked else {})
    with clear_errors():
        assert os.environ["HF_HUB_VERBOSITY"] == level


def test_without_a_terminal_progress_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "PROGRESS_SECONDS", 0.0)
    with clear_errors():
        assert [*with_progress([1, 2], quiet=False)] == [1, 2]
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("Images: 1 of 2 done, 0 failed, ")
    assert second.endswith("per second, 0:00 left")


def test_a_reader_that_has_had_enough_is_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    """As `cxrloc recipes | head`: typer then ends the command, without a word."""
    with pytest.raises(BrokenPipeError), clear_errors():
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("size", "said"), [(10**8, ""), (8 * 10**10, "80.0 GB of the ")])
def test_a_large_cache_is_announced_before_it_is_made(
    size: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    making = ImagesToDecode(iter([b"pixels"]), 1, size, tmp_path)
    assert [*decoded(making, quiet=False)] == [b"pixels"]
    shown = capsys.readouterr().err
    assert (said in shown, bool(shown)) == (True, bool(said))


HARMFUL = "a\x1b[2J\u202eb\udcff"


@pytest.mark.parametrize(
    "show",
    [
        say,
        lambda text: console().print(f"in {text}"),
        lambda text: console().print(plain_table([["finding"], [text]])),
    ],
    ids=["a line", "a line of a report", "a cell"],
)
def test_no_text_can_control_the_terminal(
    capsys: pytest.CaptureFixture[str], show: Callable[[str], None]
) -> None:
    show(HARMFUL)
    assert "a\\x1b[2J\\u202eb\\udcff" in capsys.readouterr().out


class SignalsAtItsEnd:
    """An object at whose deletion a signal comes; Python drops what a deletion raises."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_during_the_deletion_of_an_object_is_not_lost(
    number: signal.Signals, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def work() -> None:
        SignalsAtItsEnd(number)
        time.sleep(5)

    assert ended(work) == status
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "status", "how"),
    [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Terminated")],
)
def test_a_signal_while_the_command_is_loading_is_one_line(
    number: signal.Signals, status: int, how: str
) -> None:
    loading = (
        "import os, signal, sys, types\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from cxrloc.__main__ import main\n"
        "sys.modules['cxrloc.cli'] = commands = types.ModuleType('cxrloc.cli')\n"
        f"commands.__getattr__ = lambda name: os.kill(os.getpid(), {number.value})\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", loading], capture_output=True, text=True)
    assert done.returncode == status
    assert done.stderr == f"{how} while the program started or ended. Every file is whole.\n"


def test_other_lost_errors_reach_the_hook_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda each: lost.append(each.exc_value))

    class Bad:
        def __del__(self) -> None:
            raise ValueError("lost")

    with clear_errors():
        Bad()  # it is deleted at once
    assert [str(each) for each in lost] == ["lost"]
