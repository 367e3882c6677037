"""The images of the league, in folds, and their cached features: phantoms, and radiographs."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from box_thresholds import drawn
from league_encoders import packed, pyramid
from torch import Tensor
from torch.nn import functional as F

from cxrloc.datasets.chestxray14 import read_chestxray14
from cxrloc.datasets.image_files import find_image_files_below
from cxrloc.evaluation.trust.map_stability import shifted
from cxrloc.images.preprocessing import preprocess
from cxrloc.images.read import read_radiograph
from cxrloc.models.card import card_patient
from cxrloc.models.model import Model
from cxrloc.phantom import make_phantom, phantom_record, plan_phantom
from cxrloc.types import Label, Radiograph, Record

TRAINING = 2000  # images, unless another number is asked for
FRESH, FRESH_SEED, TRAINING_SEED = 500, 2201, 2202  # phantoms to score, and both series
PHANTOM_FOLD, HELD_OUT, QUARTERS = "fresh", "held-out", ("1", "2", "3", "4")
FOLDS = (HELD_OUT, *QUARTERS)
RANKED, SEED = 333, 1  # images of a fold; seed of their choice
SHIFT = 6  # pixels, 2 % of the side


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images with one use: the name of their file of features, their records, and themselves."""

    name: str
    records: Sequence[Record]
    radiographs: Callable[[], Iterable[Radiograph]]


@dataclass(frozen=True, slots=True)
class Fold:
    """What heads are trained and scored on.

    Attributes:
        training: the training images that belong to patients of other folds.
        ranked: images that are scored by the AUC of their labels.
        boxed: images whose boxes are scored.
    """

    training: np.ndarray
    ranked: ImageSet
    boxed: ImageSet


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the league.

    Attributes:
        training: training images of all folds.
        folds: functions that make a fold, by its name.
        coarser: cells of the features, in rows and in columns, whose mean a head sees in training.
    """

    training: ImageSet
    folds: Mapping[str, Callable[[], Fold]]
    coarser: int


def phantoms(model: Model, training: int) -> Part:
    """Phantoms of the size of the model's input, from series that no model of the package saw."""
    side = model.preprocessing.size
    images = _series("training", TRAINING_SEED, training, side)
    fresh = _series(PHANTOM_FOLD, FRESH_SEED, FRESH, side)
    fold = Fold(np.arange(training), fresh, fresh)
    return Part(images, {PHANTOM_FOLD: lambda: fold}, coarser=1)


def _series(name: str, seed: int, count: int, side: int) -> ImageSet:
    records = [phantom_record(plan_phantom(seed, index), side) for index in range(count)]

    def radiographs() -> Iterator[Radiograph]:
        for index in range(count):
            yield Radiograph(make_phantom(seed, index, side).pixels, bits_stored=16)

    return ImageSet(name, records, radiographs)


def radiographs(data: Path, model: Model, training: int) -> Part:
    """The 320 px images of patients of nih-small-v4, without any expert's box.

    The fold `HELD_OUT` has the validation patients of the model. The other folds are quarters of
    its training patients: heads never see their fold, but the features have seen it.
    """
    paths = find_image_files_below([data / "train_images"])
    records: dict[str, list[Record]] = {name: [] for name in FOLDS}
    validation = set(model.card.validation_patients)
    for record in read_chestxray14(data):
        if record.image_id in paths:
            held_out = card_patient(record.patient_id, public=True) in validation
            name = HELD_OUT if held_out else _quarter(record.patient_id)
            records[name].append(replace(record, path=paths[record.image_id]))
    chosen = half_with_findings(
        [each for name, own in records.items() if name != HELD_OUT for each in own], training
    )
    folds = {name: partial(_fold, own, chosen) for name, own in records.items()}
    return Part(_files("training", chosen), folds, coarser=2)


def _quarter(patient: str) -> str:
    return QUARTERS[int(hashlib.sha256(patient.encode()).hexdigest(), 16) % len(QUARTERS)]


def _fold(records: Sequence[Record], training: Sequence[Record]) -> Fold:
    patients = {record.patient_id for record in records}
    others = [row for row, each in enumerate(training) if each.patient_id not in patients]
    lesions = [*drawn(records)]
    boxed = ImageSet("drawn", [each for each, _ in lesions], lambda: (each for _, each in lesions))
    return Fold(np.array(others), _files("ranked", half_with_findings(records, RANKED)), boxed)


def _files(name: str, records: Sequence[Record]) -> ImageSet:
    paths = [record.path for record in records if record.path is not None]
    return ImageSet(name, records, lambda: map(read_radiograph, paths))


def half_with_findings(records: Sequence[Record], count: int) -> list[Record]:
    """At most this number of records, drawn at random, half of which have a finding."""
    rng = np.random.default_rng(SEED)
    present = np.array([Label.POSITIVE in record.labels.values() for record in records])
    halves = {True: count // 2, False: count - count // 2}
    chosen = [
        rng.permutation(np.flatnonzero(present == has_finding))[:most]
        for has_finding, most in halves.items()
    ]
    return [records[index] for index in np.sort(np.concatenate(chosen))]


def features_of(
    folder: Path,
    model: Model,
    images: ImageSet,
    coarser: int = 1,
    change: str = "",
    levels: bool = False,
) -> np.ndarray:
    """Features as (image, row, column, depth), read from their file or computed and written.

    With `levels` they are those of two strides (`league_encoders.packed`), and never of a coarser
    grid.
    """
    path = folder / f"{change or images.name}{'-levels' if levels else ''}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        found = []
        with torch.inference_mode():
            for image in inputs(model, images.radiographs(), change):
                batch = image[None].contiguous(memory_format=torch.channels_last)
                features = model.network(batch)[1]
                if levels:
                    features = packed(features, pyramid(model)(batch)[-2])
                else:
                    features = F.avg_pool2d(features, coarser)
                found.append(features[0].movedim(0, 2).half().numpy())
        unfinished = path.with_suffix(".part.npy")
        np.save(unfinished, np.stack(found))
        unfinished.replace(path)
        print(f"{path}: {len(found)} images", flush=True)
    return np.load(path, mmap_mode="r")


def inputs(model: Model, given: Iterable[Radiograph], change: str = "") -> Iterator[Tensor]:
    """The network's input of each radiograph, changed before its grey levels are standardised."""
    for radiograph in given:
        pixels = torch.from_numpy(radiograph.pixels)[None]
        if change == "mirrored":
            pixels = pixels.flip(2)
        if change == "shifted":
            pixels = shifted(pixels, SHIFT, 0)
        changed = replace(radiograph, pixels=pixels[0].numpy())
        yield torch.from_numpy(preprocess(changed, model.preprocessing)[0])
