"""Fixtures for the tests of the commands."""

import os
from pathlib import Path

import pytest
from filelock import FileLock

from cxrloc.panels.roc import write_roc
from cxrloc.phantom import write_phantoms


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 synthetic chests of 32 pixels, made once for all tests of a run, which only read them."""
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent  # the workers of pytest-xdist share it
    with FileLock(place / "phantoms.lock"):
        if not (place / "phantoms").is_dir():
            write_phantoms(place / "phantoms", n=48, seed=3, size=32)
    return place / "phantoms"


@pytest.fixture(scope="module", autouse=True)
def quick_commands(without_roc_figure: None) -> None:
    """No test here draws a ROC figure unless it asks for it."""


@pytest.fixture
def with_roc_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """`classify` draws its ROC figure after all."""
    monkeypatch.setattr("cxrloc.pipeline.classify.write_roc", write_roc)
