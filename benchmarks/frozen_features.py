"""Features of the training images after the frozen layers of the small model, computed only once.

With these features, `screen_nih_small.py` trains a variant of the remaining layers in minutes.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cxrloc.datasets.chestxray14 import read_chestxray14
from cxrloc.datasets.image_files import find_image_files_below
from cxrloc.images.augment import DRAWS, Augmentation, augment
from cxrloc.images.preprocessing import standardise
from cxrloc.images.read import read_radiograph
from cxrloc.models.imagenet import start_from_imagenet
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.normalisation import unfold_normalisation
from cxrloc.types import Label

SIDE, FROZEN, FOLDS, BATCH = 320, 11, 5, 32
CHANGES = Augmentation(mirror=0.5, rotation_degrees=7, scale=0.1, shift=0.05)


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """One folder of training images; labels are 0, 1, or NaN if unknown."""

    files: tuple[Path, ...]
    labels: np.ndarray  # image finding
    folds: np.ndarray  # image
    patients: np.ndarray  # image


def read_images(data: Path, folder: str, findings: Sequence[str]) -> Images:
    """All images of a folder; all images of a patient are in the same fold."""
    paths = find_image_files_below([data / folder])
    records = [record for record in read_chestxray14(data) if record.image_id in paths]
    labels = [[r.labels[name] is Label.POSITIVE for name in findings] for r in records]
    patients = np.array([record.patient_id for record in records])
    folds = [int(hashlib.sha256(f"f{one}".encode()).hexdigest(), 16) % FOLDS for one in patients]
    files = tuple(paths[record.image_id] for record in records)
    return Images(files, np.array(labels, dtype=np.float32), np.array(folds), patients)


def greys_of(files: Sequence[Path]) -> np.ndarray:
    """Grey levels in [0, 255] at the network's size, as (image, row, column)."""
    greys = np.empty((len(files), SIDE, SIDE), dtype=np.uint8)
    for row, path in enumerate(files):
        grey = torch.from_numpy(read_radiograph(path).pixels)[None, None]
        resized = F.interpolate(grey, (SIDE, SIDE), mode="bicubic", antialias=True)
        greys[row] = (resized[0, 0].clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return greys


def network_of(config: LocalizerConfig, imagenet: Path, images: Images) -> Localizer:
    """The network with ImageNet's weights and normalisation statistics of some training images."""
    network = Localizer(config)
    with torch.no_grad():
        start_from_imagenet(network, imagenet)
    some = np.random.default_rng(0).choice(len(images.files), 96, replace=False)
    greys = greys_of([images.files[row] for row in some])
    unfold_normalisation(network.backbone, inputs_of(torch.from_numpy(greys) / 255))
    return network.to(memory_format=torch.channels_last)


def inputs_of(greys: Tensor) -> Tensor:
    """The network's inputs: standardised grey levels in three equal channels."""
    images = torch.from_numpy(standardise(greys.numpy()))[:, None].repeat(1, 3, 1, 1)
    return images.contiguous(memory_format=torch.channels_last)


def frozen_features(network: Localizer, greys: np.ndarray, changes: int, seed: int) -> np.ndarray:
    """Features of the frozen layers: first of the unchanged images, then of each random change.

    From the third random change on, images are first reduced to 128 pixels and enlarged again, so
    that they are as blurred as the training images of 128 pixels.
    """
    front = network.backbone[:FROZEN].eval()
    rng = np.random.default_rng(seed)
    kept = np.empty((changes + 1, len(greys), 64, SIDE // 16, SIDE // 16), dtype=np.float16)
    for copy in range(changes + 1):
        for start in range(0, len(greys), BATCH):
            block = torch.from_numpy(greys[start : start + BATCH])[:, None].float() / 255
            if copy:
                block = augment(block, rng.random((len(block), DRAWS)), CHANGES)
            if copy > 2:
                small = F.interpolate(block, (128, 128), mode="bilinear", antialias=True)
                block = F.interpolate(small, (SIDE, SIDE), mode="bicubic")
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                features = front(inputs_of(block[:, 0])).half()
            kept[copy, start : start + BATCH] = features.numpy()
    return kept


def cached(path: Path, network: Localizer, images: Images, changes: int) -> np.ndarray:
    """Features of a folder as (copy, image, channel, row, column), read if they were computed."""
    if not path.is_file():
        unfinished = path.with_suffix(".part.npy")
        greys = greys_of(images.files)
        np.save(unfinished, frozen_features(network, greys, changes, seed=changes))
        unfinished.replace(path)
    return np.load(path, mmap_mode="r")
