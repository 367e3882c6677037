"""The names of the engines that a user can choose."""

from cxrloc.reports.engines import ENGINES
from cxrloc.reports.negation import scope_engine


def test_the_default_engine_needs_no_parser() -> None:
    assert ENGINES["scope"]("no such pipeline") is scope_engine
