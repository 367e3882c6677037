"""Thresholds of the rule "one-box" are those that the finished model's own maps give."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cxrloc.evaluation.localization.box_selection import best_finding_levels
from cxrloc.evaluation.localization.placed_run import ScoringProtocol, place_run
from cxrloc.evaluation.resampling import Resampling
from cxrloc.inference.localize import localize
from cxrloc.inference.localized import Localized
from cxrloc.inference.prepared import Image, InferenceSettings
from cxrloc.models.card import ModelCard
from cxrloc.models.model import Model
from cxrloc.models.networks import build_network
from cxrloc.recipe import recipe_of_text
from cxrloc.training.box_thresholds import box_thresholds
from cxrloc.training.data import training_data
from cxrloc.training.records import phantom_parts

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


def test_thresholds_are_those_of_the_maps_that_the_finished_model_gives(tmp_path: Path) -> None:
    recipe = recipe_of_text(RECIPE, "tiny.toml")
    data = training_data(recipe, None, tmp_path)
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


@pytest.mark.parametrize("without", ["boxes", "place"])
def test_without_boxes_or_their_place_there_are_none(tmp_path: Path, without: str) -> None:
    recipe = recipe_of_text(RECIPE, "tiny.toml")
    data = training_data(recipe, None, tmp_path)
    if without == "boxes":
        bare = [replace(record, annotations=()) for record in data.parts.validation]
        data = replace(data, parts=data.parts._replace(validation=bare))
    else:
        recipe = replace(recipe, preprocessing=replace(recipe.preprocessing, fit="template"))
    network = build_network(recipe.network).eval()
    assert box_thresholds(network, data, recipe, torch.device("cpu")) == ({}, "")
