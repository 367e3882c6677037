"""The rule files are checked when they are read."""

import pytest

from cxrloc.errors import CxrlocError
from cxrloc.reports import phrases
from cxrloc.reports.phrases import expression, read_phrases


def test_a_pattern_that_misses_its_example_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phrases, "expression", lambda pattern: expression("never"))
    with pytest.raises(CxrlocError, match=r"scope.txt, line \d+: pattern"):
        read_phrases("scope.txt")
