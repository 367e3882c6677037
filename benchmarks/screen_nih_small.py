"""Variants of the model for real radiographs, compared on training patients and without a box.

    python benchmarks/screen_nih_small.py DIR --imagenet mobilenet_v2_imagenet.pt --cache FOLDER
        [--fold 0] [--epochs 2] [--only-large] [--cutmix 0.7] [--pooling lse --lse-r 2]

The first eleven layers are frozen, so their features are computed once: of every image as it is and
of a few random changes of it (a quarter of an hour on two cores, 5 GB). A variant then trains in
minutes. Printed: AUC of the eight findings on the fold that was left out, and the accuracy of boxes
beside permuted maps on two kinds of images whose lesions have known places, phantoms and lesions
drawn into radiographs of that fold without findings; for both strides, with maps as they are and
less their mean over training images (`models.centring`).
"""

import argparse
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from drawn_lesions import LESIONS, draw_lesion
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F

from cxrloc.datasets.chestxray14 import read_chestxray14
from cxrloc.datasets.image_files import find_image_files_below
from cxrloc.datasets.phantom import make_phantom
from cxrloc.findings import CHESTXRAY8
from cxrloc.images.augment import DRAWS, Augmentation, augment, cut_out
from cxrloc.images.preprocessing import standardise
from cxrloc.images.read import read_radiograph
from cxrloc.localization.heatmaps import cam
from cxrloc.localization.regions import find_regions
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.normalisation import unfold_normalisation
from cxrloc.models.weights import start_from_imagenet
from cxrloc.recipe import read_recipe
from cxrloc.types import Label

SIDE, FROZEN, FOLDS, BATCH = 320, 11, 5, 32
LARGE, SMALL = "train_images", "train_images_128"
COPIES = {LARGE: 4, SMALL: 3}  # random changes of each image
CHANGES = Augmentation(mirror=0.5, rotation_degrees=7, scale=0.1, shift=0.05)
LESIONS_PER_FINDING, PHANTOMS, PHANTOM_SEED = 70, 300, 31


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """One folder of training images: grey levels in [0, 255], labels, a fold per patient."""

    greys: np.ndarray  # image row col
    labels: np.ndarray  # image finding
    folds: np.ndarray  # image
    patients: np.ndarray  # image


@dataclass(frozen=True, slots=True, eq=False)
class Guide:
    """Lesions of known place: features of the images; image, finding and box of each lesion."""

    name: str
    features: np.ndarray
    image: np.ndarray
    finding: np.ndarray
    boxes: np.ndarray


def read_images(data: Path, folder: str, findings: Sequence[str]) -> Images:
    """All images of a folder, at the network's size."""
    paths = find_image_files_below([data / folder])
    records = [record for record in read_chestxray14(data) if record.image_id in paths]
    greys = np.empty((len(records), SIDE, SIDE), dtype=np.uint8)
    for row, record in enumerate(records):
        grey = torch.from_numpy(read_radiograph(paths[record.image_id]).pixels)[None, None]
        resized = F.interpolate(grey, (SIDE, SIDE), mode="bicubic", antialias=True)
        greys[row] = (resized[0, 0].clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    labels = [[r.labels[name] is Label.POSITIVE for name in findings] for r in records]
    patients = np.array([record.patient_id for record in records])
    folds = [int(hashlib.sha256(f"f{one}".encode()).hexdigest(), 16) % FOLDS for one in patients]
    return Images(greys, np.array(labels, dtype=np.float32), np.array(folds), patients)


def network_of(config: LocalizerConfig, imagenet: Path, greys: np.ndarray) -> Localizer:
    """With ImageNet's weights, and statistics of normalisation from some training images."""
    network = Localizer(config)
    with torch.no_grad():
        start_from_imagenet(network, imagenet)
    some = np.random.default_rng(0).choice(len(greys), 96, replace=False)
    unfold_normalisation(network.backbone, inputs_of(torch.from_numpy(greys[some]) / 255))
    return network.to(memory_format=torch.channels_last)


def inputs_of(greys: Tensor) -> Tensor:
    """Standardised, three channels."""
    images = torch.from_numpy(standardise(greys.numpy()))[:, None].repeat(1, 3, 1, 1)
    return images.contiguous(memory_format=torch.channels_last)


def frozen_features(network: Localizer, greys: np.ndarray, changes: int, seed: int) -> np.ndarray:
    """What the frozen layers make of images: unchanged first, then each random change.

    From the third on the changed images are as soft as those of 128 pixels.
    """
    front = network.backbone[:FROZEN].eval()
    rng = np.random.default_rng(seed)
    kept = np.empty((changes + 1, len(greys), 64, SIDE // 16, SIDE // 16), dtype=np.float16)
    for copy in range(changes + 1):
        for start in range(0, len(greys), BATCH):
            block = torch.from_numpy(greys[start : start + BATCH])[:, None].float() / 255
            if copy:
                block = augment(block, rng.random((len(block), DRAWS)), CHANGES)
            if copy > 2:
                small = F.interpolate(block, (128, 128), mode="bilinear", antialias=True)
                block = F.interpolate(small, (SIDE, SIDE), mode="bicubic")
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                features = front(inputs_of(block[:, 0])).half()
            kept[copy, start : start + BATCH] = features.numpy()
    return kept


def cached(path: Path, network: Localizer, images: Images, changes: int) -> np.ndarray:
    """Features of a folder, computed once."""
    if not path.is_file():
        unfinished = path.with_suffix(".part.npy")
        np.save(unfinished, frozen_features(network, images.greys, changes, seed=changes))
        unfinished.replace(path)
    return np.load(path, mmap_mode="r")


def guides_of(network: Localizer, normals: np.ndarray) -> list[Guide]:
    """Lesions drawn into these radiographs, and phantoms."""
    rng = np.random.default_rng(5)
    drawn = [
        draw_lesion(finding, (normals[rng.integers(len(normals))] / 255).astype(np.float32), rng)
        for finding in LESIONS
        for _ in range(LESIONS_PER_FINDING)
    ]
    rows = [(i, CHESTXRAY8.index(one.finding), one.box) for i, one in enumerate(drawn)]
    phantoms = [make_phantom(PHANTOM_SEED, index, SIDE) for index in range(PHANTOMS)]
    places = [
        (i, CHESTXRAY8.index(annotation.finding), annotation.box)
        for i, phantom in enumerate(phantoms)
        for annotation in phantom.record.annotations
    ]
    made = []
    for name, pixels, lesions in (
        ("drawn lesions", [one.pixels for one in drawn], rows),
        ("phantoms", [one.pixels for one in phantoms], places),
    ):
        greys = np.rint(np.stack(pixels) * 255).astype(np.uint8)
        image, finding = (np.array([row[column] for row in lesions]) for column in (0, 1))
        boxes = np.array([[b.x_min, b.y_min, b.x_max, b.y_max] for *_, b in lesions])
        features = frozen_features(network, greys, 0, seed=0)[0]
        made.append(Guide(name, features, image, finding, boxes))
    return made


def train(
    network: Localizer,
    sources: Sequence[tuple[np.ndarray, Images, np.ndarray]],
    epochs: int,
    cutmix: float,
) -> None:
    """The layers behind the frozen ones and the head, in place; at the end their average."""
    fit = read_recipe("nih_small").fit
    rng = np.random.default_rng(0)
    tail = network.backbone[FROZEN:]
    groups = [
        {"params": list(tail.parameters()), "share": fit.backbone_rate},
        {"params": list(network.prediction.parameters()), "share": 1.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1.0, weight_decay=fit.weight_decay)
    rows = [(source, row) for source, (_, _, chosen) in enumerate(sources) for row in chosen]
    orders = [rng.permutation(len(rows)) for _ in range(epochs)]
    steps = [o[i : i + BATCH] for o in orders for i in range(0, len(o) - BATCH + 1, BATCH)]
    average = {name: value.clone() for name, value in network.state_dict().items()}
    for number, step in enumerate(steps):
        warm = min(1, (number + 1) / 30)
        rate = fit.schedule.learning_rate * warm * (1 + math.cos(math.pi * number / len(steps))) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate * group["share"]
        given, wanted = [], []
        for source, row in (rows[i] for i in step):
            features, images, _ = sources[source]
            given.append(features[rng.integers(1, len(features)), row])
            wanted.append(images.labels[row])
        inputs, labels = torch.from_numpy(np.stack(given)).float(), torch.tensor(np.stack(wanted))
        cuts = cut_out(rng.random((len(inputs), 4)), cutmix, inputs.shape[-1])[:, None].float()
        inputs = torch.lerp(inputs, inputs.roll(1, dims=0), cuts)
        labels = torch.lerp(labels, labels.roll(1, dims=0), cuts.mean(dim=(2, 3)))
        tail.train()
        with torch.autocast("cpu", torch.bfloat16):
            features = tail(inputs.contiguous(memory_format=torch.channels_last))
        logits = network.prediction(network.pool(features.float()))
        loss = F.binary_cross_entropy_with_logits(logits, labels, reduction="sum") / BATCH
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay = min(0.99, (1 + number) / (10 + number))
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                average[name].lerp_(value, 1 - decay)
            else:
                average[name].copy_(value)
        if number % 50 == 0:
            print(f"step {number} of {len(steps)}, loss {loss.item():.3f}", flush=True)
    network.load_state_dict(average)
    network.eval()


class Tail(nn.Module):
    """The network from the cached features on."""

    def __init__(self, network: Localizer) -> None:
        super().__init__()
        self.layers, self.pool = network.backbone[FROZEN:].eval(), network.pool
        self.prediction = network.prediction

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features, as a `LocalizingNetwork`."""
        with torch.autocast("cpu", torch.bfloat16):
            seen = self.layers(features).float()
        return self.prediction(self.pool(seen)), seen


def logits_and_maps(network: Localizer, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the eight findings, from cached features."""
    tail, logits, maps = Tail(network), [], []
    for start in range(0, len(features), BATCH):
        block = torch.from_numpy(features[start : start + BATCH]).float()
        with torch.no_grad():
            one = cam(tail, block.contiguous(memory_format=torch.channels_last), range(8))
        logits.append(one[0][:, :8].numpy())
        maps.append(one[1].numpy())
    return np.concatenate(logits), np.concatenate(maps)


def mean_auc(truth: np.ndarray, logits: np.ndarray) -> float:
    """Over the findings that some have and some have not."""
    columns = [j for j in range(truth.shape[1]) if 0 < truth[:, j].sum() < len(truth)]
    return float(np.mean([roc_auc_score(truth[:, j], logits[:, j]) for j in columns]))


def auc_row(name: str, patients: np.ndarray, truth: np.ndarray, logits: np.ndarray) -> str:
    """Mean AUC with its interval: 300 resamples of patients."""
    of_patient = {one: np.flatnonzero(patients == one) for one in np.unique(patients)}
    rng, drawn = np.random.default_rng(0), []
    for _ in range(300):
        chosen = rng.choice(list(of_patient), len(of_patient))
        rows = np.concatenate([of_patient[one] for one in chosen])
        drawn.append(mean_auc(truth[rows], logits[rows]))
    low, high = np.quantile(drawn, (0.025, 0.975))
    return f"| {name} | {len(truth)} | {mean_auc(truth, logits):.3f} [{low:.3f}, {high:.3f}] |"


def hits(boxes: np.ndarray, truth: np.ndarray) -> tuple[bool, bool]:
    """Whether one of a map's boxes is right: IoBB above .25, IoU above .1."""
    if not len(boxes):
        return False, False
    corner = np.minimum(boxes[:, 2:], truth[2:]) - np.maximum(boxes[:, :2], truth[:2])
    shared = np.clip(corner, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    union = areas + (truth[2:] - truth[:2]).prod() - shared
    return bool((shared / areas > 0.25).any()), bool((shared / union > 0.1).any())


def guide_row(name: str, guide: Guide, maps: np.ndarray) -> str:
    """Accuracy of the boxes of each lesion's map, and of maps of other images, mean of findings."""
    regions = find_regions(maps.astype(np.float64), (60.0, 180.0))
    pixels = SIDE / maps.shape[1]
    boxes = [regions.boxes[regions.map_index == row] * pixels for row in range(len(maps))]
    own, permuted = [], []
    for finding in np.unique(guide.finding):
        rows = np.flatnonzero(guide.finding == finding)
        own.append(np.mean([hits(boxes[i], guide.boxes[i]) for i in rows], axis=0))
        others = [
            np.mean([hits(boxes[j], guide.boxes[i]) for i, j in zip(rows, shift, strict=True)], 0)
            for shift in (np.roll(rows, by) for by in range(1, 6))
        ]
        permuted.append(np.mean(others, axis=0))
    (a, b), (c, d) = np.mean(own, axis=0), np.mean(permuted, axis=0)
    count = np.mean([len(one) for one in boxes])
    return (
        f"| {guide.name} | {name} | {count:.1f} | {a:.3f} | {c:.3f} | {a - c:+.3f} "
        f"| {b:.3f} | {d:.3f} | {b - d:+.3f} |"
    )


def main() -> None:
    """One variant on one fold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of ChestX-ray14")
    parser.add_argument("--imagenet", type=Path, required=True, help="MobileNetV2's weights")
    parser.add_argument("--cache", type=Path, required=True, help="folder for frozen features")
    parser.add_argument("--fold", type=int, default=0, help=f"of {FOLDS}, scored, not trained on")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--only-large", action="store_true", help="without the 128 px images")
    parser.add_argument("--cutmix", type=float, default=0.0)
    parser.add_argument("--pooling", default="average")
    parser.add_argument("--lse-r", type=float, default=2.0)
    options = parser.parse_args()
    recipe = read_recipe("nih_small").network
    config = LocalizerConfig(
        "mobilenet_v2",
        recipe.findings,
        input_channels=3,
        transition_channels=0,
        same_padding=True,
        pooling=options.pooling,
        lse_r=options.lse_r,
    )
    torch.manual_seed(0)
    large = read_images(options.data, LARGE, recipe.findings)
    network = network_of(config, options.imagenet, large.greys)
    held_out = large.folds == options.fold
    sources = []
    for folder in (LARGE,) if options.only_large else (LARGE, SMALL):
        images = large if folder == LARGE else read_images(options.data, folder, recipe.findings)
        features = cached(options.cache / f"{folder}.npy", network, images, COPIES[folder])
        sources.append((features, images, np.flatnonzero(images.folds != options.fold)))
    guides = guides_of(network, large.greys[held_out & ~large.labels.any(axis=1)])
    train(network, sources, options.epochs, options.cutmix)

    truth = large.labels[held_out][:, :8].astype(bool)
    known = np.flatnonzero(~held_out)[:500]
    print("\n| images | number | mean AUC |\n|---|---|---|")
    logits, _ = logits_and_maps(network, sources[0][0][0][held_out])
    print(auc_row("all", large.patients[held_out], truth, logits))
    abnormal = truth.any(axis=1)
    patients = large.patients[held_out][abnormal]
    print(auc_row("abnormal", patients, truth[abnormal], logits[abnormal]))
    print("\n| guide | maps | boxes | IoBB .25 | permuted | | IoU .1 | permuted | |")
    print("|---" * 9 + "|")
    for stride in (32, 16):
        finer = Localizer(replace(config, output_stride=stride)).eval()
        finer.load_state_dict(network.state_dict())
        usual = logits_and_maps(finer, sources[0][0][0][known])[1].mean(axis=0)
        for guide in guides:
            maps = logits_and_maps(finer, guide.features)[1][guide.image, guide.finding]
            print(guide_row(f"stride {stride}", guide, maps))
            print(guide_row(f"stride {stride}, centred", guide, maps - usual[guide.finding]))


if __name__ == "__main__":
    main()
