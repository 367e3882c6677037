"""The log of what a node refuses, which a flood of senders cannot fill."""

import logging
from collections.abc import Mapping
from threading import Lock, Timer

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 60.0
"""Seconds between two lines about equal refusals."""

MOST_LINES = 20
"""Different refusals that are told apart at a time; the others are counted without their sender."""


class RefusalLog:
    """Writes a line for the first of equal refusals, and one line per interval for the others.

    Args:
        interval_seconds: between two lines about equal refusals.
    """

    def __init__(self, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._interval = interval_seconds
        self._lock = Lock()
        self._more: dict[tuple[str, frozenset[tuple[str, str]]], int] = {}

    def add(self, what: str, sender: Mapping[str, str] | None = None) -> None:
        """Count one refusal.

        Args:
            what: was refused, and why, as a sentence.
            sender: by name of a field; refusals are equal if these are.
        """
        key = (what, frozenset((sender or {}).items()))
        with self._lock:
            if key not in self._more and len(self._more) >= MOST_LINES:
                key = (what, frozenset())
            if key in self._more:
                self._more[key] += 1
                return
            self._more[key] = 0
        self._say(*key)

    def _say(self, what: str, sender: frozenset[tuple[str, str]], more: int = 0) -> None:
        """Write a line, and look again after an interval."""
        often = f" ({more} times more in {self._interval:g} seconds)" if more else ""
        log.warning(what + often, extra={"fields": dict(sender)})
        timer = Timer(self._interval, self._look_again, (what, sender))
        timer.daemon = True
        timer.start()

    def _look_again(self, what: str, sender: frozenset[tuple[str, str]]) -> None:
        with self._lock:
            more, self._more[what, sender] = self._more[what, sender], 0
            if not more:
                del self._more[what, sender]
                return
        self._say(what, sender, more)
