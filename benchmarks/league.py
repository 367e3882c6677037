"""Weak localizers trained on the same phantoms and scored on the same fresh ones, with controls.

    python benchmarks/league.py OUT [--steps 600] [--images 500] [--minutes 100] [--seed 1]
    python benchmarks/league.py OUT --table league.md --figure league.png

Every row of `LEAGUE` is the recipe `phantom` with other network settings, 2,000 training phantoms
and the same number of steps. Rows with a heatmap method of their own explain a model that another
row trained. All are scored on fresh phantoms with exact boxes by the two-threshold rule. The script
goes on where it was: finished rows are in OUT/ROW/score.json, and an interrupted training is
resumed from its checkpoint. It does not look at the settings of finished rows, so other steps,
images or seeds need another OUT. With --minutes it starts no further row after that time. With
--table and --figure nothing is computed; the rows that are there are shown.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
import torch
from league_scores import RULES, draw, milliseconds, numbers_of, table_of

from cxrloc.evaluation.classification.ranking import auc
from cxrloc.evaluation.localization.claims import claims_of_models
from cxrloc.evaluation.localization.placed_run import ScoringProtocol, place_run
from cxrloc.files.whole import write_json
from cxrloc.inference.localized import Localized
from cxrloc.inference.prepared import Image, InferenceSettings
from cxrloc.localization.heatmaps import HEATMAPS
from cxrloc.models.model import Model
from cxrloc.models.weights import read_model
from cxrloc.phantom import make_phantom, phantom_record, plan_phantom
from cxrloc.types import Label, Radiograph

TRAINING, VALIDATION, TEST_SEED, TEST_SIZE = 2000, 200, 2201, 320
INPUT_SIZE = 192  # pixels; a step takes a third of the time that 256 px take


@dataclass(frozen=True, slots=True)
class Localizer:
    """One row of the league.

    Attributes:
        network: settings of the recipe's network that differ.
        augmentation: settings of the augmentation that differ.
        method: heatmap method.
        trained_by: the row whose model is explained; empty: its own.
    """

    network: Mapping[str, Any] = field(default_factory=dict)
    augmentation: Mapping[str, Any] = field(default_factory=dict)
    method: str = "cam"
    trained_by: str = ""


def _pooled_map(pooling: str, **parameters: float) -> Localizer:
    """A pooling of the map of logits."""
    own = {"pooling_parameters": parameters} if parameters else {}
    return Localizer({"head": "predict_then_pool", "pooling": pooling, **own})


LEAGUE: dict[str, Localizer] = {
    "average": Localizer({"pooling": "average"}),
    "lse of features": Localizer(),  # Wang et al. 2017; the recipe's own pooling
    "max": _pooled_map("max"),
    "lse": _pooled_map("lse", r=1.0),
    "lse, learned r": _pooled_map("lse_learned"),
    "pcam": _pooled_map("pcam"),
    "noisy-or": _pooled_map("noisy_or"),
    "top-k and bottom-k": _pooled_map("highest_and_lowest", highest=0.1, lowest=0.1, alpha=0.7),
    "linear softmax": _pooled_map("linear_softmax"),
    "pylon, stride 8": Localizer(
        {
            "decoder": "pylon",
            "output_stride": 8,
            "transition_channels": 64,
            "head": "predict_then_pool",
            "pooling": "max",
        }
    ),
    "average, cutmix": Localizer({"pooling": "average"}, {"cutmix": 0.5}),
    "small ViT, average": Localizer(
        {"backbone": "timm:test_vit", "transition_channels": 0, "pooling": "average"}
    ),
    "small ViT, legrad": Localizer(method="legrad", trained_by="small ViT, average"),
    "lse, hirescam": Localizer(method="hirescam", trained_by="lse"),
    "lse, layer_cam": Localizer(method="layer_cam", trained_by="lse"),
    "lse, grad_cam++": Localizer(method="grad_cam_plus_plus", trained_by="lse"),
}
"""The localizers, by the name of their row."""


def folder_of(out: Path, name: str) -> Path:
    """The folder of a row's files."""
    return out / name.replace(", ", "-").replace(" ", "-").replace("+", "p")


def train(out: Path, name: str, steps: int, images: int, seed: int) -> Path:
    """Train the model of a row, or go on with it; returns its file."""
    folder, own = folder_of(out, name), LEAGUE[name]
    model = folder / "model.safetensors"
    if model.exists():
        return model
    folder.mkdir(parents=True, exist_ok=True)
    network = dict(own.network)
    recipe = {
        "extends": "phantom",
        "title": name,
        "data": {"phantom": {"training_images": images, "validation_images": VALIDATION}},
        "preprocessing": {"size": INPUT_SIZE},
        "network": network,
        "augmentation": dict(own.augmentation),
        "fit": {
            "steps": steps,
            "validate_every": max(1, steps // 4),
            "seed": seed,
            "precision": "fp32",  # many processors emulate bf16, ten times slower
        },
    }
    path = folder / "recipe.toml"
    path.write_text(tomli_w.dumps(recipe), encoding="utf-8")
    command = [sys.executable, "-m", "cxrloc", "train", str(path), "--out", str(folder)]
    command += ["--cache", str(out / "cache"), "--quiet"]
    command += ["--resume"] if (folder / "last.ckpt").exists() else []
    subprocess.run(command, check=True)
    return model


def score(model: Model, method: str, images: int) -> dict[str, Any]:
    """The numbers of one row on fresh phantoms."""
    records = [phantom_record(plan_phantom(TEST_SEED, index), TEST_SIZE) for index in range(images)]
    given = [Image(r.image_id, partial(_radiograph, i)) for i, r in enumerate(records)]
    probabilities: list[np.ndarray] = []

    def watch(results: Any) -> Any:
        for result in results:
            assert isinstance(result, Localized)
            probabilities.append(result.probabilities)
            yield result

    settings = InferenceSettings(device="cpu", batch_size=8, method=method)
    protocol = ScoringProtocol(rules=RULES)
    claims = claims_of_models(records, given, [model], protocol.box_thresholds, settings, watch)
    run = place_run(claims.records, claims.detections, protocol, claims.heatmaps, claims.predicted)
    scored = np.stack(probabilities)
    aucs = [
        auc(np.array([r.labels[finding] is Label.POSITIVE for r in records]), scored[:, column])
        for column, finding in enumerate(model.card.findings)
    ]
    side = model.preprocessing.size
    image = torch.rand(1, len(model.preprocessing.mean), side, side)
    return {
        "auc": float(np.mean([value for value in aucs if value is not None])),
        "images": images,
        "parameters": sum(each.numel() for each in model.network.parameters()),
        "milliseconds": milliseconds(partial(HEATMAPS[method], model.network, image)),
        "numbers": numbers_of(run),
    }


def _radiograph(index: int) -> Radiograph:
    phantom = make_phantom(TEST_SEED, index, TEST_SIZE)
    return Radiograph(phantom.pixels, bits_stored=16, view=phantom.record.view)


def results_of(out: Path) -> dict[str, dict[str, Any]]:
    """The rows that are done, in the order of the league."""
    files = {name: folder_of(out, name) / "score.json" for name in LEAGUE}
    return {name: json.loads(path.read_text()) for name, path in files.items() if path.exists()}


def main() -> None:
    """Train and score the rows that are missing, or show those that are there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--training-images", type=int, default=TRAINING)
    parser.add_argument("--images", type=int, default=500, help="fresh phantoms that are scored")
    parser.add_argument("--seed", type=int, default=1, help="of the training")
    parser.add_argument("--minutes", type=float, default=100.0)
    parser.add_argument("--rows", nargs="*", choices=[*LEAGUE], default=[*LEAGUE])
    parser.add_argument("--table", type=Path)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    if options.table or options.figure:
        results = results_of(options.out)
        if options.table:
            options.table.write_text(table_of(results) + "\n", encoding="utf-8")
        if options.figure:
            draw(results, options.figure)
        return
    ends = time.monotonic() + 60 * options.minutes
    for name in options.rows:
        done = folder_of(options.out, name) / "score.json"
        if done.exists():
            continue
        if time.monotonic() > ends:
            print(f"{name}: left for the next call")
            continue
        origin = LEAGUE[name].trained_by or name
        path = train(options.out, origin, options.steps, options.training_images, options.seed)
        result = score(read_model(path), LEAGUE[name].method, options.images)
        done.parent.mkdir(exist_ok=True)
        write_json(done, result)
        print(table_of({name: result}).splitlines()[2], flush=True)


if __name__ == "__main__":
    main()
