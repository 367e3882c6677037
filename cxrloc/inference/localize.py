"""Models over many images: files are read ahead while the network computes."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cxrloc.images.geometry import compose, inverse
from cxrloc.images.preprocessing import preprocess
from cxrloc.inference.ensemble import average_maps, shared_findings
from cxrloc.inference.threads import map_in_threads
from cxrloc.inference.views import VIEWS, average_views
from cxrloc.localization.heatmaps import HEATMAPS
from cxrloc.models.weights import Model
from cxrloc.types import Affine, CxrlocError, Heatmap, Radiograph, UsageError


@dataclass(frozen=True, slots=True)
class InferenceSettings:
    """How a model is run.

    Attributes:
        method: a name of `HEATMAPS`.
        findings: to localize; empty for all that the models share.
        views: a name of `VIEWS`: the image as it is, or several versions of it averaged.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".
        batch_size: images in one forward pass.
        workers: threads that read files ahead.
        seed: of the random transforms of test-time augmentation.
    """

    method: str = "cam"
    findings: tuple[str, ...] = ()
    views: str = "plain"
    device: str = "auto"
    batch_size: int = 8
    workers: int = 2
    seed: int = 0


class Image(NamedTuple):
    """An image still to be read: its id, and the function that reads it."""

    image_id: str
    read: Callable[[], Radiograph]


@dataclass(frozen=True, slots=True, eq=False)
class Localization:
    """What a model says of one image: probability and raw map of every finding.

    Attributes:
        image_id: the image.
        findings: in the order of the arrays.
        probabilities: of each finding, in [0, 1].
        maps: raw scores, larger speaks more for the finding.
        to_image: grid coordinates to original pixels, as in `Heatmap`.
        rows: height of the original image in pixels.
        columns: width of the original image in pixels.
    """

    image_id: str
    findings: tuple[str, ...]
    probabilities: Float[np.ndarray, " finding"]
    maps: Float[np.ndarray, "finding row col"]
    to_image: Affine
    rows: int
    columns: int


class Localized(NamedTuple):
    """One image done: what was read, and what the model says of it."""

    radiograph: Radiograph
    localization: Localization


class Failure(NamedTuple):
    """One image that could not be read, and why."""

    image_id: str
    reason: str


class _Prepared(NamedTuple):
    """A radiograph with its network input and affine for each model."""

    image_id: str
    radiograph: Radiograph
    inputs: list[tuple[Float[np.ndarray, "channel row col"], Affine]]


def choose_device(name: str) -> torch.device:
    """The device of a name; "auto" takes a GPU where there is one.

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


def localize(
    models: Sequence[Model], images: Iterable[Image], settings: InferenceSettings
) -> Iterator[Localized | Failure]:
    """Run models on images; results come in the order of the images.

    Several models are an ensemble: the mean of their probabilities, and the mean of their maps,
    each scaled to its own minimum and maximum first, for the findings that all of them know.
    An image that cannot be read gives a `Failure`; the others go on. At most a batch and twice
    `settings.workers` images are held at a time.

    Raises:
        UsageError: the method, the views, the device or a finding do not exist.
        CxrlocError: the models share no finding.
    """
    shared = shared_findings([model.card.findings for model in models])
    _check_names("--method", [settings.method], HEATMAPS)
    _check_names("--views", [settings.views], VIEWS)
    _check_names("--finding", settings.findings, shared)
    findings = settings.findings or shared
    device = choose_device(settings.device)
    for model in models:
        model.network.to(device).eval()

    def prepare(image: Image) -> _Prepared | Failure:
        try:
            radiograph = image.read()
            inputs = [preprocess(radiograph, model.preprocessing) for model in models]
        except CxrlocError as error:
            return Failure(image.image_id, str(error))
        return _Prepared(image.image_id, radiograph, inputs)

    prepared = map_in_threads(prepare, images, settings.workers)
    while chunk := list(islice(prepared, settings.batch_size)):
        batch = [item for item in chunk if isinstance(item, _Prepared)]
        done = iter(_localize_batch(models, batch, findings, settings) if batch else ())
        for item in chunk:
            yield item if isinstance(item, Failure) else next(done)


def localize_radiograph(
    model: Model,
    radiograph: Radiograph,
    image_id: str = "",
    settings: InferenceSettings | None = None,
) -> Localization:
    """Run a model on one radiograph: probability and raw map of every finding.

    Raises:
        CxrlocError: as `localize` does, or the radiograph does not suit the model.
    """
    image = Image(image_id, lambda: radiograph)
    (result,) = localize([model], [image], settings or InferenceSettings())
    if isinstance(result, Failure):
        raise CxrlocError(result.reason)
    return result.localization


def _check_names(option: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise UsageError(f"{option} {name}: choose from {', '.join(known)}")


def _localize_batch(
    models: Sequence[Model],
    batch: Sequence[_Prepared],
    findings: tuple[str, ...],
    settings: InferenceSettings,
) -> list[Localized]:
    """Probabilities and maps of one batch, averaged over models."""
    probabilities, maps = [], []
    for index, model in enumerate(models):
        device = next(model.network.parameters()).device
        images = torch.from_numpy(np.stack([item.inputs[index][0] for item in batch])).to(device)
        versions = VIEWS[settings.views](images.shape[-2], images.shape[-1], settings.seed)
        columns = [model.card.findings.index(finding) for finding in findings]
        method = partial(HEATMAPS[settings.method], model.network, findings=columns)
        own_probabilities, own_maps = average_views(method, images, versions)
        probabilities.append(own_probabilities[:, columns].cpu())
        maps.append(own_maps.cpu())
    mean = torch.stack(probabilities).mean(0)
    return [
        _localized(item, findings, mean[row], [own[row] for own in maps])
        for row, item in enumerate(batch)
    ]


def _localized(
    item: _Prepared,
    findings: tuple[str, ...],
    probabilities: Float[Tensor, " finding"],
    maps: Sequence[Float[Tensor, "finding _row _col"]],
) -> Localized:
    """One image's result out of what each model says."""
    to_image = [
        _grid_to_image(to_input, pixels.shape, own.shape)
        for (pixels, to_input), own in zip(item.inputs, maps, strict=True)
    ]
    rows, columns = item.radiograph.pixels.shape
    localization = Localization(
        image_id=item.image_id,
        findings=findings,
        probabilities=probabilities.numpy(),
        maps=average_maps(maps, to_image).numpy(),
        to_image=to_image[0],
        rows=rows,
        columns=columns,
    )
    return Localized(item.radiograph, localization)


def _grid_to_image(
    to_input: Affine, input_shape: tuple[int, ...], maps_shape: tuple[int, ...]
) -> Affine:
    """Cells of the map to original pixels: the grid spans the network's input."""
    cell = Affine(xx=input_shape[-1] / maps_shape[-1], yy=input_shape[-2] / maps_shape[-2])
    return compose(cell, inverse(to_input))


def heatmaps_of(localization: Localization) -> list[Heatmap]:
    """One `Heatmap` per finding."""
    return [
        Heatmap(
            image_id=localization.image_id,
            finding=finding,
            scores=scores,
            to_image=localization.to_image,
            rows=localization.rows,
            columns=localization.columns,
        )
        for finding, scores in zip(localization.findings, localization.maps, strict=True)
    ]
