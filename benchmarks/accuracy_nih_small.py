"""The model for real radiographs: how it gets into the package, and what it reaches.

    cxrloc train nih_small --data DIR --start mobilenet_v2_imagenet.pt --out OUT
    python benchmarks/accuracy_nih_small.py DIR --embed OUT/model.safetensors --to FILE
    python benchmarks/accuracy_nih_small.py DIR --imagenet mobilenet_v2_imagenet.pt

The second line gives the trained network a finer grid and centred features, and chooses operating
points on the images that trained nothing. The last scores the embedded model on the boxed images:
AUC of the eight boxed findings (image-level labels) beside a linear probe on frozen ImageNet
features, and the accuracy of its boxes beside all controls, with paired bootstraps over patients.
How the variant was chosen: `screen_nih_small.py`.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from cxrloc.datasets.chestxray14 import read_chestxray14
from cxrloc.datasets.image_files import find_image_files_below
from cxrloc.evaluation.classification.operating_points import choose_operating_point
from cxrloc.evaluation.contamination import contaminated_patients
from cxrloc.evaluation.localization.scores import ScoringProtocol, score_localization
from cxrloc.evaluation.resampling import resample_patients
from cxrloc.findings import CHESTXRAY8
from cxrloc.images.preprocessing import Preprocessing, preprocess
from cxrloc.images.read import read_radiograph
from cxrloc.inference.batches import Image, InferenceSettings
from cxrloc.inference.localize import Failure, Localized
from cxrloc.models.centring import centre
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.weights import (
    Model,
    hashed_patient,
    read_model,
    start_from_imagenet,
    write_model,
)
from cxrloc.pipeline.claims import claims_of_models
from cxrloc.recipe import read_recipe
from cxrloc.types import Label, MatchRule, Record

NAME = "nih-small-v2"
RULES = (MatchRule("iobb", 0.25), MatchRule("iou", 0.1))
RESAMPLES = 1000
CENTRING_IMAGES = 1000
PROBE_C = 0.001  # inverse strength of its penalty, by cross-validation over training patients
LIMITS = (
    "Research demo: not for diagnosis. Boxes meet those of experts little more often than boxes of "
    "another patient's map do. Labels were read from reports by a program."
)
TRAINED_ON = (
    "{images} frontal images of ChestX-ray14, official train_val list, nobody with an expert's box "
    "(with thanks to the NIH Clinical Center, https://nihcc.app.box.com/v/ChestXray-NIHCC; "
    "Wang et al., CVPR 2017)"
)


def at_stride(model: Model, stride: int) -> Localizer:
    """The same weights on a finer or coarser grid."""
    assert model.config is not None
    network = Localizer(replace(model.config, output_stride=stride)).eval()
    network.load_state_dict(model.network.state_dict())
    return network


def embed(model: Model, stride: int, data: Path, path: Path) -> None:
    """The trained model as the package carries it: finer, centred, with the boxed findings.

    The other six helped to train it; too few held-out images have them for an operating point.
    """
    paths = find_image_files_below([data / "train_images", data / "train_images_128"])
    patients = set(model.card.training_patients)
    trained: list[Record] = []
    held_out: list[Record] = []
    for record in read_chestxray14(data):
        if record.image_id in paths:
            known = hashed_patient(record.patient_id) in patients
            (trained if known else held_out).append(record)
    network = with_findings(at_stride(model, stride), CHESTXRAY8)
    every = max(1, len(trained) // CENTRING_IMAGES)
    network = centre(network, blocks(trained[::every], paths, model.preprocessing))
    with torch.no_grad():
        parts = [network(block)[0] for block in blocks(held_out, paths, model.preprocessing)]
    probabilities = torch.cat(parts).sigmoid().double().numpy()
    points = {}
    for finding, truth, column in zip(
        CHESTXRAY8, labels_of(held_out, CHESTXRAY8).T, probabilities.T, strict=True
    ):
        point = choose_operating_point(truth, column)
        assert point is not None
        points[finding] = point.threshold
        print(f"{finding}: AUC {roc_auc_score(truth, column):.3f}, operating at {point.threshold}")
    card = replace(
        model.card,
        name=NAME,
        findings=CHESTXRAY8,
        operating_points=points,
        limits=LIMITS,
        trained_on=TRAINED_ON.format(images=f"{model.card.training_images:,}"),
    )
    write_model(path, network, model.preprocessing, card)


def with_findings(network: Localizer, findings: tuple[str, ...]) -> Localizer:
    """The network with some of its outputs."""
    fewer = Localizer(replace(network.config, findings=findings)).eval()
    weights = network.state_dict()
    rows = [network.config.findings.index(name) for name in findings]
    for name in ("prediction.weight", "prediction.bias"):
        weights[name] = weights[name][rows]
    fewer.load_state_dict(weights)
    return fewer


def blocks(
    records: Sequence[Record], paths: dict[str, Path], preprocessing: Preprocessing
) -> Iterator[torch.Tensor]:
    """What a network gets of these images, 32 at a time."""
    for start in range(0, len(records), 32):
        yield inputs(records[start : start + 32], paths, preprocessing)


def inputs(
    records: Sequence[Record], paths: dict[str, Path], preprocessing: Preprocessing
) -> torch.Tensor:
    """What a network gets of these images."""
    arrays = [
        preprocess(read_radiograph(paths[record.image_id]), preprocessing)[0] for record in records
    ]
    return torch.from_numpy(np.stack(arrays))


def labels_of(records: Iterable[Record], findings: Sequence[str]) -> np.ndarray:
    """1 where a finding is present."""
    rows = [[record.labels[name] is Label.POSITIVE for name in findings] for record in records]
    return np.array(rows)


def probe_features(records: Sequence[Record], paths: dict[str, Path], imagenet: Path) -> np.ndarray:
    """Means of MobileNetV2's last layer and 3 x 3 means of its layer 13, frozen."""
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
    """AUC of each finding, then their mean."""
    areas = [
        roc_auc_score(one, other, sample_weight=weights)
        for one, other in zip(truth.T, scores.T, strict=True)
    ]
    return np.array([*areas, np.mean(areas)])


def score_aucs(records: Sequence[Record], own: np.ndarray, probe: np.ndarray) -> None:
    """Rows of AUC with intervals, and the paired difference."""
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
    """The mean first, each value with its 95 % interval."""
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    cells = [f"{v:.3f} [{a:.3f}, {b:.3f}]" for v, a, b in zip(values, low, high, strict=True)]
    print(f"| {name} | {cells[-1]} | " + " | ".join(cells[:-1]) + " |")


def score(model: Model, folder: Path, imagenet: Path) -> None:
    """Everything that is said of the boxed images."""
    paths = find_image_files_below([folder / "images"])
    records = [r for r in read_chestxray14(folder) if r.annotations and r.image_id in paths]
    images = [Image(r.image_id, partial(read_radiograph, paths[r.image_id])) for r in records]
    assert not contaminated_patients(records, model.card.training_patients)
    columns = [model.card.findings.index(name) for name in CHESTXRAY8]
    seen: list[np.ndarray] = []

    def watch(results: Iterable[Localized | Failure]) -> Iterator[Localized | Failure]:
        for result in results:
            assert isinstance(result, Localized)
            seen.append(result.localization.probabilities[columns])
            yield result

    protocol = ScoringProtocol(rules=RULES)
    settings = InferenceSettings(device="cpu", batch_size=16)
    claims = claims_of_models(records, images, [model], protocol.box_thresholds, settings, watch)
    score_aucs(records, np.stack(seen), probe_scores(folder, records, imagenet))
    scores = score_localization(claims.records, claims.detections, protocol, claims.heatmaps)
    print("\n| rule | beside | accuracy, mean | paired difference of the means |")
    print("|---|---|---|---|")
    for k, rule in enumerate(RULES):
        own = scores.report.accuracy[k][-1]
        print(f"| T({rule.criterion}) {rule.threshold} | {NAME} | {own:.3f} | |")
        for control, report in scores.controls.items():
            paired = scores.differences[control]
            low, high = paired.low[k][-1], paired.high[k][-1]
            print(
                f"| | {control} | {report.accuracy[k][-1]:.3f} | "
                f"{paired.difference[k][-1]:+.3f} [{low:+.3f}, {high:+.3f}] |"
            )


def main() -> None:
    """One of the two steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of ChestX-ray14")
    parser.add_argument("--embed", type=Path, metavar="MODEL")
    parser.add_argument(
        "--stride", type=int, default=16, help="pixels per cell of what is embedded"
    )
    parser.add_argument("--to", type=Path, default=Path(f"{NAME}.safetensors"))
    parser.add_argument("--model", default=NAME, help="name or file of what is scored")
    parser.add_argument("--imagenet", type=Path, help="MobileNetV2's weights, for the probe")
    options = parser.parse_args()
    if options.embed:
        embed(read_model(options.embed), options.stride, options.data, options.to)
    else:
        score(read_model(options.model), options.data, options.imagenet)


if __name__ == "__main__":
    main()
