"""The embedded model: how it is made, and what it reaches on phantoms that nobody chose it by.

    python benchmarks/accuracy_phantom_model.py        scores the embedded model
    cxrloc train phantom --out OUT                     trains it again in OUT
    python benchmarks/accuracy_phantom_model.py --trained OUT
                                                       embeds that model and scores it

Operating points are chosen on the recipe's validation phantoms, which are other patients of the
training series. The model is scored on fresh phantoms of another seed, drawn in the same way as the
phantoms of `cxrloc bench`: AUC per finding, and accuracy of the boxes beside all controls, with the
paired difference and its 95 % interval (1,000 resamples of patients).
"""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from cxrloc.evaluation.classification.ranking import auc
from cxrloc.evaluation.localization.claims import claims_of_models
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.localization.scores import (
    LocalizationScores,
    difference_of,
    score_localization,
)
from cxrloc.evaluation.localization.tables import grid, rows_of
from cxrloc.inference.localized import Localized
from cxrloc.inference.prepared import Failure, Image, InferenceSettings
from cxrloc.models.model import Model
from cxrloc.models.names import PHANTOM_MODEL
from cxrloc.models.weights import read_model, write_model
from cxrloc.phantom import make_phantom, phantom_record, plan_phantom
from cxrloc.types import Label, Radiograph, Record

TEST_SEED, TEST_IMAGES, TEST_SIZE = 2101, 2000, 320
RULES = (MatchRule("iobb", 0.25), MatchRule("iou", 0.3))
LIMITS = (
    "Trained on synthetic phantoms: it has no clinical meaning and must not be used on patients."
)


def embed(trained: Path, out: Path) -> Path:
    """Write the trained model under its name inside the package."""
    model = read_model(trained)
    card = replace(model.card, name=PHANTOM_MODEL, limits=LIMITS, licence="Apache-2.0")
    path = out / f"{PHANTOM_MODEL}.safetensors"
    write_model(path, model.network, model.preprocessing, card, model.typical)
    return path


def labels_of(records: Iterable[Record], findings: tuple[str, ...]) -> np.ndarray:
    """Matrix of labels: 1 if a finding is present, else 0."""
    rows = [[record.labels[name] is Label.POSITIVE for name in findings] for record in records]
    return np.array(rows)


def radiograph(seed: int, index: int) -> Radiograph:
    """A phantom in the form in which a reader returns a radiograph."""
    phantom = make_phantom(seed, index, TEST_SIZE)
    return Radiograph(phantom.pixels, bits_stored=16, view=phantom.record.view)


def evaluate(model: Model, seed: int, count: int) -> tuple[dict[str, float], LocalizationScores]:
    """AUC per finding on all phantoms of a series, and scores of boxes on phantoms with a box."""
    records = [phantom_record(plan_phantom(seed, index), TEST_SIZE) for index in range(count)]
    images = [Image(r.image_id, partial(radiograph, seed, i)) for i, r in enumerate(records)]
    seen: list[np.ndarray] = []

    def watch(results: Iterable[Localized | Failure]) -> Iterator[Localized | Failure]:
        for result in results:
            assert isinstance(result, Localized)
            seen.append(result.probabilities)
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
    """Print Markdown: AUC, then a row per rule and control; + marks an interval above 0."""
    findings = list(aucs)
    print(f"\n{model.card.name}, sha256 {model.sha256[:12]}: {scores.images} images\n")
    print("| | mean |", " | ".join(findings), "|")
    print("|---" * (len(findings) + 2) + "|")
    print(_row("AUC", np.array([*aucs.values(), np.mean(list(aucs.values()))])))
    measured = scores.measurements
    own = grid(rows_of(measured), "accuracy")
    for k, rule in enumerate(RULES):
        print(_row(f"{rule.criterion} > {rule.threshold}", own[k]))
        for control in scores.controls:
            low = grid(rows_of(measured, difference_of("", control)), "accuracy", "low")[k]
            print(_row(f"... {control}", grid(rows_of(measured, control), "accuracy")[k], low))


def _row(name: str, values: np.ndarray, low: np.ndarray | None = None) -> str:
    """A row with the mean first and then the findings; + marks an interval that starts above 0.

    In the input the mean is the last value.
    """
    marks = [""] * len(values) if low is None else ["+" if end > 0 else "" for end in low]
    cells = [f"{value:.2f}{mark}" for value, mark in zip(values, marks, strict=True)]
    return f"| {name} | {cells[-1]} | " + " | ".join(cells[:-1]) + " |"


def main() -> None:
    """Embed the newly trained model if one is given, then score the embedded model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trained", type=Path, help="what `cxrloc train phantom` wrote")
    parser.add_argument("--seed", type=int, default=TEST_SEED, help="of the fresh phantoms")
    parser.add_argument("--images", type=int, default=TEST_IMAGES)
    options = parser.parse_args()
    path: str | Path = PHANTOM_MODEL
    if options.trained:
        path = embed(options.trained / "model.safetensors", options.trained)
    model = read_model(path)
    print_scores(model, *evaluate(model, options.seed, options.images))


if __name__ == "__main__":
    main()
