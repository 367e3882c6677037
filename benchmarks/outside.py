"""Fit the distance of an embedded model, and measure which images it calls outside.

    python benchmarks/outside.py nih-small-v4 CHESTXRAY14_FOLDER DICOM_FOLDER --to FILE
    python benchmarks/outside.py phantom-v1 CHESTXRAY14_FOLDER DICOM_FOLDER --to FILE

The distance is fitted on half of the validation patients in the model card. All other images,
among them those with experts' boxes, are only measured. The weights of the network do not change.

Two distances are compared on the same images: that of Mahalanobis (Lee et al. 2018), which the
models keep, and that to the fifth nearest image, of features of length 1 (Sun et al. 2022). Each
threshold keeps 99 % of the images of the fitted half inside, judged by other patients only.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image
import torch
from scipy.ndimage import gaussian_filter
from torch.nn.functional import normalize

from cxrloc.datasets.chestxray14 import read_chestxray14
from cxrloc.datasets.image_files import find_image_files_below
from cxrloc.datasets.splits import draw_patients
from cxrloc.errors import CxrlocError
from cxrloc.images.preprocessing import preprocess
from cxrloc.images.read import read_radiograph
from cxrloc.inference.image_sets import read_images
from cxrloc.inference.suitability import Status, suitability
from cxrloc.models.card import card_patient
from cxrloc.models.feature_distance import INSIDE, distances, fit_distance, mean_features
from cxrloc.models.model import Model
from cxrloc.models.names import DEFAULT_MODEL, PHANTOM_MODEL
from cxrloc.models.weights import read_model, write_model
from cxrloc.phantom import make_phantom, phantom_record, plan_phantom
from cxrloc.recipe import recipe_of_text
from cxrloc.types import Radiograph, View

SIZE = 512
"""Side in pixels of the images that are drawn here."""

NEIGHBOURS = 5
"""The other distance is that to the image of this number."""

THINNED = 8
"""Of the pixels only each eighth is kept after the features; that still tells a blank image."""


class Item(NamedTuple):
    """An image to be measured."""

    patient: str
    read: Callable[[], Radiograph]


class Measured(NamedTuple):
    """The images of a set that could be read, with their mean features."""

    patients: list[str]
    radiographs: list[Radiograph]
    pooled: torch.Tensor


def of_files(paths: Sequence[Path]) -> list[Item]:
    """Items of image files."""
    return [Item(path.name, partial(read_any, path)) for path in paths]


def read_any(path: Path) -> Radiograph:
    """The image in a file; a colour picture becomes grey, since the reader refuses colours."""
    try:
        return read_radiograph(path)
    except CxrlocError:
        if path.suffix == ".dcm":
            raise
        with PIL.Image.open(path) as picture:
            return drawn(np.asarray(picture.convert("L")) / 255)


def drawn(pixels: np.ndarray) -> Radiograph:
    """A radiograph of these grey levels in [0, 1]."""
    return Radiograph(np.ascontiguousarray(pixels, dtype=np.float32), bits_stored=8)


def as_items(images: Sequence[np.ndarray]) -> list[Item]:
    """Items of images that are in memory."""
    return [Item(str(number), partial(drawn, each)) for number, each in enumerate(images)]


def chests(data: Path) -> dict[str, list[Item]]:
    """Real frontal radiographs: of the default model's validation patients, and with boxes."""
    paths = find_image_files_below([data / "train_images", data / "train_images_128"])
    patients = set(read_model(DEFAULT_MODEL).card.validation_patients)
    return {
        "validation": [
            Item(record.patient_id, partial(read_radiograph, paths[record.image_id]))
            for record in read_chestxray14(data)
            if record.image_id in paths and card_patient(record.patient_id, True) in patients
        ],
        "boxed images": of_files(sorted((data / "images").iterdir())),
    }


def phantoms() -> dict[str, list[Item]]:
    """Phantoms: the validation images of `phantom-v1`, others, and others tagged as laterals."""
    card = read_model(PHANTOM_MODEL).card
    recipe = recipe_of_text(card.recipe, "the card's recipe")
    series, size = recipe.data.phantom, recipe.preprocessing.size
    assert series is not None
    last = series.training_images + series.validation_images
    validation = []
    for index in range(series.training_images, last):
        patient = phantom_record(plan_phantom(series.seed, index), size).patient_id
        if card_patient(patient, True) in card.validation_patients:
            validation.append(Item(patient, partial(phantom, series.seed, index, size)))
    others = [Item(image.image_id, image.read) for image in read_images(None).images]
    return {
        "validation": validation,
        "phantoms": others,
        "lateral phantoms": [Item(each.patient, partial(lateral, each)) for each in others[:40]],
    }


def phantom(seed: int, index: int, size: int) -> Radiograph:
    """One phantom."""
    made = make_phantom(seed, index, size)
    return Radiograph(made.pixels, bits_stored=16, view=made.record.view)


def lateral(item: Item) -> Radiograph:
    """The image with the tag of a lateral one; phantoms are drawn as frontals only."""
    return replace(item.read(), view=View.LATERAL)


def pictures(dicom: Path) -> dict[str, list[Item]]:
    """Real chest radiographs as DICOM, and images that show no chest."""
    import matplotlib
    import pydicom
    import skimage
    import sklearn

    dog = dicom / "highdicom_dx_thorax_mono1.dcm"
    samples = Path(skimage.__file__).parent / "data"
    photographs = [
        *sorted(path for path in samples.iterdir() if path.suffix in (".png", ".jpg")),
        *sorted((Path(sklearn.__file__).parent / "datasets/images").glob("*.jpg")),
        *sorted((Path(matplotlib.get_data_path()) / "sample_data").glob("*.jpg")),
    ]
    scans = sorted((Path(pydicom.__file__).parent / "data/test_files").glob("*.dcm"))
    return {
        "chest DICOM": of_files(sorted(set(dicom.glob("*.dcm")) - {dog})),
        "codecs": of_files(sorted((dicom / "codecs").glob("*.dcm"))),
        "dog": of_files([dog]),
        "photographs and textures": of_files(photographs),
        "CT, MR, ultrasound": of_files(scans),
        "noise": as_items(list(noises())),
        "blank or nearly": as_items(list(blanks())),
    }


def noises() -> Iterator[np.ndarray]:
    """Yields Gaussian noise, smoothed at several scales."""
    rng = np.random.default_rng(0)
    for blur in (0, 1, 2, 4, 8, 16, 32):
        for _ in range(4):
            smooth = gaussian_filter(rng.normal(size=(SIZE, SIZE)), blur)
            yield (smooth - smooth.min()) / np.ptp(smooth)


def blanks() -> Iterator[np.ndarray]:
    """Yields images of one grey level, of one with faint noise, and of even ramps."""
    rng = np.random.default_rng(0)
    for level in (0.0, 0.25, 0.5, 1.0):
        yield np.full((SIZE, SIZE), level)
        yield np.clip(level + 0.002 * rng.normal(size=(SIZE, SIZE)), 0, 1)
    ramp = np.tile(np.linspace(0, 1, SIZE), (SIZE, 1))
    yield from (ramp, ramp.T)


def measure(model: Model, items: Sequence[Item]) -> Measured:
    """The mean features of the images; those that cannot be read are left out."""
    patients, radiographs, rows = [], [], []
    for item in items:
        try:
            radiograph = item.read()
        except CxrlocError:
            continue
        inputs, _ = preprocess(radiograph, model.preprocessing)
        with torch.inference_mode():
            rows.append(mean_features(model.network(torch.from_numpy(inputs)[None])[1])[0])
        thin = radiograph.pixels[::THINNED, ::THINNED].copy()
        radiographs.append(replace(radiograph, pixels=thin, read_stored=None))
        patients.append(item.patient)
    return Measured(patients, radiographs, torch.stack(rows))


def nearest(pooled: torch.Tensor, patients: Sequence[str]) -> Callable[[torch.Tensor], np.ndarray]:
    """The distance to the fifth nearest image, divided by its threshold (Sun et al. 2022)."""
    own, names = normalize(pooled), np.array(patients)
    among = torch.cdist(own, own).numpy()
    among[names[:, None] == names] = np.inf
    threshold = np.quantile(np.sort(among, axis=1)[:, NEIGHBOURS - 1], INSIDE)

    def distance(other: torch.Tensor) -> np.ndarray:
        apart = torch.cdist(normalize(other), own)
        return apart.kthvalue(NEIGHBOURS, dim=1).values.numpy() / threshold

    return distance


def compare(model: Model, measured: dict[str, Measured]) -> Model:
    """Print the share outside of every set by both distances; returns the model with the first."""
    own = measured["validation"]
    fitted = fit_distance(own.pooled, own.patients)
    assert fitted is not None
    typical, rule = fitted
    chosen = draw_patients(own.patients, share=0.5, seed=0)
    first = torch.tensor([patient in chosen for patient in own.patients])
    other = nearest(own.pooled[first], [p for p in own.patients if p in chosen])
    print(f"\n{rule}, fitted on {int(first.sum())} images\n")
    print("| images | n | Mahalanobis | nearest neighbours | status outside |")
    print("|---|---|---|---|---|")
    for name, each in measured.items():
        kept = ~first if each is own else torch.ones(len(each.pooled), dtype=torch.bool)
        far = (distances(each.pooled[kept], typical, rule.variance) / rule.threshold).tolist()
        radiographs = [r for r, keep in zip(each.radiographs, kept, strict=True) if keep]
        status = [
            suitability([model], radiograph, [distance]).status is Status.OUTSIDE
            for radiograph, distance in zip(radiographs, far, strict=True)
        ]
        title = "other half of the validation patients" if each is own else name
        shares = np.mean(np.array(far) > 1), np.mean(other(each.pooled[kept]) > 1), np.mean(status)
        print(f"| {title} | {len(far)} | " + " | ".join(f"{s:.1%}" for s in shares) + " |")
    return replace(model, card=replace(model.card, distance=rule), typical=typical)


def main() -> None:
    """Fit, compare, and write the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=(DEFAULT_MODEL, PHANTOM_MODEL))
    parser.add_argument("chestxray14", type=Path, help="folder of ChestX-ray14")
    parser.add_argument("dicom", type=Path, help="folder of DICOM files")
    parser.add_argument("--features", type=Path, help="folder that keeps the features")
    parser.add_argument("--to", type=Path, help="file of the model with its distance")
    options = parser.parse_args()
    model = read_model(options.model)
    real, synthetic = chests(options.chestxray14), phantoms()
    inside, other = (real, synthetic) if options.model == DEFAULT_MODEL else (synthetic, real)
    sets = {**inside, **{name: items for name, items in other.items() if name != "validation"}}
    sets |= pictures(options.dicom)
    measured = {}
    for name, items in sets.items():
        kept = options.features / f"{name}.pt" if options.features else None
        if kept and kept.exists():
            measured[name] = Measured(*torch.load(kept, weights_only=False))
            continue
        measured[name] = measure(model, items)
        if kept:
            torch.save(tuple(measured[name]), kept)
    model = compare(model, measured)
    if options.to:
        write_model(options.to, model.network, model.preprocessing, model.card, model.typical)


if __name__ == "__main__":
    main()
