"""How far onnxruntime's results are from torch's, and what fewer bits cost.

    python benchmarks/accuracy_onnx.py CHESTXRAY14_FOLDER

Two sets of images: those with experts' boxes, and those of the default model's validation patients.
Nothing is chosen by them. The ranges of 8 bits are measured on images of training patients.
"""

import argparse
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.metrics import roc_auc_score

from cxrloc.datasets.chestxray14 import read_chestxray14
from cxrloc.datasets.image_files import find_image_files_below
from cxrloc.exported.graph import ExportedGraph, grey_levels_only, read_embedded_graph, read_graph
from cxrloc.exported.int8 import to_int8
from cxrloc.exported.onnx_file import onnx_graph, store_half, write_onnx
from cxrloc.images.preprocessing import preprocess
from cxrloc.images.read import read_radiograph
from cxrloc.inference.localize import localize
from cxrloc.inference.localize_graphs import localize_graphs
from cxrloc.inference.localized import Localized
from cxrloc.inference.prepared import Failure, Image, InferenceSettings
from cxrloc.localization.boxes import detections_from_heatmaps
from cxrloc.models.card import card_patient
from cxrloc.models.model import Model
from cxrloc.models.names import DEFAULT_MODEL
from cxrloc.models.weights import read_model
from cxrloc.types import Label, Record

THRESHOLDS = (60.0, 180.0)
RANGES = 200
"""Images of training patients on which the ranges of 8 bits are measured."""

SETTINGS = InferenceSettings(device="cpu", workers=1)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of ChestX-ray14")
    parser.add_argument("--at-most", type=int, default=None, help="images of each set")
    options = parser.parse_args()
    model = read_model(DEFAULT_MODEL)
    sets = image_sets(options.data, model, options.at_most)
    with TemporaryDirectory() as folder:
        graphs = variants(model, Path(folder), sets.pop("training"))
        print("| images | graph | probability | map | boxes | other boxes | farther than 1 px |")
        print("|---|---|---|---|---|---|---|")
        scored = []
        for name, found in sets.items():
            kept = [Image(str(path), partial(read_radiograph, path)) for _, path in found]
            runs = [localize_graphs([graph], kept, SETTINGS) for graph in graphs.values()]
            results = list(zip(localize([model], kept, SETTINGS), *runs, strict=True))
            by_torch = [row[0] for row in results]
            for column, variant in enumerate(graphs, start=1):
                print(
                    f"| {name} | {variant} | {differences(by_torch, [r[column] for r in results])}"
                )
            if name == "validation":
                scored = [("torch", by_torch)]
                scored += [(v, [r[c] for r in results]) for c, v in enumerate(graphs, start=1)]
    truth = [record for record, _ in sets["validation"]]
    print("\n| graph | mean AUC | " + " | ".join(model.card.findings) + " |")
    print("|---" * (2 + len(model.card.findings)) + "|")
    for variant, own in scored:
        values = aucs(truth, own, model.card.findings)
        print(
            f"| {variant} | {np.mean(values):.4f} | "
            + " | ".join(f"{v:.3f}" for v in values)
            + " |"
        )


def image_sets(
    data: Path, model: Model, at_most: int | None
) -> dict[str, list[tuple[Record, Path]]]:
    """Records with their files: with boxes, of validation patients, and of training patients."""
    records = read_chestxray14(data)
    files = find_image_files_below([data / "train_images", data / "train_images_128"])
    held, learned = set(model.card.validation_patients), set(model.card.training_patients)

    def of(patients: set[str]) -> Iterator[tuple[Record, Path]]:
        for record in records:
            if record.image_id in files and card_patient(record.patient_id, True) in patients:
                yield record, files[record.image_id]

    boxed = ((record, record.path) for record in records if record.annotations and record.path)
    return {
        "with boxes": list(islice(boxed, at_most)),
        "validation": list(islice(of(held), at_most)),
        "training": list(islice(of(learned), RANGES)),
    }


def variants(
    model: Model, folder: Path, learned: Sequence[tuple[Record, Path]]
) -> dict[str, ExportedGraph]:
    """The embedded graph, and files with weights in half precision and in 8 bits."""
    preprocessing = grey_levels_only(model.preprocessing)
    greys = (preprocess(read_radiograph(path), preprocessing)[0][0] for _, path in learned)
    write_onnx(to_int8(onnx_graph(model), greys), folder / "int8.onnx")
    half = onnx_graph(model)
    store_half(half)
    write_onnx(half, folder / "half.onnx")
    return {
        "float32": read_embedded_graph(DEFAULT_MODEL),
        "half": read_graph(folder / "half.onnx"),
        "int8": read_graph(folder / "int8.onnx"),
    }


def differences(wanted: Sequence[Localized | Failure], found: Sequence[Localized | Failure]) -> str:
    """The rest of a row: largest differences, and how many boxes differ."""
    raw, maps, boxes, other, far = 0.0, 0.0, 0, 0, 0
    for one, two in zip(wanted, found, strict=True):
        assert isinstance(one, Localized)
        assert isinstance(two, Localized)
        raw = max(raw, float(np.abs(one.probabilities - two.probabilities).max()))
        spread = np.ptp(one.heatmaps.scores, axis=(1, 2), keepdims=True)
        apart = np.abs(one.heatmaps.scores - two.heatmaps.scores) / spread
        maps = max(maps, float(apart.max()))
        for finding in one.heatmaps.findings:
            pair = [
                [
                    (d.threshold, d.box.x_min, d.box.y_min, d.box.x_max, d.box.y_max)
                    for d in detections_from_heatmaps(each.heatmaps, each.probabilities, THRESHOLDS)
                    if d.finding == finding
                ]
                for each in (one, two)
            ]
            boxes += len(pair[0])
            if len(pair[0]) != len(pair[1]):
                other += abs(len(pair[0]) - len(pair[1]))
                continue
            sides = np.abs(np.reshape(pair[0], (-1, 5)) - np.reshape(pair[1], (-1, 5)))
            far += int((sides.max(axis=1, initial=0) > 1).sum())
    return f"{raw:.1e} | {maps:.1e} | {boxes} | {other} | {far} |"


def aucs(
    records: Sequence[Record], results: Sequence[Localized | Failure], findings: Sequence[str]
) -> list[float]:
    """AUC of each finding."""
    scores = np.array([each.probabilities for each in results if isinstance(each, Localized)])
    values = []
    for column, finding in enumerate(findings):
        truth = [record.labels.get(finding) is Label.POSITIVE for record in records]
        values.append(float(roc_auc_score(truth, scores[:, column])))
    return values


if __name__ == "__main__":
    main()
