"""`cxrloc models`: shows the cards of models."""

from typing import Annotated, Any

import typer

from cxrloc.cli.terminal import clear_errors, console, plain_table, say


def models(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Names, or model files.  [default: all embedded ones]",
            show_default=False,
        ),
    ] = None,
    default: Annotated[
        bool, typer.Option("--default", help="Print the default model's name only.")
    ] = False,
) -> None:
    """Models: what they need, what trained them, their licence, limits, AUC, operating points."""
    with clear_errors():
        from cxrloc.models.names import DEFAULT_MODEL, MODELS
        from cxrloc.models.weights import read_model

        if default:
            say(DEFAULT_MODEL)
            return
        for name in names or MODELS:
            mark = " (default)" if name == DEFAULT_MODEL else ""
            say(f"{name}{mark}")
            show_card(read_model(name))
        if not names:
            say(
                "xrv:NAME\n  published by torchxrayvision, such as xrv:densenet121-res224-chex\n"
                "hf:ORG/NAME\n  on Hugging Face's hub\n"
                "file.py:FUNCTION, module:FUNCTION\n  code of your own"
            )


def show_card(model: Any) -> None:
    """Print what a model needs and is, and each finding's numbers; a dash is a missing number."""
    from cxrloc.models.card_text import card_lines, finding_rows

    for heading, text in card_lines(model):
        say(f"  {heading}: {text}")
    console().print(plain_table(finding_rows(model)))
