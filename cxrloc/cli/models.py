"""`cxrloc models`: shows the cards of models."""

from typing import Annotated, Any

import typer

from cxrloc.cli.terminal import clear_errors, console, plain_table


def models(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Names, or checkpoint files.  [default: all embedded ones]",
            show_default=False,
        ),
    ] = None,
    default: Annotated[
        bool, typer.Option("--default", help="Print the default model's name only.")
    ] = False,
) -> None:
    """Models: what trained them, their limits, AUC and operating points."""
    with clear_errors():
        from cxrloc.models.weights import DEFAULT_MODEL, MODELS, read_model

        if default:
            typer.echo(DEFAULT_MODEL)
            return
        for name in names or MODELS:
            mark = " (default)" if name == DEFAULT_MODEL else ""
            typer.echo(f"{name}{mark}")
            show_card(read_model(name).card)
        if not names:
            typer.echo(
                "xrv:NAME\n  published by torchxrayvision, such as xrv:densenet121-res224-chex"
            )


def show_card(card: Any) -> None:
    """Print a model's origin and limits, and each finding's numbers; a dash is a missing number."""
    typer.echo(f"  name:       {card.name}\n  trained on: {card.trained_on}")
    typer.echo(f"  limits:     {card.limits}")
    rows = [["finding", "AUC on validation images", "operating point"]]
    for finding in card.findings:
        numbers = card.auc.get(finding), card.operating_points.get(finding)
        rows.append([finding, *("-" if number is None else f"{number:.3f}" for number in numbers)])
    console().print(plain_table(rows))
