"""The recipes that models carry in their cards: how each was trained, and what follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from cxrloc.errors import UsageError
from cxrloc.evaluation.classification.truth import NoFinding, TruthRules, Uncertain
from cxrloc.files.structured import parse_toml
from cxrloc.models.model import Model
from cxrloc.recipe import recipe_of_text
from cxrloc.training.recipe_config import Recipe


def own_recipe(model: Model) -> Recipe:
    """The recipe that a model was trained by.

    Raises:
        UsageError: the model carries no recipe.
    """
    if not model.card.recipe:
        raise UsageError(f"{model.card.name} carries no recipe: `cxrloc train` did not make it")
    return recipe_of_text(model.card.recipe, f"the recipe of {model.card.name}")


def is_split_by_image(model: Model) -> bool:
    """Whether images of one patient were put into both the training and the test part.

    Raises:
        UsageError: the model carries no recipe.
    """
    return own_recipe(model).data.split.kind == "image"


def truth_rules(
    models: Sequence[Model], uncertain: Uncertain | None, no_finding: NoFinding | None
) -> TruthRules:
    """How labels become truth: as the user says, else as the recipe of the models says.

    If several models have other rules in their recipes, or a model has no recipe, the rules are
    those of `TruthRules`.

    Args:
        models: the models that are scored.
        uncertain: the user's choice, as in `TruthRules`; None: not chosen.
        no_finding: likewise.
    """
    defaults = asdict(TruthRules())
    recipes = [_data_of_recipe(model) for model in models]
    keys = {"uncertain": "uncertain_truth", "no_finding": "no_finding"}
    of_recipes = {
        name: {recipe.get(key, defaults[name]) for recipe in recipes} for name, key in keys.items()
    }
    learned = {name: values.pop() for name, values in of_recipes.items() if len(values) == 1}
    options = {"uncertain": uncertain, "no_finding": no_finding}
    chosen = {name: value for name, value in options.items() if value is not None}
    return TruthRules(**{**defaults, **learned, **chosen})


def _data_of_recipe(model: Model) -> Mapping[str, Any]:
    """The table `data` of the recipe that trained a model; empty if its card has no recipe."""
    recipe = model.card.recipe
    return parse_toml(recipe, f"the recipe of {model.card.name}").get("data", {}) if recipe else {}


def models_by_fold(models: Sequence[tuple[str, Model]]) -> dict[int, Model]:
    """The models by the fold that each was trained by.

    Args:
        models: each with the name or path that the user gave.

    Raises:
        UsageError: the models are not different folds of one recipe.
    """
    found: dict[int, Model] = {}
    names: dict[int, str] = {}
    recipes = []
    for name, model in models:
        recipe = own_recipe(model)
        split = recipe.data.split
        if not split.folds:
            raise UsageError(f"{name}: its recipe {recipe.title!r} has no folds")
        if split.fold in found:
            raise UsageError(f"{name} and {names[split.fold]} are both fold {split.fold}")
        found[split.fold], names[split.fold] = model, name
        recipes.append(replace(recipe, data=replace(recipe.data, split=replace(split, fold=0))))
        if recipes[-1] != recipes[0]:
            raise UsageError(f"{name} and {models[0][0]} are not folds of one recipe")
    return found
