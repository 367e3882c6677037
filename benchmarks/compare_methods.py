"""Compares two heatmap methods of one model on the images with experts' boxes, paired by patients.

    python benchmarks/compare_methods.py DIR --model nih-small-v4 --methods cam layer_cam

DIR is the folder of ChestX-ray14. The probabilities, and so the AUC, do not depend on the method.
Printed are the mean accuracy of each method's boxes by every rule, that of the boxes of other
patients (`permuted`), and the differences of the two methods with intervals by patients. All of it
is taken from the same resamples.
"""

import argparse
from functools import partial
from pathlib import Path

from league_scores import RULES, accuracies, compared, with_interval

from cxrloc.datasets.chestxray14 import read_chestxray14
from cxrloc.datasets.image_files import find_image_files_below
from cxrloc.evaluation.contamination import contaminated_patients
from cxrloc.evaluation.localization.claims import claims_of_models
from cxrloc.evaluation.localization.placed_run import PlacedRun, ScoringProtocol, place_run
from cxrloc.images.read import read_radiograph
from cxrloc.inference.prepared import Image, InferenceSettings
from cxrloc.localization.heatmaps import HEATMAPS
from cxrloc.models.model import Model
from cxrloc.models.names import DEFAULT_MODEL
from cxrloc.models.weights import read_model


def run_of(model: Model, data: Path, method: str) -> PlacedRun:
    """The model's boxes on all images with experts' boxes, placed for scoring."""
    paths = find_image_files_below([data / "images"])
    records = [r for r in read_chestxray14(data) if r.annotations and r.image_id in paths]
    assert not contaminated_patients(records, model.card.training_patients)
    images = [Image(r.image_id, partial(read_radiograph, paths[r.image_id])) for r in records]
    protocol, settings = ScoringProtocol(rules=RULES), InferenceSettings(method=method)
    claims = claims_of_models(records, images, [model], protocol.box_thresholds, settings, iter)
    assert not claims.failures, claims.failures  # otherwise two methods would have other patients
    return place_run(claims.records, claims.detections, protocol, claims.heatmaps)


def main() -> None:
    """Print a row for each rule."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of ChestX-ray14")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or file")
    parser.add_argument("--methods", nargs=2, choices=HEATMAPS, default=["cam", "layer_cam"])
    options = parser.parse_args()
    model = read_model(options.model)
    first, second = (
        compared(accuracies(run_of(model, options.data, method))) for method in options.methods
    )
    print("| mean over the findings |", " | ".join(options.methods), "| difference, paired |")
    print("|---|---|---|---|")
    for name, values in first.items():
        pair = (with_interval(values), with_interval(second[name]))
        cells = [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in pair]
        value, low, high = with_interval(second[name] - values)
        print(f"| {name} | {' | '.join(cells)} | {value:+.3f} [{low:+.3f}, {high:+.3f}] |")


if __name__ == "__main__":
    main()
