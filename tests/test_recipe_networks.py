"""The real network of every recipe at its real size, on the meta device: shapes without numbers."""

from dataclasses import replace

import pytest
import torch

from cxrloc.models.backbones import BACKBONES
from cxrloc.models.localizer import LocalizerConfig
from cxrloc.models.meta import META
from cxrloc.models.networks import build_network
from cxrloc.models.pooling import PoolingParameters
from cxrloc.recipe import read_recipe
from cxrloc.recipe_names import RECIPES
from cxrloc.training.recipe_config import Recipe

NETWORKS: dict[tuple[LocalizerConfig, int], list[str]] = {}
for name in RECIPES:
    recipe = read_recipe(name)
    # Whatever the pooling and the head: the shapes are the same.
    alike = replace(
        recipe.network,
        pooling="average",
        pooling_parameters=PoolingParameters(),
        head="pool_then_predict",
        maps_per_finding=1,
    )
    NETWORKS.setdefault((alike, recipe.preprocessing.size), []).append(name)

USUAL = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
OF_TIMM = [name for name, backbone in BACKBONES.items() if backbone.timm_weights]
FROM_TENSORFLOW = ("googlenet", *OF_TIMM)
"""Backbones whose published weights saw grey levels in [-1, 1] (torchvision's GoogLeNet turns its
usual input into that by `transform_input`, which our layers do not)."""


FAST = ("wang2017_resnet50_lse", "baltruschat2019_large", "dong2017_single_vgg16")
"""Networks that are built quickly; the others are marked slow."""


@pytest.mark.parametrize(
    ("config", "size"),
    [
        pytest.param(*key, id=names[0], marks=() if {*FAST} & {*names} else pytest.mark.slow)
        for key, names in NETWORKS.items()
    ],
)
def test_the_real_network_takes_the_recipes_images(config: LocalizerConfig, size: int) -> None:
    if config.backbone in OF_TIMM:
        pytest.importorskip("timm", reason="this backbone is in the extra zoo")
    views = 2 if config.architecture == "dualnet" else 1
    cells = size // config.output_stride
    assert cells * config.output_stride == size
    with torch.device("meta"):
        network = build_network(config).eval()
        inputs = [torch.empty(1, views * config.input_channels, size, size)]
        if config.architecture == "meta":
            inputs.append(torch.empty(1, len(META)))
        logits, features = network(*inputs)
    assert logits.shape == (1, len(config.findings))
    assert features.shape == (1, network.prediction.in_features, cells, cells)


def starts_from_imagenet(recipe: Recipe) -> bool:
    return recipe.start == "imagenet" and recipe.network.input_channels == 3


@pytest.mark.parametrize(
    "name", [name for name in RECIPES if starts_from_imagenet(read_recipe(name))]
)
def test_pretrained_weights_get_the_grey_levels_that_they_know(name: str) -> None:
    recipe = read_recipe(name)
    if recipe.preprocessing.standardised or recipe.network.same_padding:
        pytest.skip("its weights are a file, named by --start, or every image is standardised")
    seen = recipe.preprocessing.mean, recipe.preprocessing.std
    assert seen == (HALF if recipe.network.backbone in FROM_TENSORFLOW else USUAL)
