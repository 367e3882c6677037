"""Weak localizers on the cached features of one backbone, scored on equal terms with controls.

    python benchmarks/league.py OUT                  phantoms, features of phantom-v1
    python benchmarks/league.py OUT --data DIR       radiographs, features of nih-small-v4
    python benchmarks/league.py OUT [--data DIR] --seeds 2 3 --rows ROW ROW ROW
    python benchmarks/league.py OUT [--data DIR] --tables FILE --figure FILE

DIR is the folder of ChestX-ray14. Every row of `league_heads.LEAGUE` that has a head of its own is
trained on the same images, in the same order, by the same loss; the other rows explain these heads
by gradients. The model's own head stands beside them as a reference. Each row is scored on images
that its head was not trained on: AUC; boxes by the two-threshold rule beside controls; and how
little the maps change when an image is mirrored or shifted.

Phantoms are scored on fresh ones with exact boxes. Radiographs are scored in five folds
(`league_images.py`), with boxes of lesions that are drawn into radiographs without findings; no
image with an expert's box has a part. In training, heads see the means of 2 x 2 cells of
nih-small-v4's features, because that model too was trained on a grid of 10 x 10 cells and is used
on one of 20 x 20. The two rows with layers before their head (`league_encoders.py`) see all cells,
and are trained in a pass of their own over the same images in the same order.

Features, heads and finished rows are in a folder of OUT for each model, and are not computed again.
They are of one choice of training images and epochs (`settings.json`); another choice is refused
and needs another OUT. With --tables or --figure nothing is computed; the rows that are there are
shown: of the first fold and seed, then means and differences over all.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from itertools import islice, product
from pathlib import Path

import numpy as np
import torch
from embed_nih_small import labels_of
from league_heads import LEAGUE, OWN, Head, head_of, new_head, own_head, train
from league_images import (
    FOLDS,
    PHANTOM_FOLD,
    TRAINING,
    Fold,
    ImageSet,
    Part,
    features_of,
    phantoms,
    radiographs,
)
from league_scores import Scored, milliseconds, score
from league_tables import Run, draw, results_of, rows_tables, spread_table

from cxrloc.files.whole import whole_file, write_json
from cxrloc.models.model import Model
from cxrloc.models.weights import read_model

PHANTOM_MODEL, RADIOGRAPH_MODEL = "phantom-v1", "nih-small-v4"
CHANGED = 60  # images that are mirrored and shifted


def scored_on(folder: Path, model: Model, fold: Fold, levels: bool) -> Scored:
    """The features and records that the rows of a fold are scored on."""
    features = partial(features_of, folder, model, levels=levels)
    ranked = fold.ranked
    few = ImageSet("", ranked.records[:CHANGED], lambda: islice(ranked.radiographs(), CHANGED))
    return Scored(
        features(ranked),
        ranked.records,
        features(fold.boxed),
        fold.boxed.records,
        features(few, change="mirrored"),
        features(few, change="shifted"),
    )


def trained_heads(
    run: Run,
    model: Model,
    part: Part,
    fold: Fold,
    rows: Sequence[str],
    options: argparse.Namespace,
    levels: bool,
) -> dict[str, Head]:
    """The heads behind these rows, read from a file or trained and written."""
    names = {head_of(name) for name in rows} - {OWN}
    path = run.fold / f"seed-{run.seed}" / "heads.pt"
    known = torch.load(path, weights_only=True) if path.exists() else {}
    heads = {name: new_head(model, name, run.seed) for name in LEAGUE if name in names}
    missing = {name: head for name, head in heads.items() if name not in known}
    for name in heads.keys() - missing.keys():
        heads[name].load_state_dict(known[name])
    if missing:
        coarser = 1 if levels else part.coarser
        features = features_of(options.out, model, part.training, coarser, levels=levels)
        started = time.process_time()
        records = [part.training.records[row] for row in fold.training]
        labels = labels_of(records, model.card.findings)
        train(missing, features[fold.training], labels, options.epochs, run.seed)
        print(f"{len(missing)} heads: {time.process_time() - started:.0f} s of CPU time")
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as unfinished:
            known |= {name: head.state_dict() for name, head in missing.items()}
            torch.save(known, unfinished)
    return {name: head.eval() for name, head in heads.items()} | {OWN: own_head(model)}


def run_fold(name: str, model: Model, part: Part, options: argparse.Namespace) -> None:
    """Train and score the rows of a fold that are missing, for every seed."""
    fold, folder, trunk = part.folds[name](), options.out / name, trunk_milliseconds(model)
    groups = {levels: rows_with(options.rows, levels) for levels in (False, True)}
    for levels, seed in product(groups, options.seeds):
        if not (rows := groups[levels]):
            continue
        run, scored = Run(folder, seed), scored_on(folder, model, fold, levels)
        heads = trained_heads(run, model, part, fold, rows, options, levels)
        for row in rows:
            path = run.path_of(row)
            if path.exists():
                continue
            result, reached = score(heads[head_of(row)], LEAGUE[row].method, model, scored)
            result["milliseconds"] += trunk
            np.savez(path.with_suffix(".npz"), **reached)
            write_json(path, result)
            margin = result["numbers"]["own - permuted iobb > 0.25"][0]
            print(f"{name}, seed {seed}, {row}: own - permuted {margin:+.3f}", flush=True)


def rows_with(rows: Sequence[str], levels: bool) -> list[str]:
    """Those of these rows that have an encoder, or, without `levels`, those that have none.

    Encoders get the features of two strides.
    """
    return [row for row in rows if bool(LEAGUE[row].encoder) == levels]


def trunk_milliseconds(model: Model) -> float:
    """The time that the network takes for an image."""
    side = model.preprocessing.size
    image = torch.rand(1, len(model.preprocessing.mean), side, side)
    with torch.inference_mode():
        return milliseconds(partial(model.network, image))


def refuse_other_settings(part: Part, options: argparse.Namespace) -> None:
    """Exit if the folder was filled with other training images or epochs; note those of a new one.

    The rows of a draw index the cached features, so features of another draw would be mixed up.
    """
    names = [record.image_id for record in part.training.records]
    settings = {
        "epochs": options.epochs,
        "training images": len(names),
        "their names, sha256": sha256("\n".join(names).encode()).hexdigest()[:12],
    }
    path = options.out / "settings.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, settings)
    known = json.loads(path.read_text())
    if known != settings:
        sys.exit(f"{path} has {known}, but this run has {settings}: choose another OUT")


def show(folds: Sequence[str], options: argparse.Namespace) -> None:
    """Write the tables and the figure of the first run that is there, and the spread over all."""
    asked = [Run(options.out / fold, seed) for fold in folds for seed in options.seeds]
    runs = [run for run in asked if results_of(run)]
    if not runs:
        sys.exit(f"{options.out}: no row of these folds and seeds is finished")
    fold, seed = runs[0]
    results = results_of(runs[0])
    if options.tables:
        first = [run for run in runs if run.fold == fold]
        tables = [
            f"Fold {fold.name}, seed {seed}: accuracies, then other numbers.",
            rows_tables(results),
            "All folds and seeds that are there.",
            spread_table(runs),
        ]
        if len(first) < len(runs):
            tables += [f"Fold {fold.name}, all seeds that are there.", spread_table(first)]
        options.tables.write_text("\n\n".join(tables) + "\n", encoding="utf-8")
    if options.figure:
        draw(results, options.figure)


def main() -> None:
    """Train and score what is missing, or show the rows that are there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, help="folder of ChestX-ray14; without it: phantoms")
    parser.add_argument("--folds", nargs="+", choices=FOLDS, default=FOLDS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1], help="of the training")
    parser.add_argument("--rows", nargs="+", choices=[*LEAGUE], default=[*LEAGUE])
    parser.add_argument("--training", type=int, default=TRAINING, help="images to train on")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--tables", type=Path)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    folds = options.folds if options.data else [PHANTOM_FOLD]
    name = RADIOGRAPH_MODEL if options.data else PHANTOM_MODEL
    options.out /= name  # the parts have files of equal names
    if options.tables or options.figure:
        show(folds, options)
        return
    torch.set_num_threads(1)
    model = read_model(name)
    model.network.to(memory_format=torch.channels_last)  # faster on a CPU
    size = options.training
    part = radiographs(options.data, model, size) if options.data else phantoms(model, size)
    refuse_other_settings(part, options)
    for fold in folds:
        run_fold(fold, model, part, options)


if __name__ == "__main__":
    main()
