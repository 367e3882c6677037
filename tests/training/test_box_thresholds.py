"""Thresholds of the rule "one-box" are those that the finished model's own maps give."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.localization.box_selection import best_finding_levels
from cxrloc.evaluation.localization.placed_run import ScoringProtocol, place_run
from cxrloc.evaluation.resampling import Resampling
from cxrloc.inference.localize import localize
from cxrloc.inference.localized import Localized
from cxrloc.inference.prepared import Image, InferenceSettings
from cxrloc.models.card import ModelCard
from cxrloc.models.model import Model
from cxrloc.models.networks import build_network
from cxrloc.phantom.drawn_lesions import draw_lesion
from cxrloc.recipe import recipe_of_text
from cxrloc.training.box_thresholds import box_thresholds
from cxrloc.training.data import TrainingData, training_data
from cxrloc.training.recipe_config import Recipe
from cxrloc.training.records import phantom_parts
from cxrloc.types import Annotation, Box, Radiograph, Record, View

RECIPE = """
title = "Tiny"
[data]
reader = "phantom"
[data.phantom]
seed = 5
training_images = 2
validation_images = 14
[preprocessing]
size = 64
[network]
backbone = "small_resnet"
findings = ["Mass", "Effusion", "Cardiomegaly"]
output_stride = 8
transition_channels = 4
[fit]
batch_size = 2
steps = 1
[fit.schedule]
learning_rate = 1e-3
"""


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return recipe_of_text(RECIPE, "tiny.toml")


@pytest.fixture(scope="module")
def data(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return training_data(recipe, None, tmp_path_factory.mktemp("cache"))


def test_thresholds_are_those_of_the_maps_that_the_finished_model_gives(
    recipe: Recipe, data: TrainingData
) -> None:
    # Nobody has drawn a box around a heart.
    drawn = [
        replace(r, annotations=tuple(a for a in r.annotations if a.finding != "Cardiomegaly"))
        for r in data.parts.validation
    ]
    data = replace(data, parts=data.parts._replace(validation=drawn))
    torch.manual_seed(0)
    network = build_network(recipe.network).eval()
    levels, said = box_thresholds(network, data, recipe, torch.device("cpu"))
    boxed = [r for r in drawn if {a.finding for a in r.annotations} & {"Mass", "Effusion"}]
    card = ModelCard("tiny", "", recipe.network.findings)
    model = Model(network, recipe.network, recipe.preprocessing, card)
    _, sources = phantom_parts(recipe.data.phantom, recipe.preprocessing.size)
    images = [Image(record.image_id, sources[record.image_id].read) for record in boxed]
    results = localize([model], images, InferenceSettings(device="cpu"))
    maps = [each.heatmaps for each in results if isinstance(each, Localized)]
    run = place_run(boxed, (), ScoringProtocol(resampling=Resampling(0)), maps)
    expected = best_finding_levels(
        run.pairs, run.maps, np.ones(run.pairs.patients, dtype=bool), recipe.network.findings
    )
    assert levels == {name: round(expected[name], 2) for name in recipe.network.findings}
    assert len({*levels.values()}) > 1
    assert said == (
        f"chosen on {len(boxed)} validation images with boxes; the level best over all of these: "
        "Cardiomegaly"
    )


def test_boxes_without_a_frame_are_in_pixels_of_the_file(
    recipe: Recipe, data: TrainingData, tmp_path: Path
) -> None:
    """Boxes of VinDr-CXR and of a table name no frame; the file may be of any size and shape."""
    recipe = replace(recipe, preprocessing=replace(recipe.preprocessing, fit="letterbox"))
    file = tmp_path / "a.png"
    PIL.Image.new("L", (100, 200)).save(file)
    box = Box(x_min=60.0, y_min=120.0, x_max=90.0, y_max=190.0)
    first = data.parts.validation[0]
    own = (Annotation(first.image_id, "Mass", box),)
    network = build_network(recipe.network).eval()

    def levels(**changes: object) -> dict[str, float]:
        record = replace(first, annotations=own, **changes)
        bare = [replace(other, annotations=()) for other in data.parts.validation[1:]]
        changed = replace(data, parts=data.parts._replace(validation=[record, *bare]))
        return box_thresholds(network, changed, recipe, torch.device("cpu"))[0]

    expected = levels(annotation_frame=(200, 100), path=None)
    assert levels(annotation_frame=None, path=file) == expected
    outside = replace(own[0], box=replace(box, x_max=990.0, x_min=900.0))
    own = (outside,)
    with pytest.raises(CxrlocError, match="outside the image of 100 x 200"):
        levels(annotation_frame=None, path=file)


def test_without_boxes_lesions_are_drawn_into_images_without_findings(
    recipe: Recipe, data: TrainingData
) -> None:
    data = without_boxes(data)
    stored = data.validation.pixels
    images = data.validation.pixels[data.validation.slots[:, 0]] / np.iinfo(stored.dtype).max
    normals = np.flatnonzero((data.validation.labels == 0).all(axis=1))
    rng = np.random.default_rng(0)
    lesions = [
        draw_lesion(("Effusion", "Mass")[turn % 2], images[row].astype(np.float32), rng)
        for turn, row in enumerate(normals)
    ]
    assert len(lesions) >= 3
    torch.manual_seed(0)
    network = build_network(recipe.network).eval()
    levels, said = box_thresholds(network, data, recipe, torch.device("cpu"))
    card = ModelCard("tiny", "", recipe.network.findings)
    model = Model(network, recipe.network, recipe.preprocessing, card)
    given = [
        Image(str(number), partial(Radiograph, lesion.pixels, bits_stored=16))
        for number, lesion in enumerate(lesions)
    ]
    results = localize([model], given, InferenceSettings(device="cpu"))
    maps = [each.heatmaps for each in results if isinstance(each, Localized)]
    truth = [
        Record(
            str(n), str(n), str(n), None, annotations=(Annotation(str(n), one.finding, one.box),)
        )
        for n, one in enumerate(lesions)
    ]
    run = place_run(truth, (), ScoringProtocol(resampling=Resampling(0)), maps)
    everyone = np.ones(run.pairs.patients, dtype=bool)
    expected = best_finding_levels(run.pairs, run.maps, everyone, recipe.network.findings)
    assert levels == {name: round(expected[name], 2) for name in recipe.network.findings}
    assert said == (
        f"chosen on {len(lesions)} lesions drawn into validation images without findings; the "
        "level best over all of these: Cardiomegaly"
    )


@pytest.mark.parametrize("without", ["normals", "fronts", "place"])
def test_without_images_or_their_place_there_are_none(
    recipe: Recipe, data: TrainingData, without: str
) -> None:
    data = without_boxes(data)
    if without == "normals":
        labels = np.full_like(data.validation.labels, np.nan)  # nobody said that they are normal
        data = replace(data, validation=replace(data.validation, labels=labels))
    elif without == "fronts":
        sides = [replace(record, view=View.LATERAL) for record in data.parts.validation]
        data = replace(data, parts=data.parts._replace(validation=sides))
    else:
        recipe = replace(recipe, preprocessing=replace(recipe.preprocessing, fit="template"))
    network = build_network(recipe.network).eval()
    assert box_thresholds(network, data, recipe, torch.device("cpu")) == ({}, "")


def without_boxes(data: TrainingData) -> TrainingData:
    """The same data, whose validation images have no boxes."""
    bare = [replace(record, annotations=()) for record in data.parts.validation]
    return replace(data, parts=data.parts._replace(validation=bare))
