"""What every output says of the models behind it."""

import tomllib
from collections.abc import Sequence
from typing import Any

from cxrloc.evaluation.contamination import may_be_seen
from cxrloc.models.weights import Model, hashed_patient
from cxrloc.types import Record, View

ALONG_TREE = "Probabilities are products along CheXpert's label tree."


def describe_models(models: Sequence[Model]) -> dict[str, Any]:
    """Name, hash, origin and limits; an ensemble's are joined by " + "."""

    def joined(parts: Sequence[str]) -> str:
        return " + ".join(dict.fromkeys(parts))

    return {
        "name": joined([model.card.name for model in models]),
        "sha256": joined([model.sha256 for model in models]),
        "trained_on": joined([model.card.trained_on for model in models]),
        "limits": joined([model.card.limits for model in models]),
        "input_size": models[0].preprocessing.size,
    }


def caption_of(description: dict[str, Any]) -> str:
    """The line under every picture."""
    name, trained_on, limits = (description[key] for key in ("name", "trained_on", "limits"))
    return f"Model {name}, trained on {trained_on}. {limits}"


def condition_warnings(models: Sequence[Model]) -> list[str]:
    """A warning per model whose recipe has it learn findings given their parents.

    Whether its probabilities still are conditional after a second stage is open (Pham et al. 2019).
    """
    recipes = {model.card.name: tomllib.loads(model.card.recipe) for model in models}
    return [
        f"{name} was trained given the parents in CheXpert's label tree: the probability of a "
        "child may be conditional on its parent, and above it; --products multiplies them"
        for name, recipe in recipes.items()
        if recipe.get("data", {}).get("condition")
    ]


def view_warnings(models: Sequence[Model], view: View | None) -> list[str]:
    """A warning per model that was not trained on this view; an unknown view passes."""
    return [
        f"view {view} is none that {model.card.name} was trained on ({', '.join(model.card.views)})"
        for model in models
        if view is not None and view not in model.card.views
    ]


def say_whom_they_saw(models: Sequence[Model]) -> bool:
    """Whether the cards of all models, and there is one, name their training patients."""
    return bool(models) and all(model.card.training_patients for model in models)


def contamination_warnings(models: Sequence[Model], image_id: str) -> list[str]:
    """A warning per model that may have been trained on this image, and cannot say."""
    return [
        f"{model.card.name} may have been trained on this image: its score here is not held out"
        for model in models
        if may_be_seen(image_id, model.card.may_have_seen)
    ]


def selection_warnings(models: Sequence[Model], records: Sequence[Record]) -> dict[str, int]:
    """A warning per model that was chosen by some of these images, and how many they are."""
    warnings = {}
    for model in models:
        judges = frozenset(model.card.validation_patients)
        if images := sum(hashed_patient(record.patient_id) in judges for record in records):
            text = f"the weights or thresholds of {model.card.name} were chosen on these patients"
            warnings[f"{text}: its scores here are too good"] = images
    return warnings


def operating_point(models: Sequence[Model], finding: str) -> float | None:
    """The probability from which a finding counts as present; the mean over an ensemble.

    None where a model has none for the finding.
    """
    points = [model.card.operating_points.get(finding) for model in models]
    known = [point for point in points if point is not None]
    return sum(known) / len(known) if len(known) == len(points) else None


def above_operating_point(models: Sequence[Model], finding: str, probability: float) -> bool | None:
    """Whether a probability reaches the operating point; None where there is none."""
    point = operating_point(models, finding)
    return None if point is None else probability >= point
