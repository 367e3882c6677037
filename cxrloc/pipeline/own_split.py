"""The test part of the split that a model was trained by, drawn again by its recipe."""

from collections.abc import Sequence
from pathlib import Path

from cxrloc.evaluation.boxed_patients import boxed_patients, named_patients
from cxrloc.evaluation.contamination import contaminated_patients
from cxrloc.models.model import Model
from cxrloc.pipeline.image_sets import refuse_contamination
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


def leaked_patients(models: Sequence[Model], records: Sequence[Record], split: str) -> set[str]:
    """Patients who are scored though they trained a model, by that model's own split by image.

    Such a split lets images of one patient into both the training and the test part.

    Raises:
        UsageError: with the split "own", a model carries no recipe.
        CxrlocError: a model was trained on one of these patients, and not by such a split.
    """
    of_image = [m for m in models if split == "own" and own_recipe(m).data.split.kind == "image"]
    refuse_contamination([model for model in models if model not in of_image], records)
    trained = (model.card.training_patients for model in of_image)
    return {patient for named in trained for patient in contaminated_patients(records, named)}


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
