"""`cxrloc heatmap`: images in; for each a picture, a JSON of findings and boxes, and raw maps."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
from jaxtyping import Float

from cxrloc.findings import CHEXPERT_PARENTS
from cxrloc.images.read import read_radiograph
from cxrloc.inference.batches import Failure, Image, InferenceSettings, chosen_findings
from cxrloc.inference.hierarchy import ALONG_TREE, unconditional
from cxrloc.inference.localize import Localized, localize
from cxrloc.inference.map_files import write_maps
from cxrloc.inference.paired_images import Pairing, paired_files
from cxrloc.inference.threads import map_in_threads
from cxrloc.localization.boxes import detections_from_heatmaps
from cxrloc.localization.heatmaps import is_degenerate
from cxrloc.localization.regions import check_thresholds
from cxrloc.models.model import Model
from cxrloc.models.provenance import (
    above_operating_point,
    caption_of,
    condition_warnings,
    describe_models,
    view_warnings,
)
from cxrloc.models.weights import read_model
from cxrloc.panels.overlay import MARGIN, Mark, Role, compose_panels, draw_panel, write_png
from cxrloc.pipeline.outputs import make_folder, plan_outputs
from cxrloc.types import Detection, Heatmaps

PICTURE_WIDTH = 1600  # pixels, at most


@dataclass(frozen=True, slots=True)
class HeatmapOptions:
    """What `heatmap` does beside the paths.

    Attributes:
        models: embedded names or checkpoint files; several make an ensemble.
        top: findings in the picture, most probable first.
        thresholds: of the box rule, between 0 and 255.
        voi: which of a DICOM's windows or VOI LUTs, counted from 0.
        products: take probabilities as conditional on the parent in CheXpert's tree, and report
            their products (`unconditional`); a model's own operating points then mean nothing.
        save_maps: write the raw maps of all findings too, also of those not reported.
        pairing: of images, for networks that read two views.
        inference: how the models are run, and which findings are reported.
    """

    models: tuple[str, ...]
    top: int = 3
    thresholds: tuple[float, ...] = (60.0, 180.0)
    voi: int = 0
    products: bool = False
    save_maps: bool = False
    pairing: Pairing = field(default_factory=Pairing)
    inference: InferenceSettings = field(default_factory=InferenceSettings)


class HeatmapResult(NamedTuple):
    """One image done: where its results are (without suffix), and what its JSON file says."""

    stem: Path
    report: dict[str, Any]


def heatmap(
    paths: Sequence[Path], out: Path, options: HeatmapOptions
) -> Iterator[HeatmapResult | Failure]:
    """Localize every image under the paths and write `<stem>.png`, `.json` and, if asked, `.npz`.

    Results come one by one in the order of the paths, drawn in threads while the network computes
    the next ones; memory stays flat.

    Raises:
        UsageError: a name does not exist, two outputs collide, or there is no image.
    """
    check_thresholds(options.thresholds)
    planned = plan_outputs(paths, out)
    make_folder(out)
    models = [read_model(name) for name in options.models]
    images = [Image(str(path), partial(read_radiograph, path, options.voi)) for path in planned]
    images = paired_files(images, [*planned], models, options.pairing)
    reported = chosen_findings(models, options.inference)
    of_models = [] if options.products else condition_warnings(models)
    settings = options.inference
    if options.save_maps or options.products:  # a product needs ancestors that are not reported
        settings = replace(settings, findings=())

    def finish(result: Localized | Failure) -> HeatmapResult | Failure:
        if isinstance(result, Failure):
            return result
        if options.products:
            result = _along_tree(result)
        result = _with_warnings(
            result, [*view_warnings(models, result.radiograph.view), *of_models]
        )
        stem = out / planned[Path(result.heatmaps.image_id)]
        return HeatmapResult(stem, _write(result, stem, models, reported, options))

    results = localize(models, images, settings)
    yield from map_in_threads(finish, results, options.inference.workers)


def _along_tree(result: Localized) -> Localized:
    """The result with probabilities multiplied along CheXpert's tree."""
    findings = result.heatmaps.findings
    products = unconditional(result.probabilities[None], findings, CHEXPERT_PARENTS)[0]
    return result._replace(probabilities=products)


def _with_warnings(result: Localized, warnings: Sequence[str]) -> Localized:
    """The result with what the reader should know of the models beside that of the image."""
    radiograph = result.radiograph
    known = replace(radiograph, warnings=(*radiograph.warnings, *warnings))
    return result._replace(radiograph=known)


def _write(
    result: Localized,
    stem: Path,
    models: Sequence[Model],
    reported: Sequence[str],
    options: HeatmapOptions,
) -> dict[str, Any]:
    """Write the files of one image; returns the content of its JSON file."""
    radiograph, of_all, every_map = result
    columns = [every_map.findings.index(finding) for finding in reported]
    heatmaps = replace(every_map, findings=tuple(reported), scores=every_map.scores[columns])
    probabilities = of_all[columns].tolist()
    detections = detections_from_heatmaps(heatmaps, probabilities, options.thresholds)
    report = {
        "image": heatmaps.image_id,
        "rows": heatmaps.image_rows,
        "columns": heatmaps.image_columns,
        "model": describe_models(models),
        "method": options.inference.method,
        "versions": options.inference.versions,
        "products_along_tree": options.products,
        "warnings": list(radiograph.warnings),
        "findings": [
            {
                "finding": finding,
                "probability": round(probability, 4),
                "above_operating_point": None
                if options.products
                else above_operating_point(models, finding, probability),
                "degenerate": degenerate,
                "boxes": [_box_row(d) for d in detections if d.finding == finding],
            }
            for finding, probability, degenerate in zip(
                reported, probabilities, is_degenerate(heatmaps.scores).tolist(), strict=True
            )
        ],
    }
    stem.parent.mkdir(parents=True, exist_ok=True)
    # Not with_suffix: a name such as 1.2.840.113 would lose its last part.
    if options.save_maps:
        write_maps(of_all, every_map, stem.with_name(f"{stem.name}.npz"))
    stem.with_name(f"{stem.name}.json").write_text(json.dumps(report, indent=1) + "\n")
    picture = _picture(radiograph.pixels, heatmaps, detections, report, options.top)
    write_png(picture, stem.with_name(f"{stem.name}.png"))
    return report


def _box_row(detection: Detection) -> dict[str, float | None]:
    box = {side: round(value, 3) for side, value in asdict(detection.box).items()}
    return {**box, "threshold": detection.threshold, "score": round(detection.score or 0.0, 4)}


def top_findings(report: dict[str, Any], top: int) -> list[dict[str, Any]]:
    """The most probable findings of a report, at most `top` of them."""
    ranked = sorted(report["findings"], key=lambda row: row["probability"], reverse=True)
    return ranked[:top]


def _picture(
    pixels: Float[np.ndarray, "row col"],
    heatmaps: Heatmaps,
    detections: Sequence[Detection],
    report: dict[str, Any],
    top: int,
) -> PIL.Image.Image:
    """The radiograph, and beside it the heatmaps of the most probable findings."""
    shown = top_findings(report, top)
    width = (PICTURE_WIDTH - MARGIN) // (len(shown) + 1) - MARGIN
    panels = [draw_panel(pixels, width, Path(report["image"]).name)]
    roles = []
    for row in shown:
        # An operating point that the model lacks (None) casts no doubt.
        role = Role.DOUBTFUL if row["above_operating_point"] is False else Role.DETECTION
        roles.append(role)
        marks = [Mark(d.box, role) for d in detections if d.finding == row["finding"]]
        title = f"{row['finding']}  {row['probability']:.2f}"
        panels.append(draw_panel(pixels, width, title, heatmaps, row["finding"], marks))
    captions = [caption_of(report["model"]), *(f"Warning: {w}" for w in report["warnings"])]
    if report["products_along_tree"]:
        captions.insert(1, ALONG_TREE)
    return compose_panels(panels, len(panels), captions, list(dict.fromkeys(roles)))
