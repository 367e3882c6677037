"""What frozen features say of view, sex and age (Baltruschat et al. 2019, Experiments).

    python benchmarks/accuracy_meta_from_features.py CHESTXRAY14 MODEL [--images 2000]

MODEL is a name from `cxrloc models` or a checkpoint; the paper's is ResNet-50-large trained on
ChestX-ray14. Images are drawn by seed; patients are parted in two halves, one to fit the readers,
one to judge them. The paper's numbers stand beside: another network and all of ChestX-ray14.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np

from cxrloc.datasets import read_dataset
from cxrloc.datasets.splits import draw_patients
from cxrloc.evaluation.meta_probes import meta_from_features
from cxrloc.images.read import read_radiograph
from cxrloc.inference.batches import Failure, Image, InferenceSettings
from cxrloc.inference.predict import pooled_features
from cxrloc.models.weights import read_model

PAPER = {"view": "AUC 0.998", "sex": "AUC 0.944", "age": "9.13 years (7.05)"}


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of ChestX-ray14")
    parser.add_argument("model")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    records = [record for record in read_dataset(arguments.folder) if record.path is not None]
    order = np.random.default_rng(arguments.seed).permutation(len(records))
    records = [records[place] for place in order[: arguments.images]]
    images = [Image(r.image_id, partial(read_radiograph, r.path)) for r in records if r.path]
    done = list(pooled_features(read_model(arguments.model), images, InferenceSettings()))
    read = [not isinstance(each, Failure) for each in done]
    kept = [record for record, fine in zip(records, read, strict=True) if fine]
    features = np.array([each for each, fine in zip(done, read, strict=True) if fine])
    fitted = draw_patients([record.patient_id for record in kept], 0.5, arguments.seed)
    readings = meta_from_features(
        features,
        {
            "view": [record.view for record in kept],
            "sex": [record.sex for record in kept],
            "age": [record.age_years for record in kept],
        },
        np.array([record.patient_id in fitted for record in kept]),
    )
    print("| read off | images | here | paper |\n|---|---|---|---|")
    for each in readings:
        if each.auc is None:
            here = f"{each.mean_error_years:.1f} years ({each.std_error_years:.1f})"
        else:
            here = f"AUC {each.auc:.3f}"
        print(f"| {each.what} | {each.n} | {here} | {PAPER[each.what]} |")


if __name__ == "__main__":
    main()
