"""The test part of the split that a model was trained by, drawn again by its recipe."""

from collections.abc import Sequence
from pathlib import Path

from cxrloc.evaluation.boxed_patients import boxed_patients, named_patients
from cxrloc.models.model import Model
from cxrloc.recipe import recipe_of_text
from cxrloc.training.recipe_config import Recipe
from cxrloc.training.records import split_parts
from cxrloc.types import Record, UsageError


def own_recipe(model: Model) -> Recipe:
    """The recipe that a model was trained by.

    Raises:
        UsageError: it carries none.
    """
    if not model.card.recipe:
        raise UsageError(f"{model.card.name} carries no recipe: `cxrloc train` did not make it")
    return recipe_of_text(model.card.recipe, f"the recipe of {model.card.name}")


def leaking_models(models: Sequence[Model]) -> list[Model]:
    """Those whose own split is by image: patients of its test part may have trained them.

    Raises:
        UsageError: a model carries no recipe.
    """
    return [model for model in models if own_recipe(model).data.split.kind == "image"]


def own_test_part(
    models: Sequence[Model], path: Path | None, records: Sequence[Record]
) -> list[Record]:
    """The records that are for tests in the split of every model.

    Whom a split draws depends on the patient alone: the part is the same though images were added
    or are missing since.

    Raises:
        UsageError: a model has no recipe, or there is no data set that it could have split.
        CxrlocError: the data cannot be split so.
    """
    records = everyone = named_patients(records)
    for model in models:
        recipe = own_recipe(model)
        if path is None or recipe.data.phantom is not None:
            raise UsageError(
                f"the own split of {model.card.name!r} needs the data set that it was trained on, "
                "and drawn phantoms have none: leave --split own out"
            )
        boxed = boxed_patients(recipe.data.reader, path, everyone)
        kept = [r for r in records if not recipe.data.views or r.view in recipe.data.views]
        records = split_parts(recipe.data, path, kept, boxed).test
    return list(records)
