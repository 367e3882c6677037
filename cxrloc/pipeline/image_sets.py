"""The images that a command judges a model on: a data set, or the embedded phantoms."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cxrloc.datasets import read_dataset
from cxrloc.datasets.phantom import make_phantom, phantom_record, plan_phantom
from cxrloc.evaluation.contamination import contaminated_patients
from cxrloc.images.read import read_radiograph
from cxrloc.inference.batches import Image
from cxrloc.models.weights import Model
from cxrloc.types import CxrlocError, Radiograph, Record

PHANTOM_SEED, PHANTOMS, PHANTOM_SIZE = 2026, 240, 320
"""The embedded benchmark: a series of phantoms that trained no embedded model."""

PHANTOM_NAME = f"embedded phantoms, seed {PHANTOM_SEED}"


class ImageSet(NamedTuple):
    """Records, and those of their images that are on this disk."""

    name: str
    records: list[Record]
    images: list[Image]


def read_images(data: Path | None) -> ImageSet:
    """A data set, or the embedded phantoms where there is none; images are read when needed.

    Raises:
        CxrlocError: nothing there can be read as a data set.
    """
    if data is not None:
        records = read_dataset(data)
        images = [
            Image(record.image_id, partial(read_radiograph, record.path))
            for record in records
            if record.path is not None
        ]
        return ImageSet(str(data), records, images)
    series = range(PHANTOMS)
    records = [phantom_record(plan_phantom(PHANTOM_SEED, i), PHANTOM_SIZE) for i in series]
    images = [Image(records[i].image_id, partial(_phantom_radiograph, i)) for i in series]
    return ImageSet(PHANTOM_NAME, records, images)


def boxed(image_set: ImageSet) -> ImageSet:
    """Those with an expert's box."""
    records = [record for record in image_set.records if record.annotations]
    names = {record.image_id for record in records}
    images = [image for image in image_set.images if image.image_id in names]
    return ImageSet(image_set.name, records, images)


def refuse_contamination(models: Sequence[Model], records: Sequence[Record]) -> None:
    """Raise where a model is to be judged on patients that it was trained on.

    Raises:
        CxrlocError: names the model and the first of the patients.
    """
    for model in models:
        if seen := contaminated_patients(records, model.card.training_patients):
            raise CxrlocError(
                f"{model.card.name} was trained on {len(seen)} of these patients "
                f"({', '.join(seen[:3])}, ...): its scores here would mean nothing"
            )


def _phantom_radiograph(index: int) -> Radiograph:
    phantom = make_phantom(PHANTOM_SEED, index, PHANTOM_SIZE)
    return Radiograph(phantom.pixels, bits_stored=16, view=phantom.record.view)
