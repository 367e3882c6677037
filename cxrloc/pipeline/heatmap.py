"""`cxrloc heatmap`: writes for each image a picture, a JSON of findings and boxes, and raw maps.

This module has all steps from a file to its boxes. These modules do the steps, in this order:

| step | module |
|---|---|
| which files, and where their results go | `image_results.output_paths`, `files.run_folder` |
| read: file to grey levels | `images.read` |
| preprocess: grey levels to the network's input | `images.preprocessing` |
| network: input to logits and features | `models` |
| maps: features to a map of each finding | `localization.heatmaps` |
| boxes: maps to boxes in pixels of the original image | `localization.boxes` |
| files: picture, JSON, raw maps | `image_results.writers` |

`inference.backends` names the libraries that run the network; `inference.localize` runs the steps
from reading to maps over many images by torch, `inference.localize_graphs` by onnxruntime.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from cxrloc.errors import CxrlocError
from cxrloc.files.installed import versions
from cxrloc.files.journal import content_hash
from cxrloc.files.run_folder import Destination, check_folder, open_run
from cxrloc.image_results.output_paths import plan_outputs
from cxrloc.image_results.report import ReportSettings, box_rule_of, report_image
from cxrloc.image_results.run_tables import RunTables
from cxrloc.image_results.writers import (
    check_sources,
    finished_report,
    remove_results,
    write_results,
)
from cxrloc.images.read import read_radiograph
from cxrloc.images.stored_pixels import MAX_MEGAPIXELS
from cxrloc.inference.backends import BACKENDS, find_backend
from cxrloc.inference.localized import Localized
from cxrloc.inference.paired_images import Pairing, paired_files
from cxrloc.inference.prepared import Failure, Image, InferenceSettings, chosen_findings, failure_of
from cxrloc.inference.threads import map_in_threads
from cxrloc.localization.box_rules import check_box_rule
from cxrloc.localization.regions import check_thresholds
from cxrloc.models.described import Described
from cxrloc.models.provenance import calibration_warnings, describe_models

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HeatmapOptions:
    """The options of `heatmap`, without its paths.

    Attributes:
        models: embedded names, checkpoint files or exported graphs; several make an ensemble.
        backend: "auto", or a name of `BACKENDS`.
        voi: which of a DICOM's windows or VOI LUTs, counted from 0.
        max_megapixels: larger images are refused.
        write: names of `WRITERS`.
        report: what each image's report says.
        pairing: how images are paired, for networks that read two views.
        inference: how the models are run, and which findings are reported.
    """

    models: tuple[str, ...]
    backend: str = "auto"
    voi: int = 0
    max_megapixels: float = MAX_MEGAPIXELS
    write: tuple[str, ...] = ("png", "json")
    report: ReportSettings = field(default_factory=ReportSettings)
    pairing: Pairing = field(default_factory=Pairing)
    inference: InferenceSettings = field(default_factory=InferenceSettings)


class HeatmapResult(NamedTuple):
    """The result of one image.

    Attributes:
        folder: folder of the run's results.
        model: description of the models, from `describe_models`.
        report: content of the image's JSON file.
        skipped: whether an earlier call of the same run made this result.
    """

    folder: Path
    model: Mapping[str, Any]
    report: Mapping[str, Any]
    skipped: bool = False


def heatmap(
    paths: Sequence[Path],
    destination: Destination,
    options: HeatmapOptions,
    expect: Callable[[int], None] = lambda images: None,
) -> Iterator[HeatmapResult | Failure]:
    """Yields the result of each image under the paths; writes its files, and the run's tables.

    Results come one by one in the order of the paths. Threads draw them while the network computes
    the next ones, and memory use stays constant. An image that an earlier call with the same
    settings has finished is not computed again.

    Args:
        paths: files, and folders of files.
        destination: where the results go.
        options: everything else.
        expect: is called with the number of images before the first one is read.

    Raises:
        UsageError: a name does not exist, a result would replace an image, or there is no image.
        DiskError: the disk is full, over quota or read-only.
    """
    check_thresholds(options.report.thresholds)
    check_folder(destination.out)
    backend = find_backend(options.backend, options.models, options.inference)
    options = replace(options, inference=BACKENDS[backend].with_precision(options.inference))
    models = [BACKENDS[backend].read(name) for name in options.models]
    findings = chosen_findings(models, options.inference)
    check_box_rule(box_rule_of(models, options.report), findings)
    for line in calibration_warnings(models, findings):
        log.warning(line)
    settings = {**_settings(models, options), "backend": backend}
    run = {"versions": versions(), "model": describe_models(models), "settings": settings}
    with open_run("heatmap", destination, settings) as folder:
        planned = plan_outputs(paths, folder.path)
        check_sources(planned, options.write)
        expect(len(planned))
        done = _done_before(planned, folder.path, options.write)
        images = [
            each for each in _images([*planned], models, options) if each.image_id not in done
        ]
        mapped = BACKENDS[backend].localize(models, images, _inference(options))
        write = partial(_write, {str(path): folder.path / planned[path] for path in planned})
        write = partial(write, models=models, options=options)
        written = map_in_threads(write, mapped, options.inference.workers)
        with RunTables(folder.path, run) as tables:
            for path, stem in planned.items():
                skipped = str(path) in done
                result = done[str(path)] if skipped else next(written)
                tables.add(stem, result, skipped)
                if isinstance(result, Failure):
                    yield result
                else:
                    yield HeatmapResult(folder.path, run["model"], result, skipped)


def _settings(models: Sequence[Described], options: HeatmapOptions) -> dict[str, Any]:
    """All settings that change a result; models and pairs are given by their content."""
    inference = asdict(options.inference)
    for name in ("device", "batch_size", "workers"):
        del inference[name]
    pairs = options.pairing.file
    return {
        "models": [model.sha256 for model in models],
        "voi": options.voi,
        "max_megapixels": options.max_megapixels,
        "write": sorted(options.write),
        "report": asdict(options.report),
        "inference": inference,
        "pairs": content_hash(pairs) if pairs else options.pairing.choice,
        "cxrloc": versions()["cxrloc"],
    }


def _done_before(
    planned: Mapping[Path, Path], folder: Path, write: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """The reports of the images that an earlier call of the run has finished, by image id."""
    found = {
        str(path): finished_report(path, folder / stem, write) for path, stem in planned.items()
    }
    return {image_id: report for image_id, report in found.items() if report is not None}


def _images(
    paths: Sequence[Path], models: Sequence[Described], options: HeatmapOptions
) -> list[Image]:
    """The images, still to be read; their ids are their paths."""
    images = [
        Image(str(path), partial(read_radiograph, path, options.voi, options.max_megapixels))
        for path in paths
    ]
    return paired_files(images, paths, models, options.pairing)


def _inference(options: HeatmapOptions) -> InferenceSettings:
    """The settings of the models; if raw maps are written, those of all findings are computed."""
    inference = options.inference
    return replace(inference, findings=()) if "npz" in options.write else inference


def _write(
    stems: Mapping[str, Path],
    result: Localized | Failure,
    models: Sequence[Described],
    options: HeatmapOptions,
) -> dict[str, Any] | Failure:
    """Find the boxes of one image and write its files; returns the content of its JSON file."""
    image_id = result.image_id if isinstance(result, Failure) else result.heatmaps.image_id
    try:
        if isinstance(result, Failure):
            raise CxrlocError(result.reason)
        image = report_image(result, models, options.inference, options.report)
        return write_results(image, Path(image_id), stems[image_id], options.write)
    except Exception as error:
        # Results of an earlier call must not look like results of this one.
        remove_results(image_id, stems[image_id], options.write)
        return failure_of(image_id, error)
