"""What every output says about its models: origin, limits, warnings and operating points."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cxrloc.datasets.identifiers import may_be_seen
from cxrloc.files.structured import parse_toml
from cxrloc.models.card import ModelCard, card_patients
from cxrloc.models.described import Described
from cxrloc.models.probabilities import calibrated
from cxrloc.types import Predictions, Record, View


def describe_models(models: Sequence[Described]) -> dict[str, Any]:
    """Name, hash, origin, limits, licence and input size; " + " joins the texts of an ensemble."""

    def joined(parts: Sequence[str]) -> str:
        return " + ".join(dict.fromkeys(parts))

    return {
        "name": joined([model.card.name for model in models]),
        "sha256": joined([model.sha256 for model in models]),
        "trained_on": joined([model.card.trained_on for model in models]),
        "limits": joined([model.card.limits for model in models]),
        "licence": joined([model.card.licence for model in models if model.card.licence]),
        "input_size": models[0].preprocessing.size,
    }


def caption_of(description: dict[str, Any]) -> str:
    """The caption below every picture, made from the result of `describe_models`.

    >>> caption_of({"name": "a", "trained_on": "my images", "limits": "", "licence": "MIT"})
    'Model a, trained on my images. Licence: MIT.'
    """
    licence = description.get("licence")
    sentences = [
        f"Model {description['name']}, trained on {description['trained_on']}.",
        description["limits"],
        f"Licence: {licence}." if licence else "",
    ]
    return " ".join(filter(None, sentences))


def condition_warnings(models: Sequence[Described]) -> list[str]:
    """One warning per model whose recipe trained findings conditionally on their parents.

    Open: Pham et al. 2019 do not say whether the probabilities of such a model are still
    conditional after a second stage of training.
    """
    cards = [model.card for model in models]
    recipes = {c.name: parse_toml(c.recipe, f"the recipe of {c.name}") for c in cards}
    return [
        f"{name} was trained given the parents in CheXpert's label tree: the probability of a "
        "child may be conditional on its parent, and above it; --products multiplies them"
        for name, recipe in recipes.items()
        if recipe.get("data", {}).get("condition")
    ]


def view_warnings(models: Sequence[Described], view: View | None) -> list[str]:
    """One warning per model that was not trained on this view.

    There is none if the view of the image, or the views that trained the model, are unknown.
    """
    return [
        f"the view is {view}, and {model.card.name} was trained on "
        f"{', '.join(model.card.views)} only"
        for model in models
        if view is not None and model.card.views and view not in _fitting(view, model.card.views)
    ]


def _fitting(view: View, views: Sequence[str]) -> Sequence[str]:
    """The views that a model accepts; a model trained on PA or AP also accepts FRONTAL."""
    return (*views, view) if view is View.FRONTAL and {*views} & {View.PA, View.AP} else views


def data_sets_of(card: ModelCard) -> tuple[str, ...]:
    """The data sets whose patients a card names; empty where they are not known.

    Cards of earlier versions do not list data sets. For them, the data set is the reader of their
    recipe, if training did not start from another model.
    """
    if card.data_sets or not card.recipe:
        return card.data_sets
    recipe = parse_toml(card.recipe, f"the recipe of {card.name}")
    reader = recipe.get("data", {}).get("reader", "")
    begun = str(recipe.get("start", ""))
    return (reader,) if reader and begun in ("", "scratch", "imagenet") else ()


def contamination_warnings(models: Sequence[Described], image_id: str) -> list[str]:
    """One warning per model that may have been trained on this image; its card cannot tell."""
    return [
        f"{model.card.name} may have been trained on this image: its score here is not held out"
        for model in models
        if may_be_seen(image_id, model.card.may_have_seen)
    ]


def selection_warnings(models: Sequence[Described], records: Sequence[Record]) -> dict[str, int]:
    """One warning per model whose weights or thresholds were chosen on some of these patients.

    Returns:
        A mapping from each warning to the number of images that it concerns.
    """
    warnings = {}
    for model in models:
        judges = frozenset(model.card.validation_patients)
        if images := sum(not judges.isdisjoint(card_patients(r.patient_id)) for r in records):
            text = f"the weights or thresholds of {model.card.name} were chosen on these patients"
            warnings[f"{text}: its scores here are too good"] = images
    return warnings


def operating_point(models: Sequence[Described], finding: str) -> float | None:
    """The probability at or above which a finding counts as present; the mean over an ensemble.

    None if a model has no operating point for the finding.
    """
    points = [model.card.operating_points.get(finding) for model in models]
    known = [point for point in points if point is not None]
    return sum(known) / len(known) if len(known) == len(points) else None


def calibrated_probability(models: Sequence[Described], finding: str, raw: float) -> float:
    """The calibrated probability of one model or an ensemble, computed from its raw probability.

    For an ensemble, `raw` is the mean of the raw probabilities of its models. This mean is
    calibrated by each model's card, and the result is the mean of the calibrated values. If a model
    has no calibration for the finding, the raw probability is returned.
    """
    known = [model.card.calibration.get(finding) for model in models]
    if None in known:
        return raw
    return sum(calibrated(raw, coefficients) for coefficients in known) / len(known)


def calibrated_predictions(models: Sequence[Described], raw: Predictions) -> Predictions:
    """The calibrated probabilities of all images and findings, from the raw ones."""
    columns = [
        [calibrated_probability(models, finding, value) for value in column.tolist()]
        for finding, column in zip(raw.findings, raw.probabilities.T, strict=True)
    ]
    probabilities = np.array(columns, dtype=float).T.reshape(raw.probabilities.shape)
    return replace(raw, probabilities=probabilities)


def calibration_warnings(models: Sequence[Described], findings: Iterable[str]) -> list[str]:
    """A warning that names the findings whose probabilities are not calibrated.

    >>> calibration_warnings([], [])
    []
    """
    lacking = [f for f in findings if any(f not in model.card.calibration for model in models)]
    if not lacking:
        return []
    return [f"not calibrated, so that `probability` is the raw one: {', '.join(lacking)}"]


def above_operating_point(
    models: Sequence[Described], finding: str, probability: float
) -> bool | None:
    """Whether a probability reaches the operating point; None if there is no operating point."""
    point = operating_point(models, finding)
    return None if point is None else probability >= point
