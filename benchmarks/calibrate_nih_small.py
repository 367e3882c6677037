"""Fit the calibration of the default model, and write the model with it.

    python benchmarks/calibrate_nih_small.py CHESTXRAY14_FOLDER --to FILE

Platt's sigmoid is fitted on the images of the validation patients in the model card, which were not
used for training. It is then shifted to the frequency of each finding in all of ChestX-ray14
(112,120 images). The weights of the network do not change.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from embed_nih_small import blocks, labels_of

from cxrloc.datasets.chestxray14 import read_chestxray14
from cxrloc.datasets.image_files import find_image_files_below
from cxrloc.models.card import card_patient
from cxrloc.models.names import DEFAULT_MODEL
from cxrloc.models.weights import read_model, write_model
from cxrloc.training.validation import calibration
from cxrloc.types import Label

LIMITS = (
    "Research demo: not for diagnosis. Boxes miss those of experts more often than they meet them, "
    "and small findings almost always. Probabilities are those of a patient like the ones of "
    "ChestX-ray14. Labels were read from reports by a program."
)


def main() -> None:
    """Write the calibrated model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of ChestX-ray14")
    parser.add_argument("--to", type=Path, default=Path(f"{DEFAULT_MODEL}.safetensors"))
    options = parser.parse_args()
    model = read_model(DEFAULT_MODEL)
    findings, patients = model.card.findings, set(model.card.validation_patients)
    paths = find_image_files_below(
        [options.data / "train_images", options.data / "train_images_128"]
    )
    every = read_chestxray14(options.data)
    held_out = [
        record
        for record in every
        if record.image_id in paths and card_patient(record.patient_id, public=True) in patients
    ]
    with torch.no_grad():
        parts = [model.network(each)[0] for each in blocks(held_out, paths, model.preprocessing)]
    prevalence = {
        finding: sum(record.labels[finding] is Label.POSITIVE for record in every) / len(every)
        for finding in findings
    }
    truth = torch.from_numpy(labels_of(held_out, findings)).float()
    found = calibration(torch.cat(parts), truth, "w_cel", prevalence)
    print(f"{len(held_out)} images of {len(patients)} validation patients")
    for finding in findings:
        print(f"{finding}: prevalence {prevalence[finding]:.4f}, {found.get(finding)}")
    card = replace(
        model.card,
        calibration=found,
        prevalence={finding: prevalence[finding] for finding in found},
        limits=LIMITS,
    )
    write_model(options.to, model.network, model.preprocessing, card, model.typical)


if __name__ == "__main__":
    main()
