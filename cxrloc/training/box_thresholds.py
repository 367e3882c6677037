"""Thresholds of the box rule "one-box", chosen on boxes or drawn lesions of validation images."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle

import numpy as np
import torch

from cxrloc.datasets.batches import ImageSet, evaluation_inputs
from cxrloc.datasets.records import annotations_in_image
from cxrloc.evaluation.localization.box_selection import best_finding_levels
from cxrloc.evaluation.localization.placed_run import PlacedRun, ScoringProtocol, place_run
from cxrloc.evaluation.resampling import Resampling
from cxrloc.images.geometry import compose, inverse
from cxrloc.images.preprocessing import Preprocessing, preprocess
from cxrloc.images.size import image_size
from cxrloc.inference.localized import cell_affine
from cxrloc.localization.heatmaps import cam
from cxrloc.models.any_layer import layer_of_class_token
from cxrloc.models.context import inputs_of
from cxrloc.models.described import Input
from cxrloc.models.networks import Network
from cxrloc.phantom.drawn_lesions import LESIONS, draw_lesion, record_with
from cxrloc.training.data import TrainingData
from cxrloc.training.feeding import feeding_for
from cxrloc.training.recipe_config import Recipe
from cxrloc.types import Affine, Heatmaps, Radiograph, Record, View

MOST_IMAGES = 200
"""Validation images on which thresholds are chosen; each costs a hundred searches for regions."""

Sample = tuple[Record, ImageSet]
"""A record with its boxes, and the set that holds its image alone."""


def box_thresholds(
    network: Network, data: TrainingData, recipe: Recipe, device: torch.device
) -> tuple[dict[str, float], str]:
    """The grey level of each finding for the rule "one-box", and in words how it was chosen.

    The maps are class activation maps, and the levels those of `chosen_levels`. The images are
    validation images that have boxes. If none has a box, lesions are drawn into validation images
    without findings. There are no thresholds for networks that read more than the image, for those
    whose logits come from the class token alone, and for images that are cropped by a template,
    because then the place of the input in the image is not known.

    Raises:
        CxrlocError: a box lies outside its image, or was drawn on one of exchanged sides.
    """
    mapped = inputs_of(network) == (Input.IMAGE,) and not layer_of_class_token(network)
    if not mapped or recipe.preprocessing.fit == "template":
        return {}, ""
    findings, what = recipe.network.findings, "validation images with boxes"
    samples = [*_boxed(data, findings)]
    if not samples:
        what = "lesions drawn into validation images without findings"
        samples = [*_drawn(data, findings)]
    if not samples:
        return {}, ""
    records, heatmaps = [], []
    feeding = feeding_for(recipe, recipe.fit, "", device)
    for record, one_image in samples:
        frame = _frame(record, recipe.preprocessing)
        (image,) = evaluation_inputs(one_image, np.array([0]), feeding)
        with torch.inference_mode():
            _, maps = cam(network, image)
        shift = float(getattr(network, "cell_shift_pixels", 0.0))
        cells = cell_affine(image.shape, maps.shape, shift)
        to_image = compose(cells, inverse(input_affine(frame, recipe.preprocessing)))
        scores = maps[0].float().cpu().numpy()
        heatmaps.append(Heatmaps(record.image_id, findings, scores, to_image, *frame))
        records.append(annotations_in_image(record, *frame))
    run = place_run(records, (), ScoringProtocol(resampling=Resampling(resamples=0)), heatmaps)
    levels, others = chosen_levels(run, findings)
    return levels, f"chosen on {len(records)} {what}{others}"


def _frame(record: Record, preprocessing: Preprocessing) -> tuple[int, int]:
    """Rows and columns of a record's image: those of its file, if it has one."""
    if record.path is not None:
        return image_size(record.path)
    return record.annotation_frame or (preprocessing.size, preprocessing.size)


def chosen_levels(run: PlacedRun, findings: Sequence[str]) -> tuple[dict[str, float], str]:
    """The levels of `best_finding_levels` over all images, to two decimals.

    The second value says in words which findings have no box of their own; it is empty if all
    have one.
    """
    everyone = np.ones(run.pairs.patients, dtype=bool)
    levels = best_finding_levels(run.pairs, run.maps, everyone, findings)
    others = [finding for finding in findings if finding not in run.pairs.findings]
    note = f"; the level best over all of these: {', '.join(others)}" if others else ""
    return {finding: round(levels[finding], 2) for finding in findings}, note


def _boxed(data: TrainingData, findings: Sequence[str]) -> Iterator[Sample]:
    """Validation images that have a box of these findings."""
    records = data.parts.validation
    known = [
        row
        for row, record in enumerate(records)
        if {each.finding for each in record.annotations} & set(findings)
    ]
    images = data.validation
    for row in _at_most(known):
        one_image = replace(images, slots=images.slots[[row]], labels=images.labels[[row]])
        yield records[row], one_image


def _drawn(data: TrainingData, findings: Sequence[str]) -> Iterator[Sample]:
    """Frontal validation images that have none of these findings, each with one drawn lesion.

    The findings of `LESIONS` take turns. Lesions are drawn into the square of the image cache.
    """
    images, records = data.validation, data.parts.validation
    normal = [
        row
        for row in np.flatnonzero((images.labels == 0).all(axis=1)).tolist()
        if records[row].view is not View.LATERAL
    ]
    rng = np.random.default_rng(0)
    drawable = [finding for finding in LESIONS if finding in findings]
    for finding, row in zip(cycle(drawable), _at_most(normal), strict=False):
        stored = images.pixels[images.slots[row, 0]]
        white = np.iinfo(stored.dtype).max
        lesion = draw_lesion(finding, stored.astype(np.float32) / white, rng)
        pixels = np.rint(lesion.pixels * white).astype(stored.dtype)[None]
        one_image = replace(
            images, pixels=pixels, slots=np.array([[0]]), labels=images.labels[[row]]
        )
        # The lesion is in pixels of the cache, not of the record's file.
        yield replace(record_with(lesion, records[row]), path=None), one_image


def _at_most(rows: list[int]) -> list[int]:
    """At most `MOST_IMAGES` of these rows, evenly chosen."""
    return rows[:: -(-len(rows) // MOST_IMAGES) or 1]


def input_affine(frame: tuple[int, int], preprocessing: Preprocessing) -> Affine:
    """The map from an image of these rows and columns to the network's input.

    >>> input_affine((100, 200), Preprocessing(size=50, source_size=None))
    Affine(xx=0.25, xy=0.0, x0=0.0, yx=0.0, yy=0.5, y0=0.0)
    """
    blank = Radiograph(np.zeros(frame, dtype=np.float32), bits_stored=8)
    return preprocess(blank, replace(preprocessing, grey="shown"))[1]
