"""The images that a command judges a model on: a data set, or the embedded phantoms."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cxrloc.datasets import boxed_throughout, read_dataset
from cxrloc.evaluation.boxed_patients import named_patients
from cxrloc.evaluation.contamination import contaminated_patients
from cxrloc.evaluation.localization.scored_pairs import Population
from cxrloc.images.read import read_radiograph
from cxrloc.inference.batches import Image
from cxrloc.models.model import Model
from cxrloc.phantom import make_phantom, phantom_record, plan_phantom
from cxrloc.types import CxrlocError, Radiograph, Record

PHANTOM_SEED, PHANTOMS, PHANTOM_SIZE = 2026, 240, 320
"""The embedded benchmark: a series of phantoms that trained no embedded model."""

PHANTOM_NAME = f"embedded phantoms, seed {PHANTOM_SEED}"


class ImageSet(NamedTuple):
    """Records, and those of their images that are on this disk.

    `boxed_throughout`: experts looked at every image, so that one without a box shows nothing.
    """

    name: str
    records: list[Record]
    images: list[Image]
    boxed_throughout: bool = False


def read_images(data: Path | None) -> ImageSet:
    """A data set, or the embedded phantoms where there is none; images are read when needed.

    Raises:
        CxrlocError: nothing there can be read as a data set.
    """
    if data is not None:
        records = named_patients(read_dataset(data))
        images = [
            Image(
                record.image_id,
                partial(_radiograph_of, record, record.path),
                files=(record.path,),
            )
            for record in records
            if record.path is not None
        ]
        return ImageSet(str(data), records, images, boxed_throughout(data))
    series = range(PHANTOMS)
    records = [phantom_record(plan_phantom(PHANTOM_SEED, i), PHANTOM_SIZE) for i in series]
    images = [Image(records[i].image_id, partial(_phantom_radiograph, i)) for i in series]
    return ImageSet(PHANTOM_NAME, records, images, boxed_throughout=True)


def images_to_score(image_set: ImageSet, population: Population) -> ImageSet:
    """Those with an expert's box and, where they can give false positives, those without.

    An image without a box has no "annotated" pair. With "predicted" and "all" its boxes are false
    positives, if experts looked at it; of ChestX-ray14 only the boxed images count.
    """
    if image_set.boxed_throughout and population in ("predicted", "all"):
        return image_set
    records = [record for record in image_set.records if record.annotations]
    names = {record.image_id for record in records}
    images = [image for image in image_set.images if image.image_id in names]
    return ImageSet(image_set.name, records, images, image_set.boxed_throughout)


def refuse_contamination(models: Sequence[Model], records: Sequence[Record]) -> None:
    """Raise where a model is to be judged on patients that it was trained on.

    Raises:
        CxrlocError: names the model and the first of the patients.
    """
    for model in models:
        if seen := contaminated_patients(records, model.card.training_patients):
            raise CxrlocError(
                f"{model.card.name} was trained on {len(seen)} of these patients "
                f"({', '.join(seen[:3])}, ...): its scores here would mean nothing; score other "
                "patients (of ChestX-ray14, classify takes --split test)"
            )


def _radiograph_of(record: Record, path: Path) -> Radiograph:
    """The image, with what the data set knows of it and its file does not say."""
    radiograph = read_radiograph(path)
    return replace(
        radiograph,
        view=radiograph.view or record.view,
        age_years=record.age_years if radiograph.age_years is None else radiograph.age_years,
        sex=radiograph.sex or record.sex,
    )


def _phantom_radiograph(index: int) -> Radiograph:
    phantom = make_phantom(PHANTOM_SEED, index, PHANTOM_SIZE)
    return Radiograph(phantom.pixels, bits_stored=16, view=phantom.record.view)
