"""Probabilities of a data set's images, from models or from a file of any program."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.prediction_files import match_predictions
from cxrloc.evaluation.classification.units import are_probabilities
from cxrloc.files.journal import Journal
from cxrloc.files.whole import write_text
from cxrloc.findings import CHEXPERT_PARENTS
from cxrloc.inference.hierarchy import unconditional
from cxrloc.inference.image_sets import ImageSet
from cxrloc.inference.predict import Predicted, gather
from cxrloc.inference.prepared import Failure, InferenceSettings, chosen_findings
from cxrloc.inference.resumed import predict_on
from cxrloc.inference.suitability import Suitability
from cxrloc.inference.threads import Counted
from cxrloc.models.model import Model
from cxrloc.models.provenance import contamination_warnings
from cxrloc.types import Predictions

NAMED, MISSING = 20, "missing_images.txt"
"""How many missing images `run.json` names, and the file that names all of them."""


PredictionWatch = Callable[[Iterable[Predicted | Failure]], Iterable[Predicted | Failure]]
"""A function that passes results on, and may show the progress."""


class PredictedImages(NamedTuple):
    """Predictions of the images that could be read, with failures, warnings and notes.

    Attributes:
        predictions: of the images that could be read.
        failures: the images that could not be read.
        warnings: each warning, with the number of its images.
        notes: sentences about the file that the predictions come from.
        suitability: of each image that models computed; empty for a file.
    """

    predictions: Predictions
    failures: Sequence[Failure]
    warnings: Mapping[str, int]
    notes: Sequence[str] = ()
    suitability: Mapping[str, Suitability] = {}


def predictions_of_file(
    path: Path, image_set: ImageSet, declared: Sequence[str]
) -> PredictedImages:
    """Probabilities from a file of any program, for the images and findings of the data set.

    Raises:
        CxrlocError: as `match_predictions`.
    """
    matched = match_predictions(path, image_set.records, image_set.name, declared)
    return PredictedImages(matched.predictions, (), {}, matched.notes)


def refuse_other_scores(path: Path, predictions: Predictions, needing: str) -> None:
    """Raise an error if scores of a file are not probabilities and an option needs probabilities.

    Raises:
        CxrlocError: a score is outside [0, 1].
    """
    if not are_probabilities(predictions.probabilities):
        raise CxrlocError(
            f"{path}: {needing} needs probabilities, and some scores are outside [0, 1]; convert "
            "them (percentages: divide by 100; logits: 1 / (1 + exp(-logit)))"
        )


def predictions_of_models(
    models: Sequence[Model],
    image_set: ImageSet,
    inference: InferenceSettings,
    watch: PredictionWatch,
    journal: Journal | None = None,
) -> PredictedImages:
    """The models' predictions; an image that cannot be read is a failure, and the run continues.

    Raises:
        CxrlocError: no image is on this disk, or none can be read.
    """
    if not image_set.images:
        raise CxrlocError(f"{image_set.name}: none of the images is on this disk{_hint(image_set)}")
    predicted, failures = [], []
    suitabilities: dict[str, Suitability] = {}
    warnings: Counter[str] = Counter()
    images = image_set.images
    results = Counted(predict_on(models, images, inference, journal), len(images))
    for result in watch(results):
        if isinstance(result, Failure):
            failures.append(result)
            continue
        predicted.append(result)
        suitabilities[result.image_id] = suitability = result.suitability
        warnings.update(dict.fromkeys([*result.warnings, *suitability.reasons]).keys())
        warnings.update(contamination_warnings(models, result.image_id))
    if not predicted:
        raise CxrlocError(f"no image could be read; the first: {failures[0].reason}")
    predictions = gather(predicted, chosen_findings(models, inference))
    return PredictedImages(predictions, failures, warnings, suitability=suitabilities)


def _hint(image_set: ImageSet) -> str:
    """A hint at where the images were looked for, if the records say it."""
    warning = next(
        (w for record in image_set.records for w in record.warnings if "looked" in w), ""
    )
    return f": {warning}" if warning else ""


def products_along_tree(outcome: PredictedImages) -> PredictedImages:
    """Probabilities taken as conditional on the parent, multiplied along CheXpert's tree."""
    image_ids, findings = outcome.predictions.image_ids, outcome.predictions.findings
    products = unconditional(outcome.predictions.probabilities, findings, CHEXPERT_PARENTS)
    return outcome._replace(predictions=Predictions(image_ids, findings, products))


def describe_images(image_set: ImageSet, outcome: PredictedImages, out: Path) -> dict[str, Any]:
    """Which images were predicted and which not; a long list of the latter gets its own file."""
    failed = {failure.image_id: failure.reason for failure in outcome.failures}
    done = {*outcome.predictions.image_ids, *failed}
    absent = [r.image_id for r in image_set.records if r.image_id not in done]
    if len(absent) > NAMED:
        write_text(out / MISSING, "\n".join(absent) + "\n")
    return {
        "predicted_images": len(outcome.predictions.image_ids),
        "missing": len(absent),
        "missing_images": absent[:NAMED],
        "missing_images_in": MISSING if len(absent) > NAMED else None,
        "failed_images": failed,
    }
