"""A flood of refusals is a few lines of the log, and each kind of refusal is said."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from cxrloc.pacs import refusals
from cxrloc.pacs.refusals import MOST_LINES, RefusalLog


@pytest.fixture
def intervals(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What happens at the ends of the intervals that have begun; the tests call it."""
    ends: list[Callable[[], None]] = []

    class Timer:
        def __init__(self, seconds: float, call: Callable[..., None], words: tuple[Any]) -> None:
            ends.append(lambda: call(*words))

        def start(self) -> None:
            """The test itself ends the interval."""

    monkeypatch.setattr(refusals, "Timer", Timer)
    return ends


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, str]]]:
    lines = [(record.message, vars(record)["fields"]) for record in caplog.records]
    caplog.clear()
    return lines


def test_the_first_refusal_is_said_at_once_and_others_are_counted(
    intervals: list[Callable[[], None]], caplog: pytest.LogCaptureFixture
) -> None:
    log = RefusalLog()
    for _ in range(1000):
        log.add("Refused", {"host": "h"})
    log.add("Refused", {"host": "other"})
    assert told(caplog) == [("Refused", {"host": "h"}), ("Refused", {"host": "other"})]
    intervals.pop(0)()
    intervals.pop(0)()
    assert told(caplog) == [("Refused (999 more in the last 60 seconds)", {"host": "h"})]
    # After a quiet interval, the next refusal is a first one.
    intervals.pop(0)()
    assert not intervals
    log.add("Refused", {"host": "h"})
    assert told(caplog) == [("Refused", {"host": "h"})]


def test_many_hosts_do_not_make_many_lines(
    intervals: list[Callable[[], None]], caplog: pytest.LogCaptureFixture
) -> None:
    log = RefusalLog()
    for number in range(1000):
        log.add("Refused", {"host": str(number)})
    lines = told(caplog)
    assert len(lines) == len(intervals) == MOST_LINES + 1
    assert lines[-1] == ("Refused", {})
    intervals[-1]()
    assert told(caplog) == [(f"Refused ({999 - MOST_LINES} more in the last 60 seconds)", {})]


def test_a_fault_of_the_node_itself_is_an_error(
    intervals: list[Callable[[], None]], caplog: pytest.LogCaptureFixture
) -> None:
    log = RefusalLog()
    log.add("Disk full", level=logging.ERROR)
    log.add("Refused")
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert len(intervals) == 2
