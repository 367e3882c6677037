"""The rooms import each other in one direction only (contract: pyproject.toml)."""

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports


def test_rooms_are_imported_only_downstream(monkeypatch: pytest.MonkeyPatch) -> None:
    # Its settings would switch off the loggers to which tests of other files listen.
    monkeypatch.setattr("logging.config.dictConfig", lambda settings: None)
    assert lint_imports() == EXIT_STATUS_SUCCESS
