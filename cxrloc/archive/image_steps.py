"""The steps from an image of an archive to its rows of the tables, as `archive.engines` runs them.

| step | function |
|---|---|
| the URIs of a part | `archive.plan.uris_of` |
| read: file or object to the network's input | `archive.reading.read_images` |
| network: input to maps, boxes and rows of the tables | `localize_images` |
| write: the tables of a part | `archive.tables.PartWriter` |

They are the steps of `pipeline.heatmap`. Reading and the network run in processes of their own,
which call `reading.prepare_reading` and `prepare_network` once.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cxrloc.archive.isolation import Item, Lost, Step
from cxrloc.archive.plan import uris_of
from cxrloc.archive.reading import lost, prepare_reading
from cxrloc.archive.steps import Resources, Steps
from cxrloc.archive.store import local_copy, write_bytes
from cxrloc.archive.tables import PartWriter, Rows
from cxrloc.devices import CPU, choose_devices
from cxrloc.errors import UsageError
from cxrloc.image_results.report import ImageResult, ReportSettings, report_image
from cxrloc.image_results.writers import write_results
from cxrloc.images.folders import output_stem
from cxrloc.images.stored_pixels import MAX_MEGAPIXELS
from cxrloc.inference.batches import images_together
from cxrloc.inference.localize import localizer
from cxrloc.inference.localized import Localized
from cxrloc.inference.prepared import (
    Failure,
    InferenceSettings,
    Prepared,
    failure_of,
)
from cxrloc.models.described import Input, description_of
from cxrloc.models.model import Model
from cxrloc.models.weights import read_model
from cxrloc.workers import Limits

SENT_AT_ONCE = 8
"""Fewest images that a process of the network gets at once, where the user does not say how many.

A CPU computes them one by one, but one message for each would cost time.
"""


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """What `archive` does beside the manifest and the place of its results.

    Attributes:
        models: embedded names or checkpoint files; several make an ensemble.
        part_size: images of a part.
        save_maps: also write the table of raw maps.
        write: names of `WRITERS`: files of each image, below the folder of its part.
        max_megapixels: larger images are refused.
        seconds_per_image: an image that takes longer to read fails.
        megabytes_per_image: an image that needs more memory to read fails.
        report: thresholds of boxes, and which boxes are written.
        inference: how the models are run.
    """

    models: tuple[str, ...]
    part_size: int = 10_000
    save_maps: bool = False
    write: tuple[str, ...] = ()
    max_megapixels: float = MAX_MEGAPIXELS
    seconds_per_image: float = 60.0
    megabytes_per_image: int = 4096
    report: ReportSettings = field(default_factory=ReportSettings)
    inference: InferenceSettings = field(default_factory=InferenceSettings)


def archive_steps(
    manifest: str, out: str, options: ArchiveOptions, models: Sequence[Model]
) -> Steps:
    """What the engines run for each part; `models` are those that the options name."""
    limits = Limits(
        options.seconds_per_image, start_seconds=600, task_bytes=options.megabytes_per_image << 20
    )
    # Processes that read get no network, so they need no torch.
    described = tuple(map(description_of, models))
    keep_pixels = bool(options.write)
    reading = partial(prepare_reading, described, options.max_megapixels, keep_pixels)
    batch = options.inference.batch_size or max(images_together(options.inference), SENT_AT_ONCE)
    return Steps(
        uris=partial(uris_of, manifest),
        read=Step("read", reading, limits),
        network=Step(
            "network",
            partial(prepare_network, options, out),
            Limits(options.seconds_per_image * batch, start_seconds=600),
            together=batch,
        ),
        write=PartWriter(out, options.save_maps),
    )


def check_one_view(models: Sequence[Model]) -> None:
    """Refuse models that read two views of a patient together.

    Raises:
        UsageError: a model does.
    """
    for model in models:
        if Input.SECOND_VIEW in model.reads:
            raise UsageError(
                f"--model {model.card.name}: reads two views of a patient together, and an archive "
                "is read image by image: choose a model of one view"
            )


def resources_of(inference: InferenceSettings, address: str) -> Resources:
    """The devices of this machine: those that are named, all its GPUs, or else its cores."""
    cores = len(os.sched_getaffinity(0))
    devices = choose_devices(inference.device)
    if devices == (CPU,):
        devices *= cores
    return Resources(inference.workers, tuple(map(str, devices)), address)


def prepare_network(
    options: ArchiveOptions, out: str, device: str
) -> Callable[[list[Item]], list[Any]]:
    """The function of a process that has the networks on one device."""
    if device == "cpu":
        torch.set_num_threads(1)  # as many such processes as cores are faster than many threads
    models = [read_model(name) for name in options.models]
    device_options = replace(options, inference=replace(options.inference, device=device))
    run = localizer(models, device_options.inference)
    return partial(localize_images, run=run, models=models, options=device_options, out=out)


def localize_images(
    items: list[Item],
    run: Callable[[Sequence[Prepared | Failure]], list[Localized | Failure]],
    models: Sequence[Model],
    options: ArchiveOptions,
    out: str,
) -> list[Rows | Lost]:
    """Run the networks on prepared images; `run` is the models' `localizer`."""
    size = images_together(options.inference)
    chunks = [items[at : at + size] for at in range(0, len(items), size)]
    results = [result for chunk in chunks for result in run([item.value for item in chunk])]
    return [
        _rows(item, result, models, options, out)
        for item, result in zip(items, results, strict=True)
    ]


def _rows(
    item: Item,
    result: Localized | Failure,
    models: Sequence[Model],
    options: ArchiveOptions,
    out: str,
) -> Rows | Lost:
    """The rows of one image; files of the image are written here too."""
    if isinstance(result, Failure):
        return lost("network", result.reason, item.uri)
    try:
        image = report_image(result, models, options.inference, options.report)
    except Exception as error:
        return lost("network", failure_of(item.uri, error).reason, item.uri)
    try:
        if options.write:
            _write_files(item, image, options, out)
    except Exception as error:
        return lost("write", failure_of(item.uri, error).reason, item.uri)
    return _table_rows(item.uri, image, options.save_maps)


def _table_rows(uri: str, image: ImageResult, maps: bool) -> Rows:
    report, heatmaps = image.report, image.localized.heatmaps
    raw = dict(zip(heatmaps.findings, image.localized.probabilities.tolist(), strict=True))
    findings = [
        (
            uri,
            row["finding"],
            row["probability"],
            raw[row["finding"]],
            row["operating_point"],
            row["above_operating_point"],
            row["degenerate"],
            report["status"],
            report["warnings"],
        )
        for row in report["findings"]
    ]
    boxes = [
        (uri, each.finding, *astuple(each.box), each.threshold, each.score)
        for each in image.detections
    ]
    of_image = (heatmaps.image_rows, heatmaps.image_columns, *heatmaps.scores.shape[1:])
    to_image = list(astuple(heatmaps.to_image))
    scores = heatmaps.scores.astype(np.float16).reshape(len(heatmaps.findings), -1)
    saved = [
        (uri, finding, raw[finding], *of_image, to_image, finding_scores)
        for finding, finding_scores in zip(heatmaps.findings, scores, strict=True)
    ]
    return Rows(findings, boxes, saved if maps else [])


def _write_files(item: Item, image: ImageResult, options: ArchiveOptions, out: str) -> None:
    """Write the files of one image that the user asked for, below the folder of its part."""
    with (
        local_copy(item.uri) as path,
        tempfile.TemporaryDirectory(prefix="cxrloc-") as temporary_folder,
    ):
        stem = Path(temporary_folder, f"{item.row:09d}-{output_stem(path)}")
        write_results(image, path, stem, options.write)
        folder = f"{out}/part-{item.row // options.part_size:06d}/images"
        for file in sorted(Path(temporary_folder).iterdir()):
            write_bytes(f"{folder}/{file.name}", file.read_bytes())
