"""What age, sex and view alone say of the findings (Baltruschat et al. 2019, ChestX-ray14 Dataset).

    python benchmarks/accuracy_metadata.py CHESTXRAY14

A multi-layer perceptron gets the three values and no image; in the paper its mean AUC over the 14
findings is 0.61. The folder needs only the tables of ChestX-ray14. There are five resamplings by
patient (70/10/20), each scored on its test part; the validation part is not used.
Open: the paper does not say what the perceptron is like; here one layer of 32.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cxrloc.datasets import read_as
from cxrloc.datasets.batches import label_matrix
from cxrloc.datasets.splits import SplitConfig, split_records
from cxrloc.evaluation.classification.ranking import auc
from cxrloc.evaluation.published import published
from cxrloc.findings import CHESTXRAY14
from cxrloc.models.meta import meta_values
from cxrloc.types import Record

FOLDS = 5


def areas(train: Sequence[Record], test: Sequence[Record], seed: int) -> np.ndarray:
    """AUC of each finding on the test records."""
    ages = [record.age_years for record in train if record.age_years is not None]
    scale = [min(ages), float(np.median(ages)), max(ages)]
    network = make_pipeline(
        StandardScaler(),
        MLPClassifier(
            (32,),
            batch_size=512,
            learning_rate_init=0.01,
            max_iter=100,
            tol=1e-3,
            random_state=seed,
        ),
    )
    network.fit(meta_values(train, scale).numpy(), label_matrix(train, CHESTXRAY14))
    scores = network.predict_proba(meta_values(test, scale).numpy())
    truth = label_matrix(test, CHESTXRAY14) == 1
    return np.array([auc(truth[:, j], scores[:, j]) for j in range(len(CHESTXRAY14))], dtype=float)


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of ChestX-ray14; its tables are enough")
    records = read_as("chestxray14", parser.parse_args().folder)
    folds = []
    for fold in range(FOLDS):
        parts = split_records(records, SplitConfig("resamplings", fold=fold))
        folds.append(areas(parts.train, parts.test, fold))
    rows = np.array(folds)  # fold finding
    table = published("baltruschat2019:text")
    paper = table.loc[table["setting"] == "MLP on age, gender and view", "value"].item()
    print("| finding | AUC | lowest and highest of 5 |\n|---|---|---|")
    for finding, own in zip((*CHESTXRAY14, "mean"), [*rows.T, rows.mean(axis=1)], strict=True):
        print(f"| {finding} | {own.mean():.3f} | {own.min():.3f} to {own.max():.3f} |")
    print(f"| mean in the paper | {paper:.2f} | |")


if __name__ == "__main__":
    main()
