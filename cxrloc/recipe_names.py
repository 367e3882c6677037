"""The recipes that come with the package, by their names."""

from pathlib import Path

from cxrloc.text import did_you_mean

RECIPES = {path.stem: path for path in sorted((Path(__file__).parent / "recipes").glob("*.toml"))}
"""Recipes that come with the package: name -> file."""


def unknown_recipe(name: str) -> str:
    """The message about a name that is neither a recipe's nor a file's.

    >>> unknown_recipe("phantom_fwe")
    'phantom_fwe: neither a readable TOML file nor one of the recipes (did you mean phantom_few, ...
    """
    return (
        f"{name}: neither a readable TOML file nor one of the recipes"
        f"{did_you_mean(Path(name).name, RECIPES)}; `cxrloc recipes` lists them"
    )
