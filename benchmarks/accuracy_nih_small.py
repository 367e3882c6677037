"""What the model for real radiographs reaches on the boxed images.

    python benchmarks/accuracy_nih_small.py DIR --imagenet mobilenet_v2_imagenet.pt

The AUC of the eight boxed findings (image-level labels) is compared with that of a linear probe on
frozen ImageNet features. The accuracy of the model's boxes is compared with all controls, with
paired bootstraps over patients, and at last with random maps that have as many boxes as the model.
`embed_nih_small.py` makes the model, and `screen_nih_small.py` was used to choose its variant.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from embed_nih_small import NAME, inputs, labels_of
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from cxrloc.datasets.chestxray14 import read_chestxray14
from cxrloc.datasets.image_files import find_image_files_below
from cxrloc.evaluation.contamination import contaminated_patients
from cxrloc.evaluation.localization.accuracy import count_boxes, mean_counts
from cxrloc.evaluation.localization.claims import claims_of_models
from cxrloc.evaluation.localization.controls import finder_of, random_maps
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.placed_run import ScoringProtocol, place_run, rule_of
from cxrloc.evaluation.localization.scored_pairs import PlacedBoxes
from cxrloc.evaluation.localization.scores import compared, difference_of, score_localization
from cxrloc.evaluation.localization.tables import grid, rows_of
from cxrloc.evaluation.measurement import Measurement
from cxrloc.evaluation.resampling import resample_patients
from cxrloc.findings import CHESTXRAY8
from cxrloc.images.read import read_radiograph
from cxrloc.inference.localized import Localized
from cxrloc.inference.prepared import Failure, Image, InferenceSettings
from cxrloc.models.imagenet import start_from_imagenet
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.model import Model
from cxrloc.models.weights import read_model
from cxrloc.recipe import read_recipe
from cxrloc.types import Detection, Heatmaps, Record

RULES = (MatchRule("iobb", 0.25), MatchRule("iou", 0.1))
RESAMPLES = 1000
PROBE_C = 0.001  # inverse strength of its penalty, by cross-validation over training patients


def probe_features(records: Sequence[Record], paths: dict[str, Path], imagenet: Path) -> np.ndarray:
    """Frozen features of MobileNetV2: means of its last layer, and 3 x 3 means of its layer 13."""
    config = LocalizerConfig(
        "mobilenet_v2", ("none",), input_channels=3, transition_channels=0, same_padding=True
    )
    network = Localizer(config).eval()
    with torch.no_grad():
        start_from_imagenet(network, imagenet)
    layers = network.backbone.to(memory_format=torch.channels_last)
    preprocessing = replace(read_recipe("nih_small").preprocessing, size=320)
    rows = []
    for start in range(0, len(records), 32):
        images = inputs(records[start : start + 32], paths, preprocessing)
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            middle = layers[:14](images)  # batch 96 20 20
            last = layers[14:](middle).float().mean((2, 3))
        coarse = nn.functional.adaptive_avg_pool2d(middle.float(), 3).flatten(1)
        rows.append(torch.cat([last, coarse], dim=1).numpy())
    return np.concatenate(rows)


def probe_scores(folder: Path, scored: Sequence[Record], imagenet: Path) -> np.ndarray:
    """Logits of one logistic regression per finding, trained on `train_images`."""
    paths = find_image_files_below([folder / "train_images", folder / "images"])
    names = find_image_files_below([folder / "train_images"])
    boxed = {record.patient_id for record in scored}
    trained = [r for r in read_chestxray14(folder) if r.image_id in names]
    assert not boxed & {record.patient_id for record in trained}
    features, truth = probe_features(trained, paths, imagenet), labels_of(trained, CHESTXRAY8)
    wanted = probe_features(scored, paths, imagenet)
    columns = []
    for column in truth.T:
        regression = LogisticRegression(C=PROBE_C, max_iter=300)
        fitted = make_pipeline(StandardScaler(), regression).fit(features, column)
        columns.append(fitted.decision_function(wanted))
    return np.stack(columns, axis=1)


def mean_and_findings(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The AUC of each finding, followed by their mean."""
    areas = [
        roc_auc_score(one, other, sample_weight=weights)
        for one, other in zip(truth.T, scores.T, strict=True)
    ]
    return np.array([*areas, np.mean(areas)])


def score_aucs(records: Sequence[Record], own: np.ndarray, probe: np.ndarray) -> None:
    """Print rows of AUC with intervals, and the paired difference."""
    truth = labels_of(records, CHESTXRAY8)
    patients, of_image = np.unique([r.patient_id for r in records], return_inverse=True)
    carries = np.zeros((len(patients), len(CHESTXRAY8)), dtype=bool)
    np.logical_or.at(carries, of_image, truth)
    counts = resample_patients(carries, RESAMPLES, seed=0)
    both = []
    for scores in (own, probe):
        estimate = mean_and_findings(truth, scores, np.ones(len(truth)))
        drawn = [mean_and_findings(truth, scores, column[of_image]) for column in counts.T]
        both.append((estimate, np.array(drawn)))
    print(f"{len(records)} images of {len(patients)} patients\n")
    print("| AUC | mean |", " | ".join(CHESTXRAY8), "|")
    print("|---" * (len(CHESTXRAY8) + 2) + "|")
    (ours, our_draws), (theirs, their_draws) = both
    print_row(NAME, ours, our_draws)
    print_row("frozen probe", theirs, their_draws)
    print_row("difference, paired", ours - theirs, our_draws - their_draws)


def print_row(name: str, values: np.ndarray, drawn: np.ndarray) -> None:
    """Print a row: the mean first, then each finding, each value with its 95 % interval."""
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    cells = [f"{v:.3f} [{a:.3f}, {b:.3f}]" for v, a, b in zip(values, low, high, strict=True)]
    print(f"| {name} | {cells[-1]} | " + " | ".join(cells[:-1]) + " |")


def score(model: Model, folder: Path, imagenet: Path) -> None:
    """Print all tables for the boxed images."""
    paths = find_image_files_below([folder / "images"])
    records = [r for r in read_chestxray14(folder) if r.annotations and r.image_id in paths]
    images = [Image(r.image_id, partial(read_radiograph, paths[r.image_id])) for r in records]
    assert not contaminated_patients(records, model.card.training_patients)
    columns = [model.card.findings.index(name) for name in CHESTXRAY8]
    seen: list[np.ndarray] = []

    def watch(results: Iterable[Localized | Failure]) -> Iterator[Localized | Failure]:
        for result in results:
            assert isinstance(result, Localized)
            seen.append(result.probabilities[columns])
            yield result

    protocol = ScoringProtocol(rules=RULES)
    settings = InferenceSettings(device="cpu", batch_size=16)
    claims = claims_of_models(records, images, [model], protocol.box_thresholds, settings, watch)
    score_aucs(records, np.stack(seen), probe_scores(folder, records, imagenet))
    scores = score_localization(claims.records, claims.detections, protocol, claims.heatmaps)
    print("\n| rule | beside | accuracy, mean | paired difference of the means |")
    print("|---|---|---|---|")
    measured = scores.measurements
    for k, rule in enumerate(RULES):
        own = grid(rows_of(measured), "accuracy")[k, -1]
        print(f"| T({rule.criterion}) {rule.threshold} | {NAME} | {own:.3f} | |")
        for control in scores.controls:
            print(f"| | {control} | {_beside(measured, control, k)} |")
    score_matched_random(claims.records, claims.detections, claims.heatmaps, protocol)


def score_matched_random(
    records: Sequence[Record],
    detections: Sequence[Detection],
    heatmaps: Sequence[Heatmaps],
    protocol: ScoringProtocol,
) -> None:
    """Print a row per rule for random maps that have as many boxes on each pair as the model."""
    run = place_run(records, detections, protocol, heatmaps)
    pairs, own = run.pairs, run.claims
    rng, finder = np.random.default_rng(0), finder_of(pairs, rule_of(protocol))
    draws = [
        as_many(random_maps(run.maps, finder, rng), own, pairs.scored.size, rng)
        for _ in range(protocol.draws)
    ]
    others = mean_counts([count_boxes(pairs, draw, RULES) for draw in draws])
    print(f"| | boxes | {own.pair.size}, random {np.mean([d.pair.size for d in draws]):.0f} | |")
    measured = [*compared(run, {"": count_boxes(pairs, own, RULES), "random": others}, "")]
    for k, rule in enumerate(RULES):
        cells = _beside(measured, "random", k)
        print(f"| T({rule.criterion}) {rule.threshold} | random, as many boxes | {cells} |")


def _beside(measured: Sequence[Measurement], control: str, rule: int) -> str:
    """Two cells: a control's mean accuracy, and the model's accuracy minus it with the interval."""
    paired = rows_of(measured, difference_of("", control))
    low, high = (grid(paired, "accuracy", end)[rule, -1] for end in ("low", "high"))
    mean = grid(rows_of(measured, control), "accuracy")[rule, -1]
    by = grid(paired, "accuracy")[rule, -1]
    return f"{mean:.3f} | {by:+.3f} [{low:+.3f}, {high:+.3f}]"


def as_many(
    claims: PlacedBoxes, own: PlacedBoxes, pairs: int, rng: np.random.Generator
) -> PlacedBoxes:
    """Boxes drawn at random from `claims`: on each pair, at most as many as `own` has there."""
    order = rng.permutation(claims.pair.size)
    order = order[np.argsort(claims.pair[order], kind="stable")]
    pair = claims.pair[order]
    rank = np.arange(pair.size) - np.searchsorted(pair, pair)
    kept = order[rank < np.bincount(own.pair, minlength=pairs)[pair]]
    return PlacedBoxes(claims.boxes[kept], claims.pair[kept])


def main() -> None:
    """Score the model on the boxed images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of ChestX-ray14")
    parser.add_argument("--model", default=NAME, help="name or file of what is scored")
    parser.add_argument("--imagenet", type=Path, required=True, help="weights, for the probe")
    options = parser.parse_args()
    score(read_model(options.model), options.data, options.imagenet)


if __name__ == "__main__":
    main()
