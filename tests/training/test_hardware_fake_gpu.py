"""Every recipe at full size with fake tensors: shapes and devices are real, numbers are not.

A fake tensor reports that it is on a GPU although there is none, and an operation on tensors of two
devices fails as it would on a real GPU. The backward pass needs a real GPU, so here it runs on fake
tensors of the CPU.
"""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    FakeTensor,
    FakeTensorMode,
)

from cxrloc.datasets.batches import Batch, ImageSet, evaluation_inputs, training_step
from cxrloc.inference.versions import VERSIONS, make_versions
from cxrloc.localization.heatmaps import cam
from cxrloc.models.context import inputs_of
from cxrloc.models.described import Input
from cxrloc.models.localizer import Localizer
from cxrloc.models.networks import Network, build_network, inputs_of_architecture
from cxrloc.models.probabilities import PROBABILITIES
from cxrloc.recipe import read_recipe
from cxrloc.recipe_names import RECIPES
from cxrloc.training.feeding import feeding_for
from cxrloc.training.fit_config import FitConfig
from cxrloc.training.losses import LOSSES, loss_terms
from cxrloc.training.recipe_config import Recipe
from cxrloc.training.step import parts_of, take_step
from tests.fake_gpu import FakeStreams

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
IMAGES = 2
FAST = ("phantom", "wang2017_resnet50_lse", "baltruschat2019_ft_meta")
"""Three kinds of networks; the other recipes are marked slow."""


def slow_but_three(names: Iterable[str]) -> list:
    """The names, of which all but `FAST` are marked slow."""
    return [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in names]


def step_settings(recipe: Recipe) -> tuple:
    """What a network's passes depend on: all but the images, and the names of its findings."""
    fit, network = recipe.fit, replace(recipe.network, findings=("Mass",))
    frozen = (fit.backbone_rate, fit.frozen_layers, fit.frozen_normalisation)
    return network, frozen, fit.loss, fit.optimizer


# The passes of networks cost most of the time, so equal ones are tested once.
NAMES = slow_but_three(
    {step_settings(read_recipe(name)): name for name in (*RECIPES, *FAST)}.values()
)


@pytest.fixture(autouse=True)
def without_a_card(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What would reach for the real card: streams, pinned memory, the card's random numbers."""
    FakeStreams(monkeypatch)
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: nullcontext())
    # GoogLeNet's first weights are drawn until they lie in a range, which needs real numbers.
    monkeypatch.setattr(torch.nn.init, "trunc_normal_", lambda tensor, *_, **__: tensor)
    # timm reads the rates of stochastic depth out of a tensor on the CPU.
    monkeypatch.setattr(FakeTensor, "item", number_on_the_cpu, raising=False)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def number_on_the_cpu(tensor: FakeTensor) -> float:
    try:
        return Tensor.item(tensor)
    except DataDependentOutputException:
        if tensor.device.type == "cuda":
            raise
        return 0.0


def small_steps(config: FitConfig) -> FitConfig:
    hardware = replace(config.hardware, fused=False)
    return replace(
        config,
        batch_size=IMAGES,
        accumulation=1,
        precision="fp32",
        averaging=0.0,
        hardware=hardware,
    )


def image_set(recipe: Recipe) -> ImageSet:
    reads = inputs_of_architecture(recipe.network.architecture)
    views = 2 if Input.SECOND_VIEW in reads else 1
    side = recipe.preprocessing.crop_from or recipe.preprocessing.size
    depth = np.uint8 if (recipe.preprocessing.bit_depth or 16) <= 8 else np.uint16
    labels = np.zeros((IMAGES, len(recipe.network.findings)), np.float32)
    labels[:, 0] = 1
    return ImageSet(
        pixels=np.zeros((IMAGES * views, side, side), depth),
        slots=np.arange(IMAGES * views).reshape(IMAGES, views),
        labels=labels,
        values=torch.zeros(IMAGES, 3) if Input.METADATA in reads else None,
    )


def network_on(device: torch.device, recipe: Recipe) -> Network:
    with device:
        return build_network(recipe.network)


def batch_on(device: torch.device, recipe: Recipe) -> Batch:
    feeding = feeding_for(recipe, small_steps(recipe.fit), recipe.data.condition, device)
    (batch,) = training_step(image_set(recipe), range(IMAGES), step=0, feeding=feeding)
    return batch


@pytest.mark.parametrize("name", slow_but_three(RECIPES))
def test_batches_versions_and_loss_stay_on_the_card(name: str) -> None:
    recipe = read_recipe(name)
    batch = batch_on(CUDA, recipe)
    assert {each.device for each in (*batch.inputs, batch.labels)} == {CUDA}
    images, loss = batch.inputs[0], recipe.fit.loss
    for versions in VERSIONS.values():
        affines = versions(*images.shape[-2:], 0)[:2]
        for version in make_versions(images, affines, recipe.preprocessing):
            assert (version.images.device, version.images.shape) == (CUDA, images.shape)
    logits = torch.zeros_like(batch.labels)
    assert LOSSES[loss](logits, batch.labels).device == CUDA
    assert loss_terms(loss, batch.labels).device == CUDA
    feeding = feeding_for(recipe, small_steps(recipe.fit), "", CUDA)
    evaluated = evaluation_inputs(image_set(recipe), np.arange(IMAGES), feeding)
    assert [each.shape for each in evaluated] == [each.shape for each in batch.inputs]


@pytest.mark.parametrize("name", NAMES)
def test_logits_and_maps_stay_on_the_card(name: str) -> None:
    recipe = read_recipe(name)
    batch, network = batch_on(CUDA, recipe), network_on(CUDA, recipe)
    if inputs_of(network) == (Input.IMAGE,):
        assert isinstance(network, Localizer)
        logits, maps = cam(network, *batch.inputs)
        assert (maps.device, maps.shape[:2]) == (CUDA, logits.shape)
    else:  # bound to their further inputs before they make maps
        logits, _ = network(*batch.inputs)
    assert (logits.device, logits.shape) == (CUDA, batch.labels.shape)
    assert PROBABILITIES["sigmoid"](logits).device == CUDA


@pytest.mark.parametrize("name", NAMES)
def test_a_step_gives_every_weight_that_learns_a_gradient(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DistributedDataParallel waits for ever for the gradient of a weight that has none."""
    recipe = read_recipe(name)
    network = network_on(CPU, recipe)
    config = small_steps(recipe.fit)
    parts = parts_of(network, config)
    monkeypatch.setattr(parts.optimizer, "zero_grad", lambda: None)
    take_step(network, parts, [batch_on(CPU, recipe)], config, step=0, rate=0.1)
    learning = {key: p.grad for key, p in network.named_parameters() if p.requires_grad}
    assert learning
    assert [key for key, gradient in learning.items() if gradient is None] == []
