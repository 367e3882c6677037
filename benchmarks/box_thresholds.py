"""Choose the thresholds of the box rule "one-box" for a model, and write the model with them.

    python benchmarks/box_thresholds.py phantom-v1 --to FILE
    python benchmarks/box_thresholds.py nih-small-v4 --data CHESTXRAY14_FOLDER --to FILE

For each finding, the threshold is the grey level at which the largest box of a map has the highest
mean IoU with the truth. No image with an expert's box is used: without --data the images are
phantoms of a series of their own; with --data they are radiographs without findings of validation
patients in the model's card, into which lesions are drawn. A finding that is not drawn takes the
level that is best over all others. The weights of the network do not change. `cxrloc train` chooses
the thresholds of its models in the same way; this script is for models that have none.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from cxrloc.datasets.chestxray14 import read_chestxray14
from cxrloc.datasets.image_files import find_image_files_below
from cxrloc.evaluation.localization.box_selection import selected_iou
from cxrloc.evaluation.localization.mask_overlap import LEVELS
from cxrloc.evaluation.localization.placed_run import ScoringProtocol, place_run
from cxrloc.evaluation.localization.scored_pairs import place_of
from cxrloc.evaluation.resampling import Resampling
from cxrloc.images.read import read_radiograph
from cxrloc.inference.localize import localize
from cxrloc.inference.localized import Localized
from cxrloc.inference.prepared import Image, InferenceSettings
from cxrloc.models.card import ModelCard, card_patient
from cxrloc.models.weights import read_model, write_model
from cxrloc.phantom import make_phantom
from cxrloc.phantom.drawn_lesions import LESIONS, draw_lesion, record_with
from cxrloc.training.box_thresholds import chosen_levels
from cxrloc.types import Label, Radiograph, Record

PHANTOM_SEED, PHANTOMS, SIDE = 3101, 600, 320
LESIONS_PER_FINDING = 50

Sample = tuple[Record, Radiograph]


def phantoms() -> Iterator[Sample]:
    """Phantoms that have a lesion, and their boxes."""
    for index in range(PHANTOMS):
        phantom = make_phantom(PHANTOM_SEED, index, SIDE)
        if phantom.record.annotations:
            yield phantom.record, Radiograph(phantom.pixels, bits_stored=16)


def validation_records(data: Path, card: ModelCard) -> list[Record]:
    """The 320 px images of the card's validation patients."""
    paths = find_image_files_below([data / "train_images"])
    listed = set(card.validation_patients)
    return [
        replace(record, path=paths[record.image_id])
        for record in read_chestxray14(data)
        if record.image_id in paths and card_patient(record.patient_id, public=True) in listed
    ]


def drawn(records: Sequence[Record]) -> Iterator[Sample]:
    """Those of these radiographs that have no finding, each with a drawn lesion."""
    normals = [record for record in records if Label.POSITIVE not in record.labels.values()]
    rng = np.random.default_rng(7)
    print(f"{len(normals)} radiographs without findings")
    for finding in LESIONS:
        for index in rng.choice(len(normals), LESIONS_PER_FINDING, replace=False).tolist():
            record = normals[index]
            assert record.path is not None
            lesion = draw_lesion(finding, read_radiograph(record.path).pixels, rng)
            yield record_with(lesion, record), Radiograph(lesion.pixels, bits_stored=8)


def main() -> None:
    """Print the thresholds and what they reach, and write the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name or file")
    parser.add_argument("--data", type=Path, help="folder of ChestX-ray14; without it: phantoms")
    parser.add_argument("--to", type=Path, required=True)
    options = parser.parse_args()
    model = read_model(options.model)
    torch.set_num_threads(1)
    real = drawn(validation_records(options.data, model.card)) if options.data else None
    samples = [*(real or phantoms())]
    images = [Image(record.image_id, _given(pixels)) for record, pixels in samples]
    results = [*localize([model], images, InferenceSettings(device="cpu", batch_size=16))]
    heatmaps = [result.heatmaps for result in results if isinstance(result, Localized)]
    records = [record for record, _ in samples]
    run = place_run(records, (), ScoringProtocol(resampling=Resampling(resamples=0)), heatmaps)
    thresholds, others = chosen_levels(run, model.card.findings)
    reached = selected_iou(run.pairs, run.maps)
    _, column = place_of(run.pairs, reached.pair)
    print(f"{model.card.name}: {len(heatmaps)} images, {len(run.pairs.truth)} boxes")
    print("| finding | threshold | mean IoU of the largest box | maps |\n|---|---|---|---|")
    for finding, level in thresholds.items():
        rows = np.flatnonzero(column == _index(run.pairs.findings, finding))
        at = reached.largest[rows, np.abs(LEVELS - level).argmin()]
        print(f"| {finding} | {level:g} | {at.mean() if rows.size else np.nan:.3f} | {rows.size} |")
    what = "lesions drawn into radiographs of validation patients" if options.data else "phantoms"
    said = f"chosen on {len(heatmaps)} {what}{others}"
    provenance = {**model.card.provenance, "box_thresholds": said}
    card = replace(model.card, box_thresholds=thresholds, provenance=provenance)
    write_model(options.to, model.network, model.preprocessing, card, model.typical)


def _given(radiograph: Radiograph) -> Callable[[], Radiograph]:
    return lambda: radiograph


def _index(findings: tuple[str, ...], finding: str) -> int:
    return findings.index(finding) if finding in findings else -1


if __name__ == "__main__":
    main()
