"""Thresholds of the box rule "one-box", chosen on validation images with boxes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from cxrloc.datasets.batches import evaluation_inputs
from cxrloc.datasets.records import annotations_in_image
from cxrloc.evaluation.localization.box_selection import best_finding_levels
from cxrloc.evaluation.localization.placed_run import ScoringProtocol, place_run
from cxrloc.evaluation.resampling import Resampling
from cxrloc.images.geometry import compose, inverse
from cxrloc.images.preprocessing import Preprocessing, preprocess
from cxrloc.inference.localized import cell_affine
from cxrloc.localization.heatmaps import cam
from cxrloc.models.any_layer import layer_of_class_token
from cxrloc.models.context import inputs_of
from cxrloc.models.described import Input
from cxrloc.models.networks import Network
from cxrloc.training.data import TrainingData
from cxrloc.training.feeding import feeding_for
from cxrloc.training.recipe_config import Recipe
from cxrloc.types import Affine, Heatmaps, Radiograph, Record

MOST_IMAGES = 200
"""Validation images on which thresholds are chosen; each costs a hundred searches for regions."""


def box_thresholds(
    network: Network, data: TrainingData, recipe: Recipe, device: torch.device
) -> tuple[dict[str, float], str]:
    """The grey level of each finding for the rule "one-box", and in words how it was chosen.

    The maps are class activation maps, and the levels those of `best_finding_levels`. Without
    validation images that have boxes, there are no thresholds. There are none either for networks
    that read more than the image, for those whose logits come from the class token alone, and for
    images that are cropped by a template, because then the place of the input in the image is not
    known.
    """
    known = [
        row
        for row, record in enumerate(data.parts.validation)
        if {each.finding for each in record.annotations} & set(recipe.network.findings)
    ]
    rows = np.array(known[:: -(-len(known) // MOST_IMAGES) or 1], dtype=np.int64)
    mapped = inputs_of(network) == (Input.IMAGE,) and not layer_of_class_token(network)
    if not rows.size or not mapped or recipe.preprocessing.fit == "template":
        return {}, ""
    feeding = feeding_for(recipe, recipe.fit, "", device)
    records, heatmaps = [], []
    for row in rows.tolist():
        record = data.parts.validation[row]
        frame = record.annotation_frame or (recipe.preprocessing.size,) * 2
        (image,) = evaluation_inputs(data.validation, np.array([row]), feeding)
        with torch.inference_mode():
            _, maps = cam(network, image)
        shift = float(getattr(network, "cell_shift_pixels", 0.0))
        cells = cell_affine(image.shape, maps.shape, shift)
        to_image = compose(cells, inverse(input_affine(frame, recipe.preprocessing)))
        scores = maps[0].float().cpu().numpy()
        heatmaps.append(
            Heatmaps(record.image_id, recipe.network.findings, scores, to_image, *frame)
        )
        records.append(annotations_in_image(record, *frame))
    run = place_run(records, (), ScoringProtocol(resampling=Resampling(resamples=0)), heatmaps)
    everyone = np.ones(run.pairs.patients, dtype=bool)
    findings = recipe.network.findings
    levels = best_finding_levels(run.pairs, run.maps, everyone, findings)
    said = f"chosen on {len(records)} validation images with boxes"
    rounded = {finding: round(levels[finding], 2) for finding in findings}
    return rounded, said + _of_others(records, findings)


def input_affine(frame: tuple[int, int], preprocessing: Preprocessing) -> Affine:
    """The map from an image of these rows and columns to the network's input.

    >>> input_affine((100, 200), Preprocessing(size=50, source_size=None))
    Affine(xx=0.25, xy=0.0, x0=0.0, yx=0.0, yy=0.5, y0=0.0)
    """
    blank = Radiograph(np.zeros(frame, dtype=np.float32), bits_stored=8)
    return preprocess(blank, replace(preprocessing, grey="shown"))[1]


def _of_others(records: Sequence[Record], findings: Sequence[str]) -> str:
    """The findings without a threshold of their own, in words."""
    boxed = {each.finding for record in records for each in record.annotations}
    others = [finding for finding in findings if finding not in boxed]
    return f"; the level best over all of these: {', '.join(others)}" if others else ""
