"""The log of what a node refuses, which a flood of senders cannot fill."""

import logging
from collections.abc import Mapping
from threading import Lock, Timer

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 60.0
"""Seconds between two lines about equal refusals."""

MOST_LINES = 20
"""Different refusals that are told apart at a time; the others are counted without their sender."""


Refusal = tuple[int, str, frozenset[tuple[str, str]]]
"""Level of the line, what was refused, and fields that name the sender."""


class RefusalLog:
    """Writes a line for the first of equal refusals, and one line per interval for the others.

    Args:
        interval_seconds: between two lines about equal refusals.
    """

    def __init__(self, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._interval = interval_seconds
        self._lock = Lock()
        self._more: dict[Refusal, int] = {}

    def add(
        self, what: str, sender: Mapping[str, str] | None = None, level: int = logging.WARNING
    ) -> None:
        """Count one refusal.

        Args:
            what: a sentence that says what was refused, and why.
            sender: fields that name the sender. Refusals are equal if all arguments are equal.
            level: of the line; ERROR if the fault is the node's own.
        """
        key = (level, what, frozenset((sender or {}).items()))
        with self._lock:
            if key not in self._more and len(self._more) >= MOST_LINES:
                key = (level, what, frozenset())
            if key in self._more:
                self._more[key] += 1
                return
            self._more[key] = 0
        self._say(key)

    def _say(self, refusal: Refusal, more: int = 0) -> None:
        """Write a line, and look again after an interval."""
        level, what, sender = refusal
        often = f" ({more} more in the last {self._interval:g} seconds)" if more else ""
        log.log(level, what + often, extra={"fields": dict(sender)})
        timer = Timer(self._interval, self._look_again, (refusal,))
        timer.daemon = True
        timer.start()

    def _look_again(self, refusal: Refusal) -> None:
        with self._lock:
            more, self._more[refusal] = self._more[refusal], 0
            if not more:
                del self._more[refusal]
                return
        self._say(refusal, more)
