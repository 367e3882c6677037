"""The rooms import each other in one direction only (contract: pyproject.toml)."""

from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports


def test_rooms_are_imported_only_downstream() -> None:
    assert lint_imports() == EXIT_STATUS_SUCCESS
