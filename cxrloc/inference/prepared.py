"""Images on their way into a network of any kind: to be read, prepared, or failed.

Nothing here imports torch, because exported graphs run without it.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.files.whole import DiskError
from cxrloc.images.preprocessing import preprocess
from cxrloc.inference.ensemble import shared_findings
from cxrloc.models.described import Described, Input
from cxrloc.text import one_line
from cxrloc.types import Affine, Radiograph, View


@dataclass(frozen=True, slots=True)
class InferenceSettings:
    """How a model is run.

    Attributes:
        method: a name of `HEATMAPS`.
        findings: findings to localize; empty for all findings that the models share.
        versions: a name of `VERSIONS`: the image as it is, or several versions of it averaged.
        device: "cpu", "cuda", "cuda:1", "mps", or several with commas between, each of which
            computes in a process of its own; "auto": all GPUs if there are any, or the CPU.
        batch_size: images in one forward pass on a GPU, halved while they do not fit into its
            memory; None: as many as fit. A CPU takes one at a time.
        workers: threads that read files ahead; processes for many images on a GPU.
        seed: seed of the random transforms of test-time augmentation.
        products: take each model's probabilities as conditional on the parent in CheXpert's tree,
            and multiply them along the tree (`unconditional`). This is done for each version of the
            image and before anything is averaged, as Pham et al. 2019 do with what "the CNN" gives.
        layer: layer whose output a gradient method explains; empty: the network's own features.
        precision: of the forward passes: "fp32", "bf16", "fp16", or "auto": "fp16" on a CUDA GPU,
            otherwise "fp32". Maps and probabilities are computed in float32 from their features.
    """

    method: str = "cam"
    findings: tuple[str, ...] = ()
    versions: str = "plain"
    device: str = "auto"
    batch_size: int | None = None
    workers: int = 2
    seed: int = 0
    products: bool = False
    layer: str = ""
    precision: str = "auto"


class Image(NamedTuple):
    """An image that has not been read yet.

    Attributes:
        image_id: names it in every output.
        read: function that reads the image.
        read_partner: function that reads the other view of the pair, for networks that need both.
        files: files of the image and its partner. An interrupted run that goes on computes an image
            again if one of them has changed.
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


def chosen_findings(models: Sequence[Described], settings: InferenceSettings) -> tuple[str, ...]:
    """The findings asked for, or all that the models share.

    Raises:
        UsageError: a finding is not shared by the models.
        CxrlocError: the models share no finding.
    """
    shared = shared_findings([model.card.findings for model in models])
    check_names("--finding", settings.findings, shared)
    return settings.findings or shared


def prepare_image(image: Image, models: Sequence[Described]) -> Prepared | Failure:
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


def without_pixels(image: Prepared) -> Prepared:
    """The image with only the extremes of its radiograph's pixels.

    Only pictures need the other pixels. Without them an image is sent to another process many times
    faster, and the extremes still show whether the image is blank.
    """
    pixels = image.radiograph.pixels
    ends = np.array([[pixels.min(), pixels.max()]], dtype=pixels.dtype)
    return image._replace(radiograph=replace(image.radiograph, pixels=ends))


def _network_input(
    model: Described, radiograph: Radiograph, image: Image
) -> tuple[Float[np.ndarray, "channel row col"], Affine]:
    """The network input of an image, and the affine from original pixels to this input."""
    tensor, to_input = preprocess(radiograph, model.preprocessing)
    if Input.SECOND_VIEW not in model.reads:
        return tensor, to_input
    if image.read_partner is None:
        raise CxrlocError(
            f"{image.image_id}: {model.card.name} reads a frontal and a lateral image together and "
            "this one is in no pair: name pairs with --pairs FILE.csv"
        )
    partner, _ = preprocess(image.read_partner(), model.preprocessing)
    views = (partner, tensor) if radiograph.view is View.LATERAL else (tensor, partner)
    return np.concatenate(views), to_input


def _with_warnings(radiograph: Radiograph, models: Sequence[Described]) -> Radiograph:
    """The radiograph, with a warning if it lacks data that a model reads beside the pixels."""
    if not any(Input.METADATA in model.reads for model in models):
        return radiograph
    from cxrloc.models.meta import missing_meta  # here, because it imports torch

    missing = missing_meta(radiograph)
    if not missing:
        return radiograph
    return replace(radiograph, warnings=(*radiograph.warnings, missing))


def check_names(option: str, names: Iterable[str], known: Collection[str]) -> None:
    """Raise an error if an option names something that does not exist.

    Raises:
        UsageError: the message says what may be named.
    """
    for name in names:
        if name not in known:
            raise UsageError(f"{option} {name}: choose from {', '.join(known)}")
