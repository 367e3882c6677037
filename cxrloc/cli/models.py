"""`cxrloc models`: shows the cards of models."""

from pathlib import Path
from typing import Annotated

import typer

from cxrloc.cli.missing_inputs import existing_model
from cxrloc.cli.terminal import clear_errors, console, plain_table, say


def models(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            callback=existing_model,
            help="Names, or model files.  [default: all embedded ones]",
            show_default=False,
        ),
    ] = None,
    default: Annotated[
        bool, typer.Option("--default", help="Print the default model's name only.")
    ] = False,
) -> None:
    """Describe models: training data, input, licence, limits, AUC."""
    with clear_errors():
        from cxrloc.models.names import DEFAULT_MODEL, MODELS

        if default:
            say(DEFAULT_MODEL)
            return
        for name in names or MODELS:
            mark = " (default)" if name == DEFAULT_MODEL else ""
            say(f"{name}{mark}")
            _show_card(name)
        if not names:
            say(
                "xrv:NAME\n  published by torchxrayvision, such as xrv:densenet121-res224-chex\n"
                "hf:ORG/NAME\n  on Hugging Face's hub\n"
                "file.py:FUNCTION, module:FUNCTION\n  code of your own"
            )


def _show_card(name: str) -> None:
    """Print what a model is and needs, and each finding's numbers; a dash is a missing number."""
    from cxrloc.models.card_text import card_lines, finding_rows

    if name.endswith(".onnx"):
        from cxrloc.exported.graph import read_graph

        graph = read_graph(Path(name))
        card = graph.facts.card
        lines = card_lines(card, graph.facts.preprocessing, graph.sha256)
    else:
        from cxrloc.models.weights import read_model

        model = read_model(name)
        card = model.card
        lines = card_lines(card, model.preprocessing, model.sha256, model.config)
    for heading, text in lines:
        say(f"  {heading}: {text}")
    console().print(plain_table(finding_rows(card)))
