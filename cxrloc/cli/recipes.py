"""`cxrloc recipes`: what can be trained."""

import typer

from cxrloc.cli.terminal import clear_errors


def recipes() -> None:
    """The recipes of this package, each with the paper, table and row it is for."""
    with clear_errors():
        from cxrloc.recipe import RECIPES, read_recipe

        for name in RECIPES:
            recipe = read_recipe(name)
            folds = recipe.data.split.folds
            many = f"; folds 0 to {folds - 1} (--fold)" if folds else ""
            typer.echo(f"{name}\n  {recipe.title}{many}\n  {recipe.source or 'no paper'}")
