"""What a GPU does with this package: `python benchmarks/on_gpu.py`, at most six minutes.

Phantoms and networks with random weights are made by the script, so nothing is downloaded. For two
recipes, the table shows how many images per second training takes, the ratio to the bare loop and
to the card's peak, and how many images the loader alone supplies. It also shows whether a
deterministic run that is resumed ends in exactly the same weights, how fast `heatmap` is on files,
and whether Grad-CAM agrees with the grad-cam package.

`--quick` does the same with tiny networks on any machine, to check that the script works.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cxrloc.datasets.splits import SplitConfig
from cxrloc.files.run_folder import Destination
from cxrloc.inference.batches import TRIED_FIRST, with_precision
from cxrloc.inference.prepared import InferenceSettings
from cxrloc.inference.watched import Watched
from cxrloc.localization.gradcam_package import package_heatmap
from cxrloc.localization.heatmaps import cam, grad_cam
from cxrloc.models.card import ModelCard
from cxrloc.models.weights import write_model
from cxrloc.phantom import write_phantoms
from cxrloc.pipeline.heatmap import HeatmapOptions, heatmap
from cxrloc.recipe import read_recipe
from cxrloc.training.data import TrainingData, training_data
from cxrloc.training.feeding import feeding_for, training_batches
from cxrloc.training.fit import Run, fit
from cxrloc.training.fit_config import resolved
from cxrloc.training.hardware import computing
from cxrloc.training.losses import LOSSES
from cxrloc.training.recipe_config import DataConfig, PhantomData, Recipe
from cxrloc.training.stages import build, train_stages, with_values

RECIPES = ("wang2017_resnet50_lse", "baltruschat2019_large")
PEAK_BF16 = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40": 181e12, "A10": 125e12}
"""Dense bfloat16 operations per second, from NVIDIA's data sheets."""

Row = tuple[str, str]


def on_phantoms(name: str, quick: bool) -> Recipe:
    """The recipe, changed to train on phantoms from scratch in bfloat16; if quick, a tiny net."""
    recipe = read_recipe(name)
    images = 32 if quick else 320
    data = replace(
        recipe.data,
        reader="phantom",
        split=SplitConfig(),
        boxed_patients="test",
        phantom=PhantomData(seed=41, training_images=images, validation_images=8),
    )
    assert isinstance(data, DataConfig)
    fit = replace(
        recipe.fit,
        batch_size=8 if quick else 64,
        accumulation=1,
        steps=4 if quick else 40,
        epochs=0,
        validate_every=2 if quick else 20,
        stop_after=0,
        keep="last",
        precision="fp32" if quick else "bf16",
        channels_last=not quick,
    )
    preprocessing, network = recipe.preprocessing, recipe.network
    if quick:
        preprocessing = replace(preprocessing, size=32, crop_from=0)
        network = replace(network, backbone="small_resnet", output_stride=16, transition_channels=4)
    findings = recipe.network.findings[:8]
    return replace(
        recipe,
        start="scratch",
        data=data,
        fit=fit,
        preprocessing=preprocessing,
        network=replace(network, findings=findings),
    )


def synchronised(device: torch.device) -> float:
    """The time after the GPU has finished all work, because GPU calls return before they finish."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def speeds(recipe: Recipe, data: TrainingData, device: torch.device, out: Path) -> Iterator[Row]:
    """Images per second of the loader alone, the bare loop and `fit`, and the share of the peak."""
    network = build(recipe, data, device)
    data = with_values(data, network)
    config = resolved(recipe.fit, len(data.train.slots))
    feeding = feeding_for(recipe, config, "", device)
    images = config.steps * config.batch_size

    started = synchronised(device)
    for _ in training_batches(data.train, feeding, config, 0):
        pass
    loader = images / (synchronised(device) - started)

    ((batch,),) = islice(training_batches(data.train, feeding, config, 0), 1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5)
    network.train()
    half = config.precision == "bf16"

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            logits = network(*batch.inputs)[0]
        LOSSES[config.loss](logits.float(), batch.labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    with FlopCounterMode(display=False) as counter:
        step()
    operations = counter.get_total_flops() / config.batch_size
    started = synchronised(device)
    for _ in range(config.steps):
        step()
    bare = images / (synchronised(device) - started)

    seen: list[float] = []
    run = Run(out, watch=lambda moment: seen.append(moment.images_per_second))
    batches = partial(training_batches, data.train, feeding, config)
    fit(network, batches, lambda network: {}, config, run)
    trained = seen[-1]
    yield "loader alone, images/s", f"{loader:.0f}"
    yield "bare loop, images/s", f"{bare:.1f}"
    yield "training, images/s", f"{trained:.1f}"
    yield "training / bare loop (wanted: .9)", f"{trained / bare:.2f}"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    peak = next((value for key, value in PEAK_BF16.items() if key in name), None)
    share = "no peak known" if peak is None else f"{trained * operations / peak:.1%}"
    yield "share of the bf16 peak", share


def resumes(recipe: Recipe, data: TrainingData, device: torch.device, place: Path) -> Iterator[Row]:
    """Whether a deterministic run that was interrupted ends in the weights of an unbroken run."""

    def trained(out: Path, broken: bool, resume: bool) -> dict[str, torch.Tensor]:
        def stop(moment: object) -> None:
            if broken and getattr(moment, "validation", {}).get("step") == last:
                raise KeyboardInterrupt

        last = recipe.fit.steps
        with computing(recipe.fit.hardware, device, deterministic=True):
            run = Run(out, resume, watch=stop)
            return train_stages(recipe, data, device, run).network.state_dict()

    whole = trained(place / "whole", broken=False, resume=False)
    with suppress(KeyboardInterrupt):
        trained(place / "parts", broken=True, resume=False)
    parts = trained(place / "parts", broken=False, resume=True)
    equal = all(torch.equal(whole[name], parts[name]) for name in whole)
    yield "deterministic, resumed to the bit", "yes" if equal else "NO"


def heatmaps(recipe: Recipe, network: nn.Module, device: str, place: Path, n: int) -> Iterator[Row]:
    """`heatmap` on files against forward passes alone, what maps cost, and half precision."""
    path = place / "model.safetensors"
    card = ModelCard("random", "nothing", recipe.network.findings)
    write_model(path, network.cpu(), recipe.preprocessing, card)  # type: ignore[arg-type]
    write_phantoms(place / "files", n=n, seed=43, size=recipe.preprocessing.size)
    settings = with_precision(InferenceSettings(device=device, workers=os.cpu_count() or 1))
    options = HeatmapOptions((str(path),), inference=settings)
    started = time.perf_counter()
    done = sum(
        1 for _ in heatmap([place / "files" / "images"], Destination(place / "out"), options)
    )
    whole = done / (time.perf_counter() - started)
    network = network.to(device).eval()
    side, channels = recipe.preprocessing.size, recipe.network.input_channels
    images = torch.rand(TRIED_FIRST, channels, side, side, device=device)
    watched = Watched(network, settings.precision)  # type: ignore[arg-type]
    with torch.inference_mode():
        forward = seconds_of(partial(watched, images), images.device)
        maps = seconds_of(partial(cam, watched, images), images.device)
        exact, half = (cam(each, images)[1] for each in (network, watched))  # type: ignore[arg-type]
    difference = ((exact - half).abs().max() / exact.abs().max()).item()
    yield f"heatmap on {n} files, images/s", f"{whole:.1f}"
    yield "forward passes alone, images/s", f"{TRIED_FIRST / forward:.1f}"
    yield "the card's idle share (wanted: .2)", f"{max(0.0, 1 - whole * forward / TRIED_FIRST):.0%}"
    yield "all-finding maps / forward pass (wanted: 1.05)", f"{maps / forward:.2f}"
    yield f"maps in {settings.precision} against fp32, difference / largest", f"{difference:.1e}"


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """The median time of five calls, after one that is not counted."""
    times = []
    for _ in range(6):
        started = synchronised(device)
        work()
        times.append(synchronised(device) - started)
    return statistics.median(times[1:])


def against_package(recipe: Recipe, network: nn.Module, device: torch.device) -> Iterator[Row]:
    """The largest difference between Grad-CAM of this package and of grad-cam, and both speeds."""
    network = network.to(device).eval()
    side, channels = recipe.preprocessing.size, recipe.network.input_channels
    images = torch.rand(2, channels, side, side, device=device)
    started = synchronised(device)
    _, ours = grad_cam(network, images)  # type: ignore[arg-type]
    own_seconds = synchronised(device) - started
    started = synchronised(device)
    _, theirs = package_heatmap("GradCAM", network, images)  # type: ignore[arg-type]
    seconds = synchronised(device) - started
    largest = theirs.abs().max().clamp(min=1e-12)
    difference = ((ours - theirs).abs().max() / largest).item()
    yield "Grad-CAM against the grad-cam package, difference / largest", f"{difference:.1e}"
    yield "and times as fast, all findings", f"{seconds / own_seconds:.1f}"


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="Tiny networks, any machine.")
    quick = parser.parse_args().quick
    name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name, 0) if name == "cuda" else torch.device(name)
    print(torch.cuda.get_device_name(device) if name == "cuda" else "No GPU: a CPU.")
    print("\n| recipe | what | value |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for recipe_name in RECIPES:
            place = Path(folder) / recipe_name
            recipe = on_phantoms(recipe_name, quick)
            data = training_data(recipe, None, place / "cache")
            for row in speeds(recipe, data, device, place / "speed"):
                print(f"| {recipe_name} | {row[0]} | {row[1]} |", flush=True)
        short = replace(recipe, fit=replace(recipe.fit, steps=4, validate_every=2, batch_size=8))
        network = build(short, data, device)
        for rows in (
            resumes(short, data, device, place / "resumed"),
            heatmaps(short, network, name, place, n=8 if quick else 500),
            against_package(short, network, device),
        ):
            for row in rows:
                print(f"| {recipe_name} | {row[0]} | {row[1]} |", flush=True)


if __name__ == "__main__":
    main()
