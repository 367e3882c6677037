"""Fixtures for the tests of the commands."""

from collections.abc import Iterator

import pytest

from cxrloc.panels.figure_files import write_figure
from cxrloc.panels.roc import draw_roc


@pytest.fixture(scope="module", autouse=True)
def without_roc_figure() -> Iterator[None]:
    """`classify` draws no ROC figure, which would take most of its time; `test_roc` looks at it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cxrloc.pipeline.classify.draw_roc", lambda *_: None)
        patch.setattr("cxrloc.pipeline.classify.write_figure", lambda *_: None)
        yield


@pytest.fixture
def with_roc_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """`classify` draws its ROC figure after all."""
    monkeypatch.setattr("cxrloc.pipeline.classify.draw_roc", draw_roc)
    monkeypatch.setattr("cxrloc.pipeline.classify.write_figure", write_figure)
