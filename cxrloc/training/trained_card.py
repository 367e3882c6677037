"""What the card of a trained model says of its training."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cxrloc.datasets import names_of_data_set
from cxrloc.datasets.identifiers import CHESTXRAY14_NAME
from cxrloc.files.keys import has_key
from cxrloc.models.model import ModelCard, card_patient
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
    data_set: str = "",
) -> ModelCard:
    """The card of a trained model: its origin, its patients and its scores.

    Patients, images and possible data sets of the models that it started from count as its own.

    Args:
        recipe: as it was trained, with the template that was learned.
        text: the TOML text of the recipe.
        data: what it was trained and validated on.
        trained: the network, its scores and its operating points.
        versions: of the packages whose arithmetic made it.
        data_set: name of the data set; empty for that of its reader.
    """
    records, split = data.parts.train, recipe.data.split
    before = [model.card for model in earlier_models(recipe.start)]
    public = not data_set and _is_public(recipe.data.reader, records)
    patients = _listed(records, public)
    judges = _listed(data.parts.validation, public)
    seen = {*data.may_have_seen, *(name for card in before for name in card.may_have_seen)}
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
        auc={finding: trained.scores[finding] for finding in trained.operating_points},
        probabilities=trained.probabilities,
        training_patients=tuple(sorted(patients.union(*(c.training_patients for c in before)))),
        validation_patients=tuple(sorted(judges.union(*(c.validation_patients for c in before)))),
        training_images=len(records) + sum(c.training_images for c in before),
        limits=_limits(recipe, data),
        recipe=text,
        may_have_seen=tuple(sorted(seen)),
        data_sets=_data_sets(recipe, data, data_set, before),
        provenance={
            "split_sha256": data.description["split_sha256"],
            "training_sha256": data.description["training_sha256"],
            "seed": str(recipe.fit.seed),
            "start": " + ".join(card.name for card in before) or Path(recipe.start).name,
            "start_sha256": weights_sha256(recipe.start),
            **versions,
        },
    )


PUBLIC = frozenset(
    (
        *("chestxray14", "mimic_cxr", "openi", "chexpert", "vindr_cxr", "rsna_pneumonia"),
        *("siim_pneumothorax", "chestx_det", "chexlocalize", PHANTOM),
    )
)
"""Readers of data sets that are published, or drawn: their patients' ids tell nobody anything."""


def _is_public(reader: str, records: Sequence[Record]) -> bool:
    """Whether ids may stand in a card: a hospital's own images may lie in NIH's layout."""
    if reader == "chestxray14":
        return all(CHESTXRAY14_NAME.fullmatch(record.image_id) for record in records)
    return reader in PUBLIC


def _listed(records: Sequence[Record], public: bool) -> set[str]:
    """The patients as the card lists them; nobody where private ids have no key to hide them."""
    if not public and not has_key():
        return set()
    return {card_patient(record.patient_id, public) for record in records}


def _data_sets(
    recipe: Recipe, data: TrainingData, data_set: str, before: Sequence[ModelCard]
) -> tuple[str, ...]:
    """Names of the data sets whose patients the card lists; none if one of them is not known."""
    names = {data_set} if data_set else names_of_data_set(recipe.data.reader, data.parts.train)
    earlier = [data_sets_of(card) for card in before if card.training_patients]
    return tuple(sorted(names.union(*earlier))) if all(earlier) else ()


def what_was_trained(recipe: Recipe, data: TrainingData) -> dict[str, Any]:
    """What a run must share with the checkpoint that it goes on from: recipe and data.

    How a step's batch is divided into passes, and how the hardware computes, may differ: a run can
    be resumed with other GPUs. Of the losses only `w_cel` depends on the division, by its counts
    of labels in each pass.
    """
    plain = asdict(recipe)
    for stage in (plain["fit"], plain["head"] or {}):
        for key in ("accumulation", "channels_last", "hardware"):
            stage.pop(key, None)
    return {"recipe": plain, **data.description}


def _limits(recipe: Recipe, data: TrainingData) -> str:
    """One paragraph for every picture: what the model must not be used for."""
    limits = ["Research only: not for diagnosis."]
    if recipe.data.phantom is not None:
        limits.append("Trained on synthetic radiographs: must not be used on patients.")
    if data.parts.leaking:
        limits.append("Split by image: patients leak from training into validation and test.")
    if recipe.data.shuffle_labels:
        limits.append("Trained on shuffled labels: a control that has learned nothing.")
    return " ".join(limits)
