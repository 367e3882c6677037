"""How fast training is: `python benchmarks/speed_training.py`.

Prints a Markdown table with medians of interleaved runs on the same images: the loader alone (from
the cached file to augmented batches), the bare loop (forward, backward and step on one batch that
is already loaded) and training by `fit`, which uses the loader. The targets are loader / training
>= 5 and training / bare loop >= 0.95.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cxrloc.datasets.batches import Feeding, ImageSet
from cxrloc.datasets.image_cache import Source, cached_images
from cxrloc.findings import CHESTXRAY8
from cxrloc.images.augment import Augmentation
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.training.feeding import training_batches
from cxrloc.training.fit import Run, fit
from cxrloc.training.fit_config import FitConfig
from cxrloc.training.losses import LOSSES
from cxrloc.training.schedules import ScheduleConfig
from cxrloc.training.uncertainty import POLICIES
from cxrloc.types import Radiograph

IMAGES, REPEATS = 128, 5
AUGMENTATION = Augmentation(mirror=0.5, rotation_degrees=7.0, scale=0.1, contrast=0.1)


def noise(size: int, number: int) -> Radiograph:
    """An image of noise; the content of an image does not affect the speed."""
    pixels = np.random.default_rng(number).random((size, size), dtype=np.float32)
    return Radiograph(pixels, bits_stored=8)


def image_set(size: int, folder: Path) -> ImageSet:
    """Cached images with random labels."""
    sources = [Source(f"noise {number}", partial(noise, size, number)) for number in range(IMAGES)]
    images = cached_images(sources, Preprocessing(size), folder)
    labels = np.random.default_rng(0).integers(0, 2, (IMAGES, len(CHESTXRAY8)))
    return ImageSet(images.pixels, images.slots[:, None], labels.astype(np.float32))


def loader(images: ImageSet, feeding: Feeding, config: FitConfig) -> float:
    """Images per second of the loader alone, one pass after another as training takes them."""
    started = time.perf_counter()
    for _ in training_batches(images, feeding, config, 0):
        pass
    return config.steps * config.batch_size / (time.perf_counter() - started)


def bare_loop(network: nn.Module, images: ImageSet, feeding: Feeding, config: FitConfig) -> float:
    """Images per second of forward, backward and step."""
    ((batch,),) = [next(iter(training_batches(images, feeding, config, config.steps - 1)))]
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    network.train()
    started = time.perf_counter()
    for _ in range(config.steps):
        loss = LOSSES[config.loss](network(*batch.inputs)[0], batch.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return config.steps * config.batch_size / (time.perf_counter() - started)


def training(
    network: nn.Module, images: ImageSet, feeding: Feeding, config: FitConfig, out: Path
) -> float:
    """Images per second of `fit`, from its first step to its last."""
    seen: list[float] = []

    def nothing(network: nn.Module) -> Mapping[str, float]:
        return {}

    run = Run(out, watch=lambda moment: seen.append(moment.images_per_second))
    fit(network, partial(training_batches, images, feeding, config), nothing, config, run)
    return seen[-1]


def measured(options: argparse.Namespace, folder: Path) -> Iterator[tuple[float, float, float]]:
    """Images per second of the loader, the bare loop and training, measured in turn."""
    images = image_set(options.size, folder)
    findings = LocalizerConfig(options.backbone, CHESTXRAY8, transition_channels=0)
    network = Localizer(findings)
    device = torch.device("cpu")
    feeding = Feeding(Preprocessing(options.size), AUGMENTATION, POLICIES["ignore"], device)
    config = FitConfig(
        schedule=ScheduleConfig(learning_rate=1e-4),
        batch_size=options.batch_size,
        steps=options.steps,
        validate_every=options.steps,
        keep="last",
    )
    bare_loop(network, images, feeding, config)  # the first run is slower than all others
    for repeat in count():
        yield (
            loader(images, feeding, config),
            bare_loop(network, images, feeding, config),
            training(network, images, feeding, config, folder / str(repeat)),
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as folder:
        runs = measured(options, Path(folder))
        rows = [next(runs) for _ in range(REPEATS)]
    by_loader, bare, trained = (statistics.median(column) for column in zip(*rows, strict=True))
    over = statistics.median(row[2] / row[1] for row in rows)
    print(f"{options.backbone}, {options.size} px, batch {options.batch_size}, images per second\n")
    print("| loader alone | bare loop | training | loader / training | training / bare loop |")
    print("|---|---|---|---|---|")
    print(
        f"| {by_loader:.0f} | {bare:.1f} | {trained:.1f} | {by_loader / trained:.1f} | {over:.2f} |"
    )


if __name__ == "__main__":
    main()
