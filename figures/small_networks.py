"""Small networks for the figures that compare networks, trained on phantoms and scored on others.

As in Wang et al. 2017, section 4, a network uses the backbone of an embedded model, and only its
transition and prediction layers are trained; or the whole network is trained from random weights.
Images have 128 pixels and training takes some hundred steps, so the curves show the form of a
figure, and say nothing about radiographs. Networks and phantoms are made once and kept in
cxrloc-cache/figures: about ten seconds of one idle core per network, half a minute for the
phantoms.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cxrloc.evaluation.resampling import Resampling
from cxrloc.inference.prepared import InferenceSettings
from cxrloc.phantom import write_phantoms
from cxrloc.pipeline.classify import classify
from cxrloc.pipeline.classify_options import ClassifyOptions
from cxrloc.pipeline.train import TrainOptions, TrainWatch, train

KEPT = Path("cxrloc-cache/figures")
CAPTION = "Small networks on synthetic radiographs: no clinical meaning."

_SIZE, _TEST_SEED, _TEST_IMAGES = 128, 78, 300

_RECIPE = """
extends = "phantom"
title = "{name}"
start = "{start}"
[data.phantom]
seed = {seed}
training_images = 480
validation_images = 96
[preprocessing]
size = {size}
mean = {means}
std = {deviations}
[network]
backbone = "{backbone}"
input_channels = {channels}
transition_channels = 64
pooling = "{pooling}"
{numbers}
[fit]
batch_size = 16
steps = {steps}
validate_every = 20
averaging = 0.9
backbone_rate = {backbone_rate}
precision = "fp32"
[fit.schedule]
name = "{schedule}"
base_learning_rate = {lowest}
half_cycle_steps = 20
warmup_steps = 10
"""


class SmallNetwork(NamedTuple):
    """The settings in which the networks differ; `start` is "scratch" or an embedded model."""

    name: str
    start: str = "phantom-v1"
    backbone: str = "small_resnet"
    pooling: str = "average"
    lse_r: float = 10.0
    schedule: str = "cosine"
    seed: int = 5
    steps: int = 160


def recipe_file(network: SmallNetwork) -> Path:
    """Write the recipe of a network and return its path."""
    path = KEPT / "recipes" / f"{network.name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    lowest = 3e-4 if network.schedule == "triangular2" else 0.0
    channels = 1 if network.backbone == "small_resnet" else 3
    path.write_text(
        _RECIPE.format(
            **network._asdict(),
            numbers=f"pooling_parameters = {{ r = {network.lse_r} }}" * (network.pooling == "lse"),
            size=_SIZE,
            channels=channels,
            means=[0.5] * channels,
            deviations=[0.25] * channels,
            backbone_rate=1.0 if network.start == "scratch" else 0.0,
            lowest=lowest,
        )
    )
    return path


def trained(network: SmallNetwork) -> Path:
    """The training run of a network."""
    out = KEPT / "trained" / network.name
    if not (out / "model.safetensors").is_file():
        options = TrainOptions(
            str(recipe_file(network)),
            device="cpu",
            cache=KEPT / "images",
            resume=(out / "last.ckpt").is_file(),
        )
        train(out, options, TrainWatch(decoding=iter, data=lambda _: None, moment=lambda _: None))
    return out


def test_phantoms() -> Path:
    """Phantoms that no network has seen, as a data set on disk."""
    folder = KEPT / "phantoms"
    if not (folder / "test_list.txt").is_file():
        write_phantoms(folder, n=_TEST_IMAGES, seed=_TEST_SEED, size=_SIZE)
    return folder


def scored(networks: Sequence[SmallNetwork]) -> list[Path]:
    """The output folders of `classify` for networks on the test phantoms, by name."""
    runs = []
    for network in networks:
        out = KEPT / "scored" / network.name
        if not (out / "run.json").is_file():
            options = ClassifyOptions(
                models=(str(trained(network) / "model.safetensors"),),
                resampling=Resampling(200),
                inference=InferenceSettings(device="cpu"),
            )
            classify(test_phantoms(), out, options)
        runs.append(out)
    return runs
