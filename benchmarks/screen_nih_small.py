"""Variants of the model for real radiographs, compared on training patients and without a box.

    python benchmarks/screen_nih_small.py DIR --imagenet mobilenet_v2_imagenet.pt --cache FOLDER
        [--fold 0] [--epochs 2] [--only-large] [--cutmix 0.7] [--pooling lse --lse-r 2]
        [--phantoms 2000] [--normals 0.5] [--loss w_cel] [--averaging 0] [--seed 1]
        [--save RUN] [--average RUN RUN]
    python benchmarks/compare_screened.py RUNS...

The first eleven layers are frozen, so their features are computed only once: for every unchanged
image and for a few random changes of the image (a quarter of an hour on two cores, 5 GB). A variant
then trains in minutes. The script prints the AUC of the eight findings on the fold that was left
out. It also prints the accuracy of boxes, beside that of permuted maps, on the images of
`guides_of_place.py`. Boxes are scored for both strides, from the maps themselves and from the maps
minus their mean over training images (`models.centring`). `--save` keeps weights and scores for
`compare_screened.py` and for `--average`, which trains nothing and scores the mean of the weights
of saved runs.
"""

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from compare_screened import mean_auc
from frozen_features import (
    BATCH,
    FROZEN,
    SIDE,
    Images,
    cached,
    frozen_features,
    greys_of,
    network_of,
    read_images,
)
from guides_of_place import Guide, GuideScore, grey_levels, guides_of, score_maps
from torch import Tensor, nn

from cxrloc.findings import CHESTXRAY8
from cxrloc.images.augment import cut_out
from cxrloc.localization.heatmaps import cam
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.pooling import PoolingParameters
from cxrloc.phantom import make_phantom
from cxrloc.recipe import read_recipe
from cxrloc.training.losses import LOSSES
from cxrloc.types import Label

LARGE, SMALL = "train_images", "train_images_128"
COPIES = {LARGE: 4, SMALL: 3}  # random changes of each image
PHANTOM_SEED = 32

Source = tuple[np.ndarray, Images, np.ndarray]
"""Features, the images of these features, and the rows to train on."""


def phantom_source(network: Localizer, count: int, findings: Sequence[str]) -> Source:
    """Phantoms to train on first; findings that no phantom can have are unknown (NaN)."""
    phantoms = [make_phantom(PHANTOM_SEED, index, SIDE) for index in range(count)]
    labels = np.full((count, len(findings)), np.nan, dtype=np.float32)
    for row, phantom in enumerate(phantoms):
        for finding in CHESTXRAY8:
            present = phantom.record.labels[finding] is Label.POSITIVE
            labels[row, findings.index(finding)] = present
    features = frozen_features(network, grey_levels([one.pixels for one in phantoms]), 1, seed=1)
    rows = np.arange(count)
    return features, Images((), labels, rows, rows), rows


def order_of(
    sources: Sequence[Source], normals: float, rng: np.random.Generator
) -> Iterator[tuple[int, int]]:
    """Pairs (source, row) of one epoch, shuffled, with a share of the images without a finding."""
    rows = [
        (source, row)
        for source, (_, images, chosen) in enumerate(sources)
        for row in chosen
        if np.nansum(images.labels[row]) > 0 or rng.random() < normals
    ]
    return (rows[i] for i in rng.permutation(len(rows)))


def train(
    network: Localizer,
    sources: Sequence[Source],
    options: argparse.Namespace,
    epochs: int,
) -> None:
    """Train the layers behind the frozen ones and the head, in place.

    At the end the network gets the running average of its weights.
    """
    fit = read_recipe("nih_small").fit
    rng = np.random.default_rng(options.seed)
    tail = network.backbone[FROZEN:]
    groups = [
        {"params": list(tail.parameters()), "share": fit.backbone_rate},
        {"params": list(network.prediction.parameters()), "share": 1.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1.0, weight_decay=fit.weight_decay)
    orders = [list(order_of(sources, options.normals, rng)) for _ in range(epochs)]
    steps = [o[i : i + BATCH] for o in orders for i in range(0, len(o) - BATCH + 1, BATCH)]
    average = {name: value.clone() for name, value in network.state_dict().items()}
    for number, step in enumerate(steps):
        warm = min(1, (number + 1) / 30)
        rate = fit.schedule.learning_rate * warm * (1 + math.cos(math.pi * number / len(steps))) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate * group["share"]
        given, wanted = [], []
        for source, row in step:
            features, images, _ = sources[source]
            given.append(features[rng.integers(1, len(features)), row])
            wanted.append(images.labels[row])
        inputs, labels = torch.from_numpy(np.stack(given)).float(), torch.tensor(np.stack(wanted))
        cuts = cut_out(rng.random((len(inputs), 4)), options.cutmix, inputs.shape[-1])
        inputs = torch.lerp(inputs, inputs.roll(1, dims=0), cuts[:, None].float())
        shares = cuts.float().mean(dim=(1, 2))[:, None]
        labels = torch.lerp(labels, labels.roll(1, dims=0), shares)
        tail.train()
        with torch.autocast("cpu", torch.bfloat16):
            features = tail(inputs.contiguous(memory_format=torch.channels_last))
        logits = network.prediction(network.pool(features.float()))
        loss = LOSSES[options.loss](logits, labels) / BATCH
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay = min(options.averaging, (1 + number) / (10 + number))
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
    """The part of the network that follows the frozen layers; its input are cached features."""

    def __init__(self, network: Localizer) -> None:
        super().__init__()
        self.layers, self.pool = network.backbone[FROZEN:].eval(), network.pool
        self.prediction = network.prediction

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features, in the form of a `LocalizingNetwork`."""
        with torch.autocast("cpu", torch.bfloat16):
            seen = self.layers(features).float()
        return self.prediction(self.pool(seen)), seen


def logits_and_maps(network: Localizer, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits and maps of the eight findings, from cached features."""
    tail, logits, maps = Tail(network), [], []
    for start in range(0, len(features), BATCH):
        block = torch.from_numpy(features[start : start + BATCH]).float()
        with torch.no_grad():
            one = cam(tail, block.contiguous(memory_format=torch.channels_last), range(8))
        logits.append(one[0][:, :8].numpy())
        maps.append(one[1].numpy())
    return np.concatenate(logits), np.concatenate(maps)


def score_guides(
    network: Localizer, guides: Sequence[Guide], known: np.ndarray
) -> dict[str, GuideScore]:
    """Scores by the guide's name and the kind of map.

    `known` are features of training images, whose mean map is subtracted for centred maps.
    """
    scores = {}
    for stride in (32, 16):
        finer = Localizer(replace(network.config, output_stride=stride)).eval()
        finer.load_state_dict(network.state_dict())
        usual = logits_and_maps(finer, known)[1].mean(axis=0)
        for guide in guides:
            maps = logits_and_maps(finer, guide.features)[1][guide.image, guide.finding]
            name = f"{guide.name}, stride {stride}"
            scores[name] = score_maps(guide, maps)
            scores[f"{name}, centred"] = score_maps(guide, maps - usual[guide.finding])
    return scores


def average_weights(network: Localizer, runs: Sequence[Path]) -> None:
    """Load the mean of the weights that these runs have saved into the network, in place."""
    states = [torch.load(run / "weights.pt", weights_only=True) for run in runs]
    mean = {
        name: torch.stack([state[name].float() for state in states]).mean(0).to(value.dtype)
        for name, value in states[0].items()
    }
    network.load_state_dict(mean)
    network.eval()


def parse_options() -> argparse.Namespace:
    """The options of the command line: one variant and one fold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of ChestX-ray14")
    parser.add_argument("--imagenet", type=Path, required=True, help="MobileNetV2's weights")
    parser.add_argument("--cache", type=Path, required=True, help="folder for frozen features")
    parser.add_argument("--fold", type=int, default=0, help="of five, scored, not trained on")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only-large", action="store_true", help="without the 128 px images")
    parser.add_argument("--normals", type=float, default=1.0, help="share of them per epoch")
    parser.add_argument("--phantoms", type=int, default=0, help="trained on first, one epoch")
    parser.add_argument("--cutmix", type=float, default=0.0)
    parser.add_argument("--pooling", default="average")
    parser.add_argument("--lse-r", type=float, default=2.0)
    parser.add_argument("--loss", default="cel", choices=LOSSES)
    parser.add_argument("--averaging", type=float, default=0.99, help="of weights; 0: the last")
    parser.add_argument("--save", type=Path, help="folder for weights and scores")
    parser.add_argument("--average", type=Path, nargs="+", help="saved runs; trains nothing")
    return parser.parse_args()


def main() -> None:
    """Train and score one variant on one fold."""
    options = parse_options()
    recipe = read_recipe("nih_small").network
    config = LocalizerConfig(
        "mobilenet_v2",
        recipe.findings,
        input_channels=3,
        transition_channels=0,
        same_padding=True,
        pooling=options.pooling,
        pooling_parameters=PoolingParameters(r=options.lse_r if options.pooling == "lse" else None),
    )
    torch.manual_seed(options.seed)
    large = read_images(options.data, LARGE, recipe.findings)
    network = network_of(config, options.imagenet, large)
    sources = []
    for folder in (LARGE,) if options.only_large else (LARGE, SMALL):
        images = large if folder == LARGE else read_images(options.data, folder, recipe.findings)
        features = cached(options.cache / f"{folder}.npy", network, images, COPIES[folder])
        sources.append((features, images, np.flatnonzero(images.folds != options.fold)))
    held_out = large.folds == options.fold
    normal = np.flatnonzero(held_out & ~large.labels.any(axis=1))
    guides = guides_of(network, greys_of([large.files[row] for row in normal]))
    if options.average:
        average_weights(network, options.average)
    else:
        if options.phantoms:
            train(network, [phantom_source(network, options.phantoms, recipe.findings)], options, 1)
        train(network, sources, options, options.epochs)

    unchanged = sources[0][0][0]
    logits, _ = logits_and_maps(network, unchanged[held_out])
    truth = large.labels[held_out][:, :8].astype(bool)
    abnormal = truth.any(axis=1)
    print(f"AUC: all {mean_auc(truth, logits):.3f}, ", end="")
    print(f"abnormal {mean_auc(truth[abnormal], logits[abnormal]):.3f}")
    scores = score_guides(network, guides, unchanged[np.flatnonzero(~held_out)[:500]])
    for name, one in scores.items():
        print(f"{name}: IoBB .25 {one.own[0]:.3f}, permuted {one.permuted[0]:.3f}; ", end="")
        print(f"IoU .1 {one.own[1]:.3f}, permuted {one.permuted[1]:.3f}; boxes {one.boxes:.1f}")
    if options.save:
        options.save.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), options.save / "weights.pt")
        patients = large.patients[held_out]
        np.savez(options.save / "fold.npz", logits=logits, truth=truth, patients=patients)
        guided = {name: asdict(one) for name, one in scores.items()}
        (options.save / "guides.json").write_text(json.dumps(guided, indent=1))


if __name__ == "__main__":
    main()
