"""`cxrloc recipes`: lists the recipes that can be trained."""

from typing import Annotated

import typer

from cxrloc.cli.missing_inputs import existing_recipe
from cxrloc.cli.terminal import clear_errors, say


def recipes(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RECIPE]...",
            callback=existing_recipe,
            help="Print these whole, as TOML to start from.",
        ),
    ] = None,
) -> None:
    """List the recipes, each with the paper, table and row it is for."""
    with clear_errors():
        from cxrloc.recipe import read_recipe, recipe_text
        from cxrloc.recipe_names import RECIPES

        if names:
            say("\n".join(map(recipe_text, names)).rstrip("\n"))
            return
        for name in RECIPES:
            recipe = read_recipe(name)
            folds = recipe.data.split.folds
            many = f"; folds 0 to {folds - 1} (--fold)" if folds else ""
            say(f"{name}\n  {recipe.title}{many}\n  {recipe.source or 'no paper'}")
