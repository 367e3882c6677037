"""From a trained network to the model for real radiographs that the package carries.

    cxrloc train nih_small_phantoms --start mobilenet_v2_imagenet.pt --out FIRST
    cxrloc train nih_small --data DIR --start FIRST/model.safetensors --out OUT
    python benchmarks/embed_nih_small.py DIR OUT/model.safetensors --to FILE

The network gets a finer grid and centred features, and only the outputs of findings that experts
have boxed. Operating points are chosen on the images that were not used for training.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from cxrloc.datasets.chestxray14 import read_chestxray14
from cxrloc.datasets.image_files import find_image_files_below
from cxrloc.evaluation.classification.operating_points import choose_operating_point
from cxrloc.findings import CHESTXRAY8
from cxrloc.images.preprocessing import Preprocessing, preprocess
from cxrloc.images.read import read_radiograph
from cxrloc.models.card import card_patient
from cxrloc.models.centring import centre
from cxrloc.models.localizer import Localizer
from cxrloc.models.model import Model
from cxrloc.models.weights import read_model, write_model
from cxrloc.types import Label, Record

NAME = "nih-small-v4"
CENTRING_IMAGES = 1000
LIMITS = (
    "Research demo: not for diagnosis. Boxes miss those of experts more often than they meet them, "
    "and small findings almost always. Probabilities are far higher than how often a finding "
    "occurs, since training balanced both. Labels were read from reports by a program."
)
LICENCE = "Apache-2.0; NIH asks for a link to its images, the citation and an acknowledgement"
TRAINED_ON = (
    "{images} frontal images of ChestX-ray14, official train_val list, nobody with an expert's box "
    "(with thanks to the NIH Clinical Center, https://nihcc.app.box.com/v/ChestXray-NIHCC; "
    "Wang et al., CVPR 2017)"
)


def at_stride(model: Model, stride: int) -> Localizer:
    """A network with the same weights and a finer or coarser grid of features."""
    assert model.config is not None
    network = Localizer(replace(model.config, output_stride=stride)).eval()
    network.load_state_dict(model.network.state_dict())
    return network


def embed(model: Model, stride: int, data: Path, path: Path) -> None:
    """Write the model of the package: finer grid, centred features, and only the boxed findings.

    The other six findings were used for training only: too few held-out images have them to choose
    an operating point.
    """
    paths = find_image_files_below([data / "train_images", data / "train_images_128"])
    patients = set(model.card.training_patients)
    trained: list[Record] = []
    held_out: list[Record] = []
    for record in read_chestxray14(data):
        if record.image_id in paths:
            known = card_patient(record.patient_id, public=True) in patients
            (trained if known else held_out).append(record)
    network = with_findings(at_stride(model, stride), CHESTXRAY8)
    every = max(1, len(trained) // CENTRING_IMAGES)
    network = centre(network, blocks(trained[::every], paths, model.preprocessing))
    with torch.no_grad():
        parts = [network(block)[0] for block in blocks(held_out, paths, model.preprocessing)]
    probabilities = torch.cat(parts).sigmoid().double().numpy()
    points, areas = {}, {}
    for finding, truth, column in zip(
        CHESTXRAY8, labels_of(held_out, CHESTXRAY8).T, probabilities.T, strict=True
    ):
        point = choose_operating_point(truth, column)
        assert point is not None
        points[finding] = point.threshold
        areas[finding] = float(roc_auc_score(truth, column))
        print(f"{finding}: AUC {areas[finding]:.3f}, operating at {point.threshold}")
    _, *started = model.card.trained_on.partition(", started from ")
    card = replace(
        model.card,
        name=NAME,
        findings=CHESTXRAY8,
        operating_points=points,
        auc=areas,
        validation_patients=tuple(
            sorted({card_patient(r.patient_id, public=True) for r in held_out})
        ),
        limits=LIMITS,
        licence=LICENCE,
        trained_on=TRAINED_ON.format(images=f"{len(trained):,}") + "".join(started),
        training_images=len(trained),
        training_patients=tuple(sorted({card_patient(r.patient_id, public=True) for r in trained})),
        distance=None,  # of other features; `outside.py` fits that of these
    )
    write_model(path, network, model.preprocessing, card)


def with_findings(network: Localizer, findings: tuple[str, ...]) -> Localizer:
    """The network with only the outputs of these findings."""
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
    """Yields the network inputs of these images, 32 images at a time."""
    for start in range(0, len(records), 32):
        yield inputs(records[start : start + 32], paths, preprocessing)


def inputs(
    records: Sequence[Record], paths: dict[str, Path], preprocessing: Preprocessing
) -> torch.Tensor:
    """The network inputs of these images."""
    arrays = [
        preprocess(read_radiograph(paths[record.image_id]), preprocessing)[0] for record in records
    ]
    return torch.from_numpy(np.stack(arrays))


def labels_of(records: Iterable[Record], findings: Sequence[str]) -> np.ndarray:
    """Matrix of labels: 1 if a finding is present, else 0."""
    rows = [[record.labels[name] is Label.POSITIVE for name in findings] for record in records]
    return np.array(rows)


def main() -> None:
    """Write the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of ChestX-ray14")
    parser.add_argument("model", type=Path, help="what `cxrloc train nih_small` wrote")
    parser.add_argument("--stride", type=int, default=16, help="pixels per cell")
    parser.add_argument("--to", type=Path, default=Path(f"{NAME}.safetensors"))
    options = parser.parse_args()
    embed(read_model(options.model), options.stride, options.data, options.to)


if __name__ == "__main__":
    main()
