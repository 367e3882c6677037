"""The progress of a command, in words."""

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Progress:
    """The progress of a command, for the progress line and the message after an interruption."""

    what: str = "Images"
    done: int = 0
    failed: int = 0
    total: int | None = None
    started: float = field(default_factory=time.monotonic)

    def in_words(self) -> str:
        """The progress as a phrase, such as " after 12 of 40 images"; empty before the first."""
        if not self.done:
            return ""
        of = f" of {self.total}" if self.total is not None else ""
        return f" after {self.done}{of} {self.what.lower()}"

    def line(self) -> str:
        """The progress as a line: count, failures, rate and time left."""
        rate = self.done / max(time.monotonic() - self.started, 1e-9)
        of = "" if self.total is None else f" of {self.total}"
        text = f"{self.what}: {self.done}{of} done, {self.failed} failed, {rate:.2g} per second"
        if self.total is None:
            return text
        minutes, seconds = divmod(round((self.total - self.done) / max(rate, 1e-9)), 60)
        return f"{text}, {minutes}:{seconds:02d} left"
