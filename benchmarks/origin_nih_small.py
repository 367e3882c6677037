"""Does the model for real radiographs live on where the copies of its images came from?

    python benchmarks/origin_nih_small.py DIR --imagenet mobilenet_v2_imagenet.pt

Both checks use images that were not used for training. The first check is how well a logistic
regression predicts their origin (`train_images.csv`) from the model's pooled features, from its
logits, and from ImageNet's frozen features (five folds of patients). The second check is the AUC
within single origins, for pairs of origin and finding with at least five images of either class.
"""

import argparse
import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from embed_nih_small import NAME, blocks, labels_of
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cxrloc.datasets.chestxray14 import read_chestxray14
from cxrloc.datasets.image_files import find_image_files_below
from cxrloc.findings import CHESTXRAY8
from cxrloc.models.card import card_patient
from cxrloc.models.imagenet import start_from_imagenet
from cxrloc.models.localizer import Localizer
from cxrloc.models.weights import read_model


def main() -> None:
    """Print the results of both checks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of ChestX-ray14")
    parser.add_argument("--imagenet", type=Path, required=True, help="MobileNetV2's weights")
    parser.add_argument("--model", default=NAME)
    options = parser.parse_args()
    model = read_model(options.model)
    assert isinstance(model.network, Localizer)
    with (options.data / "train_images.csv").open(newline="") as file:
        origin_of = {Path(row["image"]).stem: row["origin"] for row in csv.DictReader(file)}
    paths = find_image_files_below([options.data / "train_images"])
    trained = set(model.card.training_patients)
    records = [
        record
        for record in read_chestxray14(options.data)
        if record.image_id in paths and card_patient(record.patient_id, public=True) not in trained
    ]
    frozen = Localizer(replace(model.network.config, centred_cells=0)).eval()
    with torch.no_grad():
        start_from_imagenet(frozen, options.imagenet)
    seen: dict[str, list[np.ndarray]] = {"pooled features": [], "logits": [], "ImageNet's": []}
    with torch.no_grad():
        for block in blocks(records, paths, model.preprocessing):
            logits, features = model.network(block)
            seen["pooled features"].append(model.network.pool(features).numpy())
            seen["logits"].append(logits.numpy())
            seen["ImageNet's"].append(frozen.pool(frozen(block)[1]).numpy())
    origins = np.array([origin_of[Path(record.image_id).stem] for record in records])
    patients = np.array([record.patient_id for record in records])
    commonest = Counter(origins.tolist()).most_common(1)[0][1] / len(origins)
    print(f"{len(records)} images, {len(set(origins))} origins, the commonest {commonest:.2f}")
    for name, parts in seen.items():
        regression = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
        told = cross_val_predict(
            regression, np.concatenate(parts), origins, groups=patients, cv=GroupKFold(5)
        )
        print(f"origin told from {name}: {accuracy_score(origins, told):.2f}")
    truth, scores = labels_of(records, CHESTXRAY8), np.concatenate(seen["logits"])
    columns = [model.card.findings.index(name) for name in CHESTXRAY8]
    everywhere, within = [], []
    for column, labels in zip(columns, truth.T, strict=True):
        everywhere.append(roc_auc_score(labels, scores[:, column]))
        for origin in sorted(set(origins)):
            own = origins == origin
            if 5 <= labels[own].sum() <= own.sum() - 5:
                within.append(roc_auc_score(labels[own], scores[own, column]))
    print(f"AUC over all origins {np.mean(everywhere):.3f}")
    print(f"AUC within an origin {np.mean(within):.3f} (mean of {len(within)} pairs)")


if __name__ == "__main__":
    main()
