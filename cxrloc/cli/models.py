"""`cxrloc models`: what is embedded."""

from typing import Annotated

import typer

from cxrloc.cli.terminal import clear_errors


def models(
    default: Annotated[bool, typer.Option("--default", help="Print its name only.")] = False,
) -> None:
    """The embedded models, what they were trained on and their limits."""
    with clear_errors():
        from cxrloc.models.weights import DEFAULT_MODEL, MODELS, read_model

        if default:
            typer.echo(DEFAULT_MODEL)
            return
        for name in MODELS:
            card = read_model(name).card
            mark = " (default)" if name == DEFAULT_MODEL else ""
            typer.echo(f"{name}{mark}\n  trained on: {card.trained_on}")
            typer.echo(f"  findings:   {', '.join(card.findings)}\n  limits:     {card.limits}")
        typer.echo("xrv:NAME\n  published by torchxrayvision, such as xrv:densenet121-res224-chex")
