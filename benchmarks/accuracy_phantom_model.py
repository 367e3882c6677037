"""The embedded model: how it is made, and what it reaches on phantoms that nobody chose it by.

    python benchmarks/accuracy_phantom_model.py               scores the embedded model
    python benchmarks/accuracy_phantom_model.py --train OUT   makes it again in OUT, and scores that

Training follows the recipe `phantom`. Operating points are chosen on its validation phantoms,
other patients of the training series. The score is taken on fresh phantoms of another seed, drawn
as `cxrloc bench` draws its own: AUC per finding, and accuracy of the boxes beside all controls,
with the paired difference and its 95 % interval (1,000 resamples of patients).
"""

import argparse
import logging
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cxrloc.datasets.phantom import make_phantom, phantom_record, plan_phantom
from cxrloc.evaluation.classification.operating_points import choose_operating_point
from cxrloc.evaluation.classification.ranking import auc
from cxrloc.evaluation.localization.scores import (
    LocalizationScores,
    ScoringProtocol,
    score_localization,
)
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.inference.localize import Failure, Image, InferenceSettings, Localized
from cxrloc.models.localizer import Localizer
from cxrloc.models.weights import (
    DEFAULT_MODEL,
    Model,
    ModelCard,
    hashed_patient,
    read_model,
    write_model,
)
from cxrloc.pipeline.claims import claims_of_models
from cxrloc.recipe import Recipe, read_recipe, recipe_text
from cxrloc.training.fit import fit, shuffled
from cxrloc.types import Label, MatchRule, Radiograph, Record, View

TEST_SEED, TEST_IMAGES, TEST_SIZE = 77, 1600, 320
RULES = (MatchRule("iobb", 0.25), MatchRule("iou", 0.3))
LIMITS = (
    "Trained on synthetic phantoms: it has no clinical meaning and must not be used on patients."
)


def draw(seed: int, size: int, index: int) -> np.ndarray:
    """One phantom in 8 bits."""
    return np.round(make_phantom(seed, index, size).pixels * 255).astype(np.uint8)


def drawn(seed: int, count: int, size: int, cache: Path | None) -> np.ndarray:
    """Phantoms 0 to count - 1 of a series, drawn once; a folder keeps them for the next time."""
    path = cache / f"phantoms-{seed}-{count}-{size}.npy" if cache else None
    if path and path.exists():
        return np.load(path, mmap_mode="r")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        images = list(pool.map(partial(draw, seed, size), range(count), chunksize=50))
    stacked = np.stack(images)
    if path:
        np.save(path, stacked)
    return stacked


def labels_of(records: Iterable[Record], findings: tuple[str, ...]) -> np.ndarray:
    """1 where a finding is present."""
    rows = [[record.labels[name] is Label.POSITIVE for name in findings] for record in records]
    return np.array(rows)


def normalised(images: np.ndarray, preprocessing: Preprocessing) -> Tensor:
    """What `preprocess` gives for images that have the network's size and 8 bits already."""
    mean, std = preprocessing.mean[0], preprocessing.std[0]
    return (torch.from_numpy(images.astype(np.float32))[:, None] / 255 - mean) / std


def batches(
    images: np.ndarray, labels: np.ndarray, recipe: Recipe, first_step: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches by step; every other one mirrored, as no finding belongs to a side."""
    order = shuffled(len(images), recipe.batch_size, recipe.fit.seed, first_step)
    for step, chosen in enumerate(order, start=first_step):
        batch = normalised(images[chosen], recipe.preprocessing)
        yield (batch.flip(3) if step % 2 else batch), torch.from_numpy(labels[chosen]).float()


def probabilities(network: nn.Module, images: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Of every finding, in blocks."""
    with torch.no_grad():
        blocks = [
            network(normalised(images[k : k + 50], recipe.preprocessing))[0].float().sigmoid()
            for k in range(0, len(images), 50)
        ]
    return torch.cat(blocks).numpy()


def train(out: Path, cache: Path | None, resume: bool) -> Path:
    """Train by the recipe and write the model with its card."""
    recipe = read_recipe("phantom")
    data, findings = recipe.data, recipe.network.findings
    count = data.training_images + data.validation_images
    records = [phantom_record(plan_phantom(data.seed, index), 1) for index in range(count)]
    labels = labels_of(records, findings)
    images = drawn(data.seed, count, recipe.preprocessing.size, cache)
    split = data.training_images
    torch.manual_seed(recipe.fit.seed)
    network = Localizer(recipe.network).to(memory_format=torch.channels_last)

    def validate(kept: nn.Module) -> dict[str, float]:
        scores = probabilities(kept, images[split:], recipe)
        values = {
            name: auc(labels[split:, j], scores[:, j]) or 0.0 for j, name in enumerate(findings)
        }
        return {"mean_auc": float(np.mean(list(values.values())))} | values

    # bfloat16 halves the time on a CPU that computes in it. A cache would keep the weights of the
    # first step for the whole context.
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        feed = partial(batches, images[:split], labels[:split], recipe)
        kept = fit(network, feed, validate, recipe.fit, out, resume)
    assert isinstance(kept, Localizer)
    path = out / f"{DEFAULT_MODEL}.safetensors"
    scores = probabilities(kept, images[split:], recipe)
    write_model(
        path, kept, recipe.preprocessing, card(recipe, records[:split], labels[split:], scores)
    )
    return path


def card(recipe: Recipe, trained: list[Record], truth: np.ndarray, scores: np.ndarray) -> ModelCard:
    """The model's card; operating points by Youden's index on the validation phantoms."""
    points = {}
    for j, finding in enumerate(recipe.network.findings):
        point = choose_operating_point(truth[:, j], scores[:, j])
        assert point is not None
        points[finding] = point.threshold
    patients = sorted({record.patient_id for record in trained})
    return ModelCard(
        name=DEFAULT_MODEL,
        trained_on=f"{len(trained)} synthetic radiographs (phantoms, seed {recipe.data.seed})",
        findings=recipe.network.findings,
        views=(View.PA.value, View.AP.value),
        operating_points=points,
        training_patients=tuple(hashed_patient(patient) for patient in patients),
        training_images=len(trained),
        limits=LIMITS,
        recipe=recipe_text("phantom"),
    )


def radiograph(seed: int, index: int) -> Radiograph:
    """A phantom as a reader would give it."""
    phantom = make_phantom(seed, index, TEST_SIZE)
    return Radiograph(phantom.pixels, bits_stored=16, view=phantom.record.view)


def evaluate(model: Model, seed: int, count: int) -> tuple[dict[str, float], LocalizationScores]:
    """AUC per finding on all phantoms of a series, and scores of the boxes of the annotated."""
    records = [phantom_record(plan_phantom(seed, index), TEST_SIZE) for index in range(count)]
    images = [Image(r.image_id, partial(radiograph, seed, i)) for i, r in enumerate(records)]
    seen: list[np.ndarray] = []

    def watch(results: Iterable[Localized | Failure]) -> Iterator[Localized | Failure]:
        for result in results:
            assert isinstance(result, Localized)
            seen.append(result.localization.probabilities)
            yield result

    protocol = ScoringProtocol(rules=RULES)
    settings = InferenceSettings(device="cpu", batch_size=16)
    claims = claims_of_models(records, images, [model], protocol.box_thresholds, settings, watch)
    scores = np.stack(seen)
    truth = labels_of(records, model.card.findings)
    aucs = {
        name: auc(truth[:, j], scores[:, j]) or 0.0 for j, name in enumerate(model.card.findings)
    }
    return aucs, score_localization(claims.records, claims.detections, protocol, claims.heatmaps)


def print_scores(model: Model, aucs: dict[str, float], scores: LocalizationScores) -> None:
    """Markdown: AUC, then a row per rule and control; + marks an interval above 0."""
    findings = list(aucs)
    print(f"\n{model.card.name}, sha256 {model.sha256[:12]}: {scores.report.images} images\n")
    print("| | mean |", " | ".join(findings), "|")
    print("|---" * (len(findings) + 2) + "|")
    print(_row("AUC", np.array([*aucs.values(), np.mean(list(aucs.values()))])))
    for k, rule in enumerate(RULES):
        name = f"{rule.criterion} > {rule.threshold}"
        print(_row(name, scores.report.accuracy[k]))
        for control, report in scores.controls.items():
            low = scores.differences[control].low[k]
            print(_row(f"... {control}", report.accuracy[k], low))


def _row(name: str, values: np.ndarray, low: np.ndarray | None = None) -> str:
    """The mean, which comes last, then the findings; + where an interval starts above 0."""
    marks = [""] * len(values) if low is None else ["+" if end > 0 else "" for end in low]
    cells = [f"{value:.2f}{mark}" for value, mark in zip(values, marks, strict=True)]
    return f"| {name} | {cells[-1]} | " + " | ".join(cells[:-1]) + " |"


def main() -> None:
    """Train if asked to, then score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, metavar="OUT", help="train into this folder first")
    parser.add_argument("--cache", type=Path, help="a folder that keeps the drawn phantoms")
    parser.add_argument("--resume", action="store_true", help="go on from OUT/last.ckpt")
    parser.add_argument("--seed", type=int, default=TEST_SEED, help="of the fresh phantoms")
    parser.add_argument("--images", type=int, default=TEST_IMAGES)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    path = train(options.train, options.cache, options.resume) if options.train else DEFAULT_MODEL
    model = read_model(path)
    print_scores(model, *evaluate(model, options.seed, options.images))


if __name__ == "__main__":
    main()
