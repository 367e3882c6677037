"""Options of several commands are written once and become settings."""

from typing import Annotated, Any

import typer
from typer.testing import CliRunner

from cxrloc.cli.settings import with_settings

Text = Annotated[str, typer.Option(help="Of the group.")]


def pair(left: Text = "a", right: Text = "b") -> tuple[str, str]:
    return left, right


def test_a_command_gets_what_its_group_makes_of_the_options() -> None:
    got: list[Any] = []

    @with_settings(both=pair)
    def command(*, before: int = 1, both: tuple[str, str], after: int = 2) -> None:
        """Docs."""
        got.extend([before, both, after])

    app = typer.Typer()
    app.command()(command)
    assert CliRunner().invoke(app, ["--right", "z", "--after", "5"]).exit_code == 0
    assert got == [1, ("a", "z"), 5]
    shown = CliRunner().invoke(app, ["--help"]).output
    assert [shown.index(name) for name in ("Docs", "--before", "--left", "--right", "--after")] == (
        sorted(shown.index(name) for name in ("Docs", "--before", "--left", "--right", "--after"))
    )


def test_an_option_of_the_group_and_the_command_is_one_which_both_get() -> None:
    got: list[Any] = []

    @with_settings(both=pair)
    def command(
        *, both: tuple[str, str], left: Annotated[str, typer.Option(help="Own words.")] = "own"
    ) -> None:
        got.extend([both, left])

    app = typer.Typer()
    app.command()(command)
    assert CliRunner().invoke(app, ["--left", "x"]).exit_code == 0
    assert got == [("x", "b"), "x"]
    shown = CliRunner().invoke(app, ["--help"]).output
    assert shown.count("--left") == 1
    assert "Own words." in shown
