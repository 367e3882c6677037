"""Weak localizers on frozen features of real radiographs, compared without an expert's box.

    python benchmarks/league_radiographs.py DIR OUT [--images 800] [--epochs 8] [--seed 1]
    python benchmarks/league_radiographs.py DIR OUT --table FILE --figure FILE

DIR is the folder of ChestX-ray14. The features are those of nih-small-v4 (20 x 20 cells, centred),
computed once for some 320 px images of its training patients, half of which have a finding. Every
row of `LEAGUE` that has a head of its own is trained on these features, all in the same pass: same
images, order, steps and loss. In training, heads see the means of 2 x 2 cells, because nih-small-v4
too was trained on a grid of 10 x 10 cells and is used on one of 20 x 20.

The rows are scored on the 320 px images of a fold that the model was not trained on, its validation
patients: AUC; boxes of lesions that are drawn into those of their radiographs that have no finding;
and how little the maps change when a radiograph is mirrored or shifted. The validation patients
chose no weight of nih-small-v4; they chose its operating points, calibration and box thresholds.

Features take 1 MB per image in OUT, and a file that is there is not computed again; neither are
finished heads (OUT/heads.pt) and finished rows (OUT/ROW.json). Other images, epochs or seeds need
another OUT. With --table and --figure nothing is computed; the rows that are there are shown.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from box_thresholds import drawn
from embed_nih_small import labels_of
from league_heads import LEAGUE, MODEL, Head, as_features, heads_of, train
from league_scores import RULES, draw, milliseconds, numbers_of, table_of
from torch import Tensor

from cxrloc.datasets.chestxray14 import read_chestxray14
from cxrloc.datasets.image_files import find_image_files_below
from cxrloc.evaluation.classification.auc_intervals import (
    rank_by_patient,
    resampled_rank_statistics,
)
from cxrloc.evaluation.localization.placed_run import PlacedRun, ScoringProtocol, place_run
from cxrloc.evaluation.resampling import Resampling, bootstrap
from cxrloc.evaluation.trust.map_stability import map_rank_correlation, on_grid, shifted
from cxrloc.files.whole import write_json
from cxrloc.images.preprocessing import preprocess
from cxrloc.images.read import read_radiograph
from cxrloc.inference.localized import cell_affine
from cxrloc.localization.boxes import detections_from_heatmaps
from cxrloc.localization.heatmaps import HEATMAPS
from cxrloc.models.card import card_patient
from cxrloc.models.model import Model
from cxrloc.models.weights import read_model
from cxrloc.types import Affine, Heatmaps, Label, Radiograph, Record

SHIFT = 6  # pixels, 2 % of the side
CHANGED = 60  # images that are mirrored and shifted

Sample = tuple[Record, Radiograph]


class Scored(NamedTuple):
    """What all rows are scored on: features, with the channels last, and their records."""

    validation: np.ndarray
    validation_records: Sequence[Record]
    drawn: np.ndarray
    drawn_records: Sequence[Record]
    mirrored: np.ndarray
    moved: np.ndarray


def records_of(data: Path, patients: Sequence[str], folders: Sequence[str]) -> list[Record]:
    """The records of these patients, with the paths of their images in these folders."""
    paths = find_image_files_below([data / folder for folder in folders])
    listed = set(patients)
    return [
        replace(record, path=paths[record.image_id])
        for record in read_chestxray14(data)
        if record.image_id in paths and card_patient(record.patient_id, public=True) in listed
    ]


def radiographs(records: Sequence[Record]) -> Iterator[Radiograph]:
    """The radiographs of these records."""
    for record in records:
        assert record.path is not None
        yield read_radiograph(record.path)


def inputs(model: Model, given: Iterator[Radiograph], change: str = "") -> Iterator[Tensor]:
    """The network's input of each radiograph, changed before its grey levels are standardised."""
    for radiograph in given:
        pixels = torch.from_numpy(radiograph.pixels)[None]
        if change == "mirrored":
            pixels = pixels.flip(2)
        if change == "moved":
            pixels = shifted(pixels, SHIFT, 0)
        changed = replace(radiograph, pixels=pixels[0].numpy())
        yield torch.from_numpy(preprocess(changed, model.preprocessing)[0])


def features_in(path: Path, model: Model, images: Iterator[Tensor]) -> np.ndarray:
    """Features as (image, row, column, depth), read from the file or computed and written."""
    if not path.exists():
        found = []
        with torch.inference_mode():
            for image in images:
                batch = image[None].contiguous(memory_format=torch.channels_last)
                features = model.network(batch)[1][0]
                found.append(features.movedim(0, 2).half().numpy())
        unfinished = path.with_suffix(".part.npy")
        np.save(unfinished, np.stack(found))
        unfinished.replace(path)
        print(f"{path.name}: {len(found)} images", flush=True)
    return np.load(path, mmap_mode="r")


def maps_of(head: Head, method: str, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits and maps of all findings."""
    logits, maps = [], []
    for start in range(0, len(features), 16):
        block = as_features(features[start : start + 16])
        own = HEATMAPS[method](head, block)
        logits.append(own[0].detach().numpy())
        maps.append(own[1].detach().numpy())
    return np.concatenate(logits), np.concatenate(maps)


def score(head: Head, method: str, model: Model, scored: Scored) -> dict[str, Any]:
    """The numbers of one row."""
    logits, maps = maps_of(head, method, scored.validation)
    area = auc_of(scored.validation_records, model.card.findings, logits)
    trunk, old = model.network, model.network.get_submodule("prediction")
    parameters = [sum(value.numel() for value in part.parameters()) for part in (trunk, old, head)]
    image = torch.rand(1, 3, model.preprocessing.size, model.preprocessing.size)
    features, cells = as_features(scored.drawn[:1]), cells_of(model, maps)
    return {
        "auc": area[0],
        "images": len(scored.validation_records),
        "lesions": len(scored.drawn_records),
        "parameters": parameters[0] - parameters[1] + parameters[2],
        "milliseconds": milliseconds(partial(trunk, image))
        + milliseconds(partial(HEATMAPS[method], head, features)),
        "numbers": {
            **numbers_of(run_on_lesions(head, method, model, scored)),
            "auc": area,
            "mirrored": agreement(maps, maps_of(head, method, scored.mirrored)[1], cells, "mirror"),
            "shifted": agreement(maps, maps_of(head, method, scored.moved)[1], cells, "shift"),
        },
    }


def run_on_lesions(head: Head, method: str, model: Model, scored: Scored) -> PlacedRun:
    """The boxes and maps of the drawn lesions, placed for scoring."""
    findings, side = model.card.findings, model.preprocessing.size
    logits, maps = maps_of(head, method, scored.drawn)
    heatmaps = [
        Heatmaps(record.image_id, findings, own, cells_of(model, maps), side, side)
        for record, own in zip(scored.drawn_records, maps, strict=True)
    ]
    protocol = ScoringProtocol(rules=RULES, draws=5)
    probabilities = torch.from_numpy(logits).sigmoid().double().numpy()
    detections = [
        detection
        for each, own in zip(heatmaps, probabilities, strict=True)
        for detection in detections_from_heatmaps(each, own.tolist(), protocol.box_thresholds)
    ]
    return place_run(scored.drawn_records, detections, protocol, heatmaps)


def cells_of(model: Model, maps: np.ndarray) -> Affine:
    """The place of the maps' cells in an image of the size of the network's input."""
    side, shift = model.preprocessing.size, float(getattr(model.network, "cell_shift_pixels", 0.0))
    return cell_affine((1, 1, side, side), maps.shape, shift)


def auc_of(
    records: Sequence[Record], findings: Sequence[str], logits: np.ndarray
) -> list[float | None]:
    """Mean AUC over the findings, with its interval by patients."""
    truth = labels_of(records, findings)
    known = truth.any(axis=0)  # without a positive image a finding has no AUC
    truth, logits = truth[:, known], logits[:, known]
    names, patient = np.unique([record.patient_id for record in records], return_inverse=True)
    rankings = [
        rank_by_patient(one, scores, patient, names.size)
        for one, scores in zip(truth.T, logits.T, strict=True)
    ]
    carries = np.zeros((names.size, truth.shape[1]), dtype=bool)
    np.logical_or.at(carries, patient, truth)

    def mean(counts: np.ndarray) -> np.ndarray:
        return np.mean([resampled_rank_statistics(r, counts)[0] for r in rankings], 0)[None]

    found = bootstrap(mean, carries, Resampling())
    return [float(each[0]) for each in (found.estimate, found.low, found.high)]


def agreement(
    maps: np.ndarray, others: np.ndarray, cells: Affine, change: str
) -> list[float | None]:
    """Mean rank correlation of the maps with those of the changed images, brought back."""
    side = cells.xx * maps.shape[-1]
    back = Affine(xx=-1.0, x0=side) if change == "mirror" else Affine(x0=-float(SHIFT))
    to_image = Affine(
        xx=back.xx * cells.xx, x0=back.xx * cells.x0 + back.x0, yy=cells.yy, y0=cells.y0
    )
    # Only the first images are changed.
    found = [
        map_rank_correlation(own, on_grid(other, to_image, cells, own.shape))
        for image, changed in zip(maps, others, strict=False)
        for own, other in zip(image, changed, strict=True)
    ]
    return [float(np.mean([value for value in found if value is not None])), None, None]


def scored_on(data: Path, out: Path, model: Model) -> Scored:
    """The features and records that all rows are scored on."""
    card = model.card
    records = records_of(data, card.validation_patients, ["train_images"])
    few = records[:CHANGED]
    lesions = [*drawn(data, card)]
    features = partial(features_in, model=model)
    return Scored(
        features(out / "validation.npy", images=inputs(model, radiographs(records))),
        records,
        features(out / "drawn.npy", images=inputs(model, (image for _, image in lesions))),
        [record for record, _ in lesions],
        features(out / "mirrored.npy", images=inputs(model, radiographs(few), "mirrored")),
        features(out / "moved.npy", images=inputs(model, radiographs(few), "moved")),
    )


def half_with_findings(records: Sequence[Record], count: int, seed: int) -> list[Record]:
    """At most this number of records, drawn at random, half of which have a finding."""
    rng = np.random.default_rng(seed)
    present = np.array([Label.POSITIVE in record.labels.values() for record in records])
    chosen = [
        rng.permutation(np.flatnonzero(present == has_finding))[: count // 2]
        for has_finding in (True, False)
    ]
    return [records[index] for index in np.sort(np.concatenate(chosen))]


def trained_heads(
    data: Path, out: Path, model: Model, options: argparse.Namespace
) -> dict[str, Head]:
    """The heads of all rows, read from OUT/heads.pt or trained and written there."""
    every = records_of(data, model.card.training_patients, ["train_images"])
    records = half_with_findings(every, options.images, options.seed)
    images = inputs(model, radiographs(records))
    features = features_in(out / "training.npy", model, images)
    own = [name for name, row in LEAGUE.items() if not row.trained_by and name != MODEL]
    heads, path = heads_of(model, features, own), out / "heads.pt"
    if path.exists():
        for name, state in torch.load(path, weights_only=True).items():
            heads[name].load_state_dict(state)
    else:
        started = time.process_time()
        labels = labels_of(records, model.card.findings)
        train(heads, features, labels, options.epochs, options.seed)
        print(f"{len(heads)} heads: {time.process_time() - started:.0f} s of CPU time")
        torch.save({name: head.state_dict() for name, head in heads.items()}, path)
    heads |= heads_of(model, features, [MODEL])
    heads[MODEL].prediction.load_state_dict(model.network.get_submodule("prediction").state_dict())
    return heads


def _file_name(row: str) -> str:
    """The name of a row without commas and spaces."""
    return row.replace(", ", "-").replace(" ", "-")


def main() -> None:
    """Train and score what is missing, or show the rows that are there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of ChestX-ray14")
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=int, default=800, help="that the heads are trained on")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1, help="of the images and their order")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    files = {name: options.out / f"{_file_name(name)}.json" for name in LEAGUE}
    if not (options.table or options.figure):
        options.out.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(1)
        model = read_model(MODEL)
        model.network.to(memory_format=torch.channels_last)  # faster on a CPU
        heads = trained_heads(options.data, options.out, model, options)
        scored = scored_on(options.data, options.out, model)
        for name, row in LEAGUE.items():
            if not files[name].exists():
                head = heads[row.trained_by or name].eval()
                result = score(head, row.method, model, scored)
                write_json(files[name], result)
                print(table_of({name: result}).splitlines()[2], flush=True)
        return
    results = {name: json.loads(path.read_text()) for name, path in files.items() if path.exists()}
    if options.table:
        options.table.write_text(table_of(results) + "\n", encoding="utf-8")
    if options.figure:
        draw(results, options.figure)


if __name__ == "__main__":
    main()
