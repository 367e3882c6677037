"""The tests of `cxrloc trust`, which measure the heatmaps of the cases."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.evaluation.measurement import Measurement
from cxrloc.evaluation.trust.cases import (
    Case,
    TestedModels,
    TrustOptions,
    maps_by_image,
    network_of_image,
)
from cxrloc.evaluation.trust.faithfulness import Scores, area, insertion_deletion, road
from cxrloc.evaluation.trust.map_stability import (
    DISTURBANCES,
    map_rank_correlation,
    on_grid,
    randomised_cascade,
)
from cxrloc.evaluation.trust.table import TESTS, mean_over_pairs, not_measured
from cxrloc.images.geometry import compose
from cxrloc.inference.prepared import Image
from cxrloc.localization.heatmaps import heatmap_method
from cxrloc.localization.regions import is_degenerate
from cxrloc.models.described import Input
from cxrloc.models.model import Model
from cxrloc.types import Affine, Heatmaps


def faithfulness(
    model: Model, cases: Iterable[Case], options: TrustOptions
) -> tuple[pd.DataFrame, list[Measurement]]:
    """Insertion, deletion and ROAD of the model's and of random maps, and the mean curves."""
    done: list[Case] = []
    values: dict[tuple[str, str], list[float]] = {}
    curves: dict[tuple[str, str], list[Float[np.ndarray, " share"]]] = {}
    for case in cases:
        done.append(case)
        scores = _probability(model, case)
        for subject, heatmap in (("model", case.heatmap), ("random map", case.random)):
            curve_pair = insertion_deletion(scores, case.image, heatmap)
            for test, curve in zip(("insertion", "deletion"), curve_pair, strict=True):
                curves.setdefault((test, subject), []).append(curve)
                values.setdefault((test, subject), []).append(area(curve))
            seed = options.resampling.seed
            values.setdefault(("road", subject), []).append(road(scores, case.image, heatmap, seed))
    frames = []
    for (test, subject), drawn in curves.items():
        shares = np.linspace(0, 1, len(drawn[0]))
        mean = {"share": shares, "probability": np.mean(drawn, axis=0)}
        frames.append(pd.DataFrame({"test": test, "subject": subject, **mean}))
    ordered = sorted(values, key=lambda key: list(TESTS).index(key[0]))
    rows = [_row(test, subject, done, values[test, subject], options) for test, subject in ordered]
    return pd.concat(frames, ignore_index=True), rows


def weight_randomisation(
    model: Model, cases: Sequence[Case], options: TrustOptions
) -> Iterator[Measurement]:
    """Similarity to the maps of networks with more and more random layers."""
    for name, network in randomised_cascade(model.network, options.resampling.seed):
        if Input.SECOND_VIEW in model.reads and name.startswith("lateral"):
            continue  # has no part in the map of a frontal image
        maps = [_map(model, network, case.image, case, options) for case in cases]
        values = [_likeness(case, heatmap) for case, heatmap in zip(cases, maps, strict=True)]
        yield _row("weight randomisation", name, cases, values, options)


def other_models(
    models: TestedModels, cases: Sequence[Case], images: Sequence[Image], options: TrustOptions
) -> Iterator[Measurement]:
    """Similarity to maps of a model trained on shuffled labels, and of other trained models."""
    named = [("repeatability", other) for other in models.others]
    if models.shuffled is None:
        note = "not run: needs --shuffled-model, trained alike on shuffled labels"
        yield not_measured("label randomisation", "", note)
    else:
        named.insert(0, ("label randomisation", models.shuffled))
    if not models.others:
        yield not_measured("repeatability", "", "not run: needs --other-model")
    for test, other in named:
        maps = maps_by_image(other, images, options)
        known = [case for case in cases if case.finding in other.card.findings]
        values = [_likeness_elsewhere(case, maps[case.image_id]) for case in known]
        yield _row(test, other.card.name, known, values, options)


def _likeness_elsewhere(case: Case, found: Heatmaps) -> float | None:
    scores = found.scores[found.findings.index(case.finding)]
    return _likeness(case, on_grid(scores, found.to_image, case.to_image, case.heatmap.shape))


def disturbances(
    model: Model, cases: Sequence[Case], options: TrustOptions
) -> Iterator[Measurement]:
    """Similarity of maps, and change of probabilities, under small changes of the image."""
    mean, std = model.preprocessing.mean, model.preprocessing.std
    changes = []
    for name, disturb in DISTURBANCES.items():
        values, change = [], []
        for case in cases:
            image, back = disturb(case.image, mean, std)
            disturbed = _map(model, model.network, image, case, options)
            # The map moves with the input: the affine takes grid cells to input pixels.
            rows, columns = disturbed.shape
            cell = Affine(xx=image.shape[-1] / columns, yy=image.shape[-2] / rows)
            moved = on_grid(disturbed, compose(cell, back), cell, disturbed.shape)
            values.append(_likeness(case, moved))
            scores = _probability(model, case)
            pair = scores(torch.stack([case.image, image])).cpu().numpy()
            change.append(float(abs(pair[1] - pair[0])))
        yield _row("map under disturbance", name, cases, values, options)
        changes.append(_row("probability under disturbance", name, cases, change, options))
    yield from changes


def chance(cases: Sequence[Case], options: TrustOptions) -> Measurement:
    """Similarity to a random map: the baseline for all similarities."""
    values = [_likeness(case, case.random) for case in cases]
    return _row("random map", "random map", cases, values, options)


def _row(
    test: str,
    subject: str,
    cases: Sequence[Case],
    values: Sequence[float | None],
    options: TrustOptions,
) -> Measurement:
    patients = [case.patient_id for case in cases]
    return mean_over_pairs(test, subject, values, patients, options.resampling)


def _likeness(case: Case, other: Float[np.ndarray, "row col"]) -> float | None:
    if is_degenerate(other):
        return None
    return map_rank_correlation(case.heatmap, other)


def _probability(model: Model, case: Case) -> Scores:
    network = network_of_image(model.network, case)

    def scores(images: Tensor) -> Tensor:
        with torch.inference_mode():
            return model.probabilities(network(images)[0])[:, case.column]

    return scores


def _map(
    model: Model, network: nn.Module, image: Tensor, case: Case, options: TrustOptions
) -> Float[np.ndarray, "row col"]:
    """The map of a case's finding, by the model's network or one with other weights."""
    method = heatmap_method(options.inference.method, model.probabilities)
    maps = method(network_of_image(network, case), image[None], findings=[case.column])[1]
    return maps[0, 0].float().cpu().numpy()
