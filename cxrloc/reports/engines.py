"""`ENGINES`: how negated and uncertain mentions are told from positive ones.

To add one, write a function that makes an `Engine`, and add one line to `ENGINES`.
"""

from collections.abc import Callable

from cxrloc.reports.dependency import dependency_engine
from cxrloc.reports.negation import Engine, scope_engine
from cxrloc.reports.parses import spacy_parser

ENGINES: dict[str, Callable[[str], Engine]] = {
    "scope": lambda parser: scope_engine,
    "dependency": lambda parser: dependency_engine(spacy_parser(parser)),
}
"""Name to a function of the name of a spaCy pipeline, which not every engine needs."""
