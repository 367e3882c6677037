"""Every recipe of the package takes a training step, and the saved model can localize."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cxrloc.datasets import read_as
from cxrloc.inference.image_sets import DataOptions
from cxrloc.inference.localize import localize
from cxrloc.inference.localized import Localized
from cxrloc.inference.prepared import Image, InferenceSettings
from cxrloc.models.card import ModelCard
from cxrloc.models.model import Model
from cxrloc.models.weights import read_model, write_model
from cxrloc.recipe import read_recipe
from cxrloc.recipe_names import RECIPES
from cxrloc.training.data import training_data
from cxrloc.training.fit import Run
from cxrloc.training.fit_config import FitConfig
from cxrloc.training.recipe_config import Recipe
from cxrloc.training.stages import train_stages
from cxrloc.types import Radiograph, Sex, View
from tests.pipeline.phantom_layouts import LAYOUTS, write_report_labels

FROM_REPORTS = ("openi", "mimic_cxr")
"""Data sets whose own labels are others than the recipes', which get theirs from reports."""


def short(config: FitConfig) -> FitConfig:
    return replace(
        config,
        batch_size=4,
        accumulation=min(2, config.accumulation),
        steps=1,
        epochs=0,
        validate_every=1,
        precision="fp32",
    )


def small(recipe: Recipe) -> Recipe:
    """The recipe with a small network on small images; all else is its own."""
    width = 8 if recipe.network.transition_channels is None else recipe.network.transition_channels
    phantoms = recipe.data.phantom
    if phantoms is not None:
        phantoms = replace(phantoms, training_images=8, validation_images=8)
    return replace(
        recipe,
        start="scratch",
        data=replace(recipe.data, images=(), phantom=phantoms),
        preprocessing=replace(
            recipe.preprocessing, size=32, crop_from=36 if recipe.preprocessing.crop_from else 0
        ),
        network=replace(
            recipe.network,
            backbone="small_resnet",
            output_stride=min(32, recipe.network.output_stride),
            transition_channels=width,
            same_padding=False,
        ),
        fit=short(recipe.fit),
        head=recipe.head and short(recipe.head),
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for reader, write in LAYOUTS.items():
        made[reader] = tmp_path_factory.mktemp("layouts") / reader
        write(made[reader])
    return made


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def chest(view: View) -> Radiograph:
    pixels = np.random.default_rng(0).random((48, 40), dtype=np.float32)
    return Radiograph(pixels, bits_stored=12, view=view, age_years=50.0, sex=Sex.FEMALE)


def localized(model: Model) -> Localized:
    """What a model says of a frontal image that has a lateral one beside it."""
    image = Image("a", lambda: chest(View.PA), lambda: chest(View.LATERAL))
    (result,) = localize([model], [image], InferenceSettings(device="cpu", workers=1))
    assert isinstance(result, Localized), result
    return result


FAST = (
    *("phantom", "wang2017_resnet50_lse", "preechakul2022_resnet50_pylon"),
    *("baltruschat2019_large_meta", "dong2017_single_vgg16"),
    *("pham2019_ones_ct_lsr", "rubin2018_dualnet_pa"),
)
"""One of each kind of data set, network, loss and stage; the others are marked slow."""


@pytest.mark.parametrize(
    "name",
    [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in RECIPES],
)
def test_every_recipe_takes_a_step_and_its_written_model_localizes(
    name: str, folders: dict[str, Path], cache: Path, tmp_path: Path
) -> None:
    recipe = small(read_recipe(name))
    folder, labels = folders.get(recipe.data.reader), None
    if recipe.data.reader in FROM_REPORTS:
        labels = tmp_path / "labels.csv"
        assert folder is not None
        studies = {record.study_id: None for record in read_as(recipe.data.reader, folder)}
        write_report_labels(labels, list(studies), recipe.network.findings)
    data = training_data(recipe, folder, cache, DataOptions(labels=labels))
    trained = train_stages(recipe, data, torch.device("cpu"), Run(tmp_path))
    assert np.isfinite(trained.scores["validation_loss"])
    assert set(trained.scores) == {"validation_loss", "mean_auc", *recipe.network.findings}
    assert (tmp_path / "metrics.csv").read_text().count("\n") == 2
    findings, path = recipe.network.findings, tmp_path / "model.safetensors"
    card = ModelCard(recipe.title, "phantoms", findings, probabilities=trained.probabilities)
    write_model(path, trained.network, data.preprocessing, card)
    in_memory = Model(trained.network, recipe.network, data.preprocessing, card)
    of_file, wanted = (localized(each) for each in (read_model(path), in_memory))
    # Weights are written in half precision.
    np.testing.assert_allclose(of_file.probabilities, wanted.probabilities, atol=0.01)
    maps = of_file.heatmaps.scores
    assert maps.shape == wanted.heatmaps.scores.shape
    assert len(maps) == len(findings)
    assert np.isfinite(maps).all()
