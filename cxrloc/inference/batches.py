"""Batches for every network: files are read ahead while it computes, and failures are named."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cxrloc.files.text import one_line
from cxrloc.files.whole import DiskError
from cxrloc.findings import CHEXPERT_PARENTS
from cxrloc.images.preprocessing import preprocess
from cxrloc.inference.ensemble import shared_findings
from cxrloc.inference.hierarchy import unconditional
from cxrloc.inference.threads import map_in_threads
from cxrloc.inference.versions import VERSIONS, Version, make_versions
from cxrloc.models.context import Input, bound, inputs_of
from cxrloc.models.localizer import LocalizingNetwork
from cxrloc.models.meta import missing_meta
from cxrloc.models.model import Model
from cxrloc.models.own_network import check_own_network
from cxrloc.models.probabilities import Probabilities
from cxrloc.types import Affine, CxrlocError, Radiograph, UsageError, View

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class InferenceSettings:
    """How a model is run.

    Attributes:
        method: a name of `HEATMAPS`.
        findings: findings to localize; empty for all findings that the models share.
        versions: a name of `VERSIONS`: the image as it is, or several versions of it averaged.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".
        batch_size: images in one forward pass on an accelerator; a CPU takes one at a time.
        workers: threads that read files ahead.
        seed: seed of the random transforms of test-time augmentation.
        products: take each model's probabilities as conditional on the parent in CheXpert's tree,
            and multiply them along the tree (`unconditional`). This is done for each version of the
            image and before anything is averaged, as Pham et al. 2019 do with what "the CNN" gives.
        layer: layer whose output a gradient method explains; empty: the network's own features.
    """

    method: str = "cam"
    findings: tuple[str, ...] = ()
    versions: str = "plain"
    device: str = "auto"
    batch_size: int = 8
    workers: int = 2
    seed: int = 0
    products: bool = False
    layer: str = ""


class Image(NamedTuple):
    """An image that has not been read yet.

    Attributes:
        image_id: names it in every output.
        read: function that reads the image.
        read_partner: function that reads the other view of the pair, for networks that need both.
        files: files of the image and its partner, by which a changed image is recognised.
    """

    image_id: str
    read: Callable[[], Radiograph]
    read_partner: Callable[[], Radiograph] | None = None
    files: tuple[Path, ...] = ()


class Failure(NamedTuple):
    """One image that could not be read, and why."""

    image_id: str
    reason: str


def failure_of(image_id: str, error: Exception) -> Failure:
    """The failure of one image for any error; the other images go on.

    Raises:
        DiskError: the error concerns every further image too.
    """
    if isinstance(error, DiskError):
        raise error
    if isinstance(error, CxrlocError):
        return Failure(image_id, str(error))
    what = "out of memory" if isinstance(error, MemoryError) else f"{type(error).__name__}: {error}"
    return Failure(image_id, one_line(f"{image_id}: cannot be processed ({what})"))


class Prepared(NamedTuple):
    """A radiograph with its network input and affine for each model.

    `shape` is the number of rows and columns of the original image. Networks and maps need only
    this number, so the pixels may be dropped before a prepared image goes to another process.
    """

    image_id: str
    radiograph: Radiograph
    inputs: list[tuple[Float[np.ndarray, "channel row col"], Affine]]
    shape: tuple[int, int]


def choose_device(name: str) -> torch.device:
    """The device with this name; "auto" takes a GPU if there is one.

    Raises:
        UsageError: the device is unknown, or not in this machine.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"--device {name}: not usable on this machine ({reason})") from error
    return device


def chosen_findings(models: Sequence[Model], settings: InferenceSettings) -> tuple[str, ...]:
    """The findings asked for, or all that the models share.

    Raises:
        UsageError: a finding is not shared by the models.
        CxrlocError: the models share no finding.
    """
    shared = shared_findings([model.card.findings for model in models])
    check_names("--finding", settings.findings, shared)
    return settings.findings or shared


def in_batches(
    models: Sequence[Model],
    images: Iterable[Image],
    settings: InferenceSettings,
    compute: Callable[[Sequence[Prepared]], Sequence[T]],
) -> Iterator[T | Failure]:
    """Yields the results of `compute` on batches, one per image, in the order of the images.

    An image that cannot be read gives a `Failure`; the others go on. At most a batch and twice
    `settings.workers` images are held in memory at a time. The user's own networks are checked at
    the first batch (`check_own_network`).

    Raises:
        UsageError: the versions or the device do not exist.
        CxrlocError: the user's own network does not give the outputs that are required.
    """
    run = batch_function(models, settings, compute)
    prepared = map_in_threads(partial(prepare_image, models=models), images, settings.workers)
    while chunk := list(islice(prepared, images_together(settings))):
        yield from run(chunk)


def prepare_image(image: Image, models: Sequence[Model]) -> Prepared | Failure:
    """Read an image and make the input of each model."""
    try:
        radiograph = image.read()
        inputs = [_network_input(model, radiograph, image) for model in models]
    except Exception as error:
        return failure_of(image.image_id, error)
    # The stored values have been read by now if they are needed, so the file need not stay
    # open.
    rows, columns = radiograph.pixels.shape
    radiograph = replace(_with_warnings(radiograph, models), read_stored=None)
    return Prepared(image.image_id, radiograph, inputs, (rows, columns))


def images_together(settings: InferenceSettings) -> int:
    """Number of images in one forward pass.

    On a CPU, the last bits of a result depend on how many images are computed together, and batches
    are no faster. With one image at a time, results depend neither on the batch size nor on where
    an interrupted run continues.
    """
    return 1 if choose_device(settings.device).type == "cpu" else settings.batch_size


def batch_function(
    models: Sequence[Model],
    settings: InferenceSettings,
    compute: Callable[[Sequence[Prepared]], Sequence[T]],
) -> Callable[[Sequence[Prepared | Failure]], list[T | Failure]]:
    """The function that gives the results of a batch of prepared images, one per image.

    The models are moved to the device of the settings.

    Raises:
        UsageError: the versions or the device do not exist.
    """
    check_names("--versions", [settings.versions], VERSIONS)
    device = choose_device(settings.device)
    for model in models:
        model.network.to(device).eval()
    unchecked = [index for index, model in enumerate(models) if model.config is None]

    def run(chunk: Sequence[Prepared | Failure]) -> list[T | Failure]:
        batch = [item for item in chunk if isinstance(item, Prepared)]
        while unchecked and batch:
            index = unchecked.pop()
            inputs = network_inputs(models[index], batch, index)
            check_own_network(models[index], inputs, [item.radiograph for item in batch])
        done = iter(_computed(batch, compute))
        return [item if isinstance(item, Failure) else next(done) for item in chunk]

    return run


def _computed(
    batch: Sequence[Prepared], compute: Callable[[Sequence[Prepared]], Sequence[T]]
) -> list[T | Failure]:
    """The results of a batch; if it fails, those of its images one by one, to find the cause.

    Raises:
        CxrlocError: `compute` refuses the model or the options, whatever the image.
    """
    if not batch:
        return []
    try:
        return [*compute(batch)]
    except CxrlocError:
        raise
    except Exception as error:
        if len(batch) == 1:
            return [failure_of(batch[0].image_id, error)]
        return [result for item in batch for result in _computed([item], compute)]


def _network_input(
    model: Model, radiograph: Radiograph, image: Image
) -> tuple[Float[np.ndarray, "channel row col"], Affine]:
    """The network input of an image, and the affine from original pixels to this input."""
    own, to_input = preprocess(radiograph, model.preprocessing)
    if Input.SECOND_VIEW not in inputs_of(model.network):
        return own, to_input
    if image.read_partner is None:
        raise CxrlocError(
            f"{image.image_id}: {model.card.name} reads a frontal and a lateral image together and "
            "this one is in no pair: name pairs with --pairs FILE.csv"
        )
    partner, _ = preprocess(image.read_partner(), model.preprocessing)
    views = (partner, own) if radiograph.view is View.LATERAL else (own, partner)
    return np.concatenate(views), to_input


def _with_warnings(radiograph: Radiograph, models: Sequence[Model]) -> Radiograph:
    """The radiograph, with a warning if it lacks data that a model reads beside the pixels."""
    missing = missing_meta(radiograph)
    if not missing or not any(Input.METADATA in inputs_of(m.network) for m in models):
        return radiograph
    return replace(radiograph, warnings=(*radiograph.warnings, missing))


def network_for(model: Model, batch: Sequence[Prepared]) -> LocalizingNetwork:
    """A model's network, bound to the further inputs of one batch (age, sex, view or partner)."""
    return bound(model.network, [item.radiograph for item in batch])


def network_inputs(
    model: Model, batch: Sequence[Prepared], index: int
) -> Float[Tensor, "batch channel row col"]:
    """A batch's inputs of model number `index`, on the device of its weights."""
    device = next(model.network.parameters()).device
    return torch.from_numpy(np.stack([item.inputs[index][0] for item in batch])).to(device)


def probabilities_of(model: Model, settings: InferenceSettings) -> Probabilities:
    """The function that turns a model's logits into probabilities.

    With `settings.products`, probabilities are multiplied along the tree. All ancestors that the
    model knows are used, even if they are not asked for or if other models lack them.
    """
    if not settings.products:
        return model.probabilities

    def products(logits: Tensor) -> Tensor:
        conditional = model.probabilities(logits)
        along = unconditional(conditional.cpu().numpy(), model.card.findings, CHEXPERT_PARENTS)
        return torch.from_numpy(along).to(conditional.device)

    return products


def versions_of(
    images: Float[Tensor, "batch channel row col"], model: Model, settings: InferenceSettings
) -> Iterator[Version]:
    """The versions of the images whose outputs are averaged (`versions.VERSIONS`)."""
    affines = VERSIONS[settings.versions](images.shape[-2], images.shape[-1], settings.seed)
    return make_versions(images, affines, model.preprocessing)


def check_names(option: str, names: Iterable[str], known: Collection[str]) -> None:
    """Raise an error if an option names something that does not exist.

    Raises:
        UsageError: the message says what may be named.
    """
    for name in names:
        if name not in known:
            raise UsageError(f"{option} {name}: choose from {', '.join(known)}")
