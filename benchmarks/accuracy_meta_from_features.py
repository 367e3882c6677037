"""What frozen features say of view, sex and age (Baltruschat et al. 2019, Experiments).

    python benchmarks/accuracy_meta_from_features.py CHESTXRAY14 MODEL [--images 2000]

MODEL is a name from `cxrloc models` or a checkpoint; the paper uses ResNet-50-large trained on
ChestX-ray14. Images are drawn by seed from those on this disk. As in the paper, there are five
resamplings by patient. The predictors of view, sex and age are fitted to the training and
validation parts and scored on the test part. The table also shows the paper's numbers, which are of
another network and of all images of ChestX-ray14.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from cxrloc.datasets.chestxray14 import read_chestxray14
from cxrloc.datasets.image_files import find_image_files_below
from cxrloc.datasets.splits import SplitConfig, split_records
from cxrloc.evaluation.meta_probes import Reading, meta_from_features
from cxrloc.images.read import read_radiograph
from cxrloc.inference.predict import pooled_features
from cxrloc.inference.prepared import Failure, Image, InferenceSettings
from cxrloc.models.weights import read_model
from cxrloc.types import Record

FOLDS = 5
ROWS = (
    ("view", "auc", "AUC", "0.998 (0.000)"),
    ("view", "sensitivity", "sensitivity", "0.993"),
    ("view", "specificity", "specificity", "0.991"),
    ("sex", "auc", "AUC", "0.944 (0.007)"),
    ("sex", "sensitivity", "sensitivity", "0.878"),
    ("sex", "specificity", "specificity", "0.859"),
    ("age", "mean_error_years", "mean absolute error, years", "9.13"),
    ("age", "std_error_years", "its standard deviation within a part, years", "7.05"),
)
"""What is predicted, the field of `Reading`, the metric's name, and the paper's number."""


def readings(records: Sequence[Record], features: np.ndarray, fold: int) -> dict[str, Reading]:
    """How well view, sex and age are predicted from the features of a fold's test part, by name."""
    test = split_records(records, SplitConfig("resamplings", fold=fold)).test
    judged = {record.image_id for record in test}
    subjects = {
        "view": [record.view for record in records],
        "sex": [record.sex for record in records],
        "age": [record.age_years for record in records],
    }
    training = np.array([record.image_id not in judged for record in records])
    return {each.what: each for each in meta_from_features(features, subjects, training)}


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of ChestX-ray14")
    parser.add_argument("model")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    paths = find_image_files_below([options.folder])
    records = [
        replace(record, path=paths[record.image_id])
        for record in read_chestxray14(options.folder)
        if record.image_id in paths
    ]
    order = np.random.default_rng(options.seed).permutation(len(records))
    records = [records[place] for place in order[: options.images]]
    images = [Image(r.image_id, partial(read_radiograph, r.path)) for r in records if r.path]
    done = list(pooled_features(read_model(options.model), images, InferenceSettings()))
    read = [(r, f) for r, f in zip(records, done, strict=True) if not isinstance(f, Failure)]
    kept, features = [r for r, _ in read], np.array([f for _, f in read])
    folds = [readings(kept, features, fold) for fold in range(FOLDS)]
    print(f"{len(kept)} images of {len({r.patient_id for r in kept})} patients.\n")
    print("| read off | | mean (deviation) of five | paper |\n|---|---|---|---|")
    for what, field, name, paper in ROWS:
        values = [getattr(fold[what], field) for fold in folds]
        here = f"{np.mean(values):.3f} ({np.std(values, ddof=1):.3f})"
        print(f"| {what} | {name} | {here} | {paper} |")


if __name__ == "__main__":
    main()
