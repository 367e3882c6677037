"""The images that a command judges a model on: a data set, or the embedded phantoms."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cxrloc.datasets import boxed_throughout, layout_of, names_of_data_set, read_as
from cxrloc.datasets.boxed_patients import named_patients
from cxrloc.images.read import read_radiograph
from cxrloc.images.stored_pixels import MAX_MEGAPIXELS
from cxrloc.inference.batches import Image
from cxrloc.phantom import is_synthetic, make_phantom, phantom_record, plan_phantom
from cxrloc.types import Radiograph, Record

PHANTOM_SEED, PHANTOMS, PHANTOM_SIZE = 2026, 240, 320
"""The embedded benchmark: a series of phantoms that trained no embedded model."""

PHANTOM_NAME = f"embedded phantoms, seed {PHANTOM_SEED}"


PHANTOM = "phantom"
"""Name of all phantoms as a data set, as recipes call it."""


@dataclass(frozen=True, slots=True)
class DataOptions:
    """What the user says about a data set beside its path.

    Attributes:
        data_set: its name, where patients of equal numbers are to be told from those of another
            data set of the same layout; empty for the name of its reader.
        allow_contaminated: score patients that trained the model too; every output then says so.
        max_megapixels: larger images are refused.
    """

    data_set: str = ""
    allow_contaminated: bool = False
    max_megapixels: float = MAX_MEGAPIXELS


class ImageSet(NamedTuple):
    """Records, and those of their images that are on this disk.

    Attributes:
        name: as outputs call the data set.
        records: all of them.
        images: those on this disk.
        boxed_throughout: experts looked at every image, so that one without a box shows nothing.
        data_sets: names under which a model's card may list its patients; the patient 1 of one
            data set is not that of another.
    """

    name: str
    records: list[Record]
    images: list[Image]
    boxed_throughout: bool = False
    data_sets: frozenset[str] = frozenset({PHANTOM})


def read_images(
    data: Path | None,
    options: DataOptions = DataOptions(),
    declared: Collection[str] = (),
) -> ImageSet:
    """A data set, or the embedded phantoms where there is none; images are read when needed.

    Args:
        data: path of a data set; None for the embedded phantoms.
        options: what the user says about it.
        declared: findings that its labels may name beside the known ones.

    Raises:
        CxrlocError: nothing there can be read as a data set.
    """
    if data is not None:
        reader, path = layout_of(data)
        records = named_patients(read_as(reader, path, declared))
        images = [
            Image(
                record.image_id,
                partial(_radiograph_of, record, record.path, options.max_megapixels),
                files=(record.path,),
            )
            for record in records
            if record.path is not None
        ]
        names = {options.data_set} if options.data_set else names_of_data_set(reader, records)
        if is_synthetic(data) and not options.data_set:
            names |= {PHANTOM}
        return ImageSet(str(data), records, images, boxed_throughout(data), frozenset(names))
    series = range(PHANTOMS)
    records = [phantom_record(plan_phantom(PHANTOM_SEED, i), PHANTOM_SIZE) for i in series]
    images = [Image(records[i].image_id, partial(_phantom_radiograph, i)) for i in series]
    return ImageSet(PHANTOM_NAME, records, images, boxed_throughout=True)


def data_warnings(records: Iterable[Record]) -> dict[str, int]:
    """The warnings of records, and of how many records each is."""
    return dict(Counter(said for record in records for said in record.warnings))


def _radiograph_of(record: Record, path: Path, max_megapixels: float) -> Radiograph:
    """The image, with what the data set knows of it and its file does not say."""
    radiograph = read_radiograph(path, max_megapixels=max_megapixels)
    return replace(
        radiograph,
        view=radiograph.view or record.view,
        age_years=record.age_years if radiograph.age_years is None else radiograph.age_years,
        sex=radiograph.sex or record.sex,
    )


def _phantom_radiograph(index: int) -> Radiograph:
    phantom = make_phantom(PHANTOM_SEED, index, PHANTOM_SIZE)
    return Radiograph(phantom.pixels, bits_stored=16, view=phantom.record.view)
