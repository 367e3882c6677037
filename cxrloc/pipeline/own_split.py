"""Draws the test part of a model's own split again, from the recipe in the model's card."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cxrloc.datasets.boxed_patients import boxed_patients, named_patients
from cxrloc.datasets.records import has_view
from cxrloc.evaluation.contamination import Contamination, check_contamination
from cxrloc.inference.image_sets import DataOptions, ImageSet
from cxrloc.models.model import Model
from cxrloc.recipe import recipe_of_text
from cxrloc.training.recipe_config import Recipe
from cxrloc.training.records import split_parts
from cxrloc.types import Record, UsageError


def own_recipe(model: Model) -> Recipe:
    """The recipe that a model was trained by.

    Raises:
        UsageError: the model carries no recipe.
    """
    if not model.card.recipe:
        raise UsageError(f"{model.card.name} carries no recipe: `cxrloc train` did not make it")
    return recipe_of_text(model.card.recipe, f"the recipe of {model.card.name}")


def check_patients(
    models: Sequence[Model], image_set: ImageSet, split: str, options: DataOptions
) -> tuple[Contamination, frozenset[str]]:
    """Scored patients who also trained a model, and those whom a split by image leaked.

    A split by image puts images of one patient into both the training and the test part. If the
    split "own" of such a model is scored, this overlap is intended.

    Raises:
        UsageError: with the split "own", a model carries no recipe.
        CxrlocError: a model was trained on one of these patients, without a split by image, and the
            options do not allow it.
    """
    here = {image.image_id for image in image_set.images}
    records = [record for record in image_set.records if record.image_id in here]
    of_image = [m for m in models if split == "own" and own_recipe(m).data.split.kind == "image"]
    others = [model for model in models if model not in of_image]
    data_sets, allowed = image_set.data_sets, options.allow_contaminated
    found = check_contamination(others, records, data_sets, allowed)
    leaked = check_contamination(of_image, records, data_sets, allowed=True).patients
    counts = [found.count] * bool(others) + [len(leaked)] * bool(of_image)
    known = bool(counts) and "unknown" not in counts
    patients = found.patients | leaked
    count = len(patients) if known else "unknown"
    return replace(found, patients=patients, count=count), leaked


def own_test_part(
    models: Sequence[Model], path: Path | None, records: Sequence[Record]
) -> list[Record]:
    """The records that belong to the test part in the split of every model.

    Whether a split draws a patient depends on the patient's id alone, so the part stays the same
    when images are added or missing.

    Raises:
        UsageError: a model has no recipe, or there is no data set that it could have split.
        CxrlocError: the data cannot be split in this way.
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
        kept = [r for r in records if not recipe.data.views or has_view(r, recipe.data.views)]
        records = split_parts(recipe.data, path, kept, boxed).test
    return list(records)
