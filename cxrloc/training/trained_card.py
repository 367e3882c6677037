"""The card of a trained model: its origin, its patients, its scores and its limits."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cxrloc.datasets import names_of_data_set
from cxrloc.datasets.identifiers import CHESTXRAY14_NAME
from cxrloc.files.keys import has_key
from cxrloc.models.card import KEYED, ModelCard, card_patient
from cxrloc.models.patient_list import patient_list
from cxrloc.models.provenance import data_sets_of
from cxrloc.training.data import TrainingData
from cxrloc.training.first_weights import earlier_models, weights_sha256
from cxrloc.training.recipe_config import PHANTOM, Recipe
from cxrloc.training.stages import Trained
from cxrloc.types import Record


def trained_card(
    recipe: Recipe,
    text: str,
    data: TrainingData,
    trained: Trained,
    versions: Mapping[str, str],
    levels: tuple[Mapping[str, float], str],
    data_set: str = "",
) -> ModelCard:
    """The card of a trained model: its origin, its patients and its scores.

    If the model started from other models, their patients, images and possible data sets are
    included in its card. Patients of public data sets are listed by their ids, and private ones by
    keyed hashes; without a key, private ones are listed beside the model, and not in its card.

    Args:
        recipe: the recipe that was trained, with the template that was learned.
        text: the TOML text of the recipe.
        data: the training and validation data.
        trained: the network, its scores and its operating points.
        versions: versions of the packages that computed the weights.
        levels: the result of `box_thresholds`.
        data_set: name of the data set; empty for the name of its reader.
    """
    records, split = data.parts.train, recipe.data.split
    before = [model.card for model in earlier_models(recipe.start)]
    public = not data_set and _is_public(recipe.data.reader, records)
    hashed = not public and has_key()
    patients = {card_patient(record.patient_id, not hashed) for record in records}
    judges = {card_patient(record.patient_id, not hashed) for record in data.parts.validation}
    may_have_seen = {*data.may_have_seen, *(name for card in before for name in card.may_have_seen)}
    origin = " and ".join(f"{card.name} ({card.trained_on})" for card in before)
    name = f"{recipe.title}, fold {split.fold}" if split.folds else recipe.title
    return ModelCard(
        name=name + (" (split by image: patients leak)" if data.parts.leaking else ""),
        trained_on=f"{len(records)} {data.name}" + (f", started from {origin}" if before else ""),
        findings=recipe.network.findings,
        views=tuple(sorted({record.view.value for record in records if record.view})),
        operating_points=trained.operating_points,
        calibration=trained.calibration,
        prevalence={finding: data.prevalence[finding] for finding in trained.calibration},
        box_thresholds=levels[0],
        auc={finding: trained.scores[finding] for finding in trained.operating_points},
        probabilities=trained.probabilities,
        distance=trained.distance[1] if trained.distance else None,
        training_patients=tuple(sorted(patients.union(*(c.training_patients for c in before)))),
        validation_patients=tuple(sorted(judges.union(*(c.validation_patients for c in before)))),
        training_images=len(records) + sum(c.training_images for c in before),
        limits=_limits(recipe, data),
        recipe=text,
        may_have_seen=tuple(sorted(may_have_seen)),
        data_sets=_data_sets(recipe, data, data_set, before),
        patients_beside=not (public or hashed) or any(card.patients_beside for card in before),
        provenance={
            "split_sha256": data.description["split_sha256"],
            "training_sha256": data.description["training_sha256"],
            "seed": str(recipe.fit.seed),
            "start": " + ".join(card.name for card in before) or Path(recipe.start).name,
            "start_sha256": weights_sha256(recipe.start),
            **({"box_thresholds": levels[1]} if levels[0] else {}),
            **versions,
        },
    )


PUBLIC = frozenset(
    (
        *("chestxray14", "mimic_cxr", "openi", "chexpert", "vindr_cxr", "rsna_pneumonia"),
        *("siim_pneumothorax", "chestx_det", "chexlocalize", PHANTOM),
    )
)
"""Readers of published or synthetic data sets, whose patient ids do not identify a person."""


def _is_public(reader: str, records: Sequence[Record]) -> bool:
    """Whether a card may show the patient ids.

    For NIH's layout the file names are checked, since a hospital's own images may use this layout.
    """
    if reader == "chestxray14":
        return all(CHESTXRAY14_NAME.fullmatch(record.image_id) for record in records)
    return reader in PUBLIC


def patient_list_in_words(card: ModelCard, model: Path) -> str:
    """A phrase that says where and how a trained model names its patients."""
    if card.patients_beside:
        return f"listed in {patient_list(model).name} beside the model; keep that file private"
    hashed = any(name.startswith(KEYED) for name in card.training_patients)
    return f"named in the model's card by {'keyed hashes' if hashed else 'the public ids'}"


def _data_sets(
    recipe: Recipe, data: TrainingData, data_set: str, before: Sequence[ModelCard]
) -> tuple[str, ...]:
    """Names of the data sets whose patients the card lists; empty if one of them is not known."""
    reader = PHANTOM if data.description["synthetic"] else recipe.data.reader
    names = {data_set} if data_set else names_of_data_set(reader, data.parts.train)
    earlier = [data_sets_of(card) for card in before if card.training_patients]
    return tuple(sorted(names.union(*earlier))) if all(earlier) else ()


def training_identity(recipe: Recipe, data: TrainingData) -> dict[str, Any]:
    """The recipe and data that a resumed run and its checkpoint must have in common.

    The division of a step's batch into passes and the settings of the hardware may differ, so that
    a run can be resumed with other GPUs. Among the losses only `w_cel` depends on this division,
    because it counts the labels in each pass.
    """
    plain = asdict(recipe)
    for stage in (plain["fit"], plain["head"] or {}):
        for key in ("accumulation", "channels_last", "hardware"):
            stage.pop(key, None)
    return {"recipe": plain, **data.description}


def _limits(recipe: Recipe, data: TrainingData) -> str:
    """One paragraph for every picture that says what the model must not be used for."""
    limits = ["Research only: not for diagnosis."]
    if data.description["synthetic"]:
        limits.append("Trained on synthetic radiographs: must not be used on patients.")
    if data.parts.leaking:
        limits.append("Split by image: patients leak from training into validation and test.")
    if recipe.data.shuffle_labels:
        limits.append("Trained on shuffled labels: a control that has learned nothing.")
    return " ".join(limits)
