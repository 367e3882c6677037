"""Batches for every network, on one device: what fits into its memory, and which image fails."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cxrloc.devices import (
    CPU,
    PRECISIONS,
    FittingBatches,
    choose_device,
    choose_devices,
    sent,
)
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.findings import CHEXPERT_PARENTS
from cxrloc.inference.hierarchy import unconditional
from cxrloc.inference.prepared import (
    Failure,
    InferenceSettings,
    Prepared,
    check_names,
    failure_of,
)
from cxrloc.inference.versions import VERSIONS, Version, make_versions
from cxrloc.localization.attention import ATTENTION_METHODS
from cxrloc.localization.heatmaps import NEED_PREDICTION
from cxrloc.models.any_layer import with_layer
from cxrloc.models.context import bound
from cxrloc.models.localizer import LocalizingNetwork
from cxrloc.models.model import Model
from cxrloc.models.own_network import check_own_network
from cxrloc.models.probabilities import Probabilities

T = TypeVar("T")

TRIED_FIRST = 32
"""Images in one forward pass on a GPU, where the user does not say how many.

More make a GPU hardly faster, and the radiographs of a batch are in memory too. If they do not fit,
the number is halved.
"""

Compute = Callable[[Sequence[Prepared]], Sequence[T]]
"""The function that gives the results of a batch, one per image."""

Work = Callable[[Sequence[Model], InferenceSettings], Compute[T]]
"""Makes a `Compute` for models that are on their device.

A function of a module, so that it can be sent to other processes. It also refuses settings that the
models cannot do.
"""


def images_together(settings: InferenceSettings) -> int:
    """Number of images in one forward pass.

    On a CPU, the last bits of a result depend on how many images are computed together, and batches
    are no faster. With one image at a time, results depend neither on the batch size nor on where
    an interrupted run continues.
    """
    on_cpu = choose_devices(settings.device)[0] == CPU
    return 1 if on_cpu else settings.batch_size or TRIED_FIRST


def batch_function(
    models: Sequence[Model], settings: InferenceSettings, work: Work[T]
) -> Callable[[Sequence[Prepared | Failure]], list[T | Failure]]:
    """The function that gives the results of a batch of prepared images, one per image.

    The models are moved to the device of the settings.

    Raises:
        UsageError: the versions or the device do not exist.
        CxrlocError: a model has weights that are NaN.
    """
    check_names("--versions", [settings.versions], VERSIONS)
    refuse_damaged_weights(models)
    device = choose_device(settings.device)
    models = [with_layer(model, settings.layer) for model in models]
    compute = work(models, with_precision(settings))
    fitting = FittingBatches(images_together(settings))
    for model in models:
        model.network.to(device).eval()
    unchecked = [index for index, model in enumerate(models) if model.config is None]

    def in_parts(batch: Sequence[Prepared]) -> list[T]:
        return fitting.results(
            len(batch), lambda start, size: [compute(batch[start : start + size])]
        )

    def checked(item: Prepared | Failure) -> Prepared | Failure:
        try:
            while unchecked and isinstance(item, Prepared):
                index = unchecked[-1]
                inputs = network_inputs(models[index], [item], index)
                by_prediction = settings.method in NEED_PREDICTION
                check_own_network(models[index], inputs, [item.radiograph], by_prediction)
                unchecked.pop()
        except FloatingPointError as error:  # the next image may tell more
            return failure_of(item.image_id, error)
        return item

    def run(chunk: Sequence[Prepared | Failure]) -> list[T | Failure]:
        chunk = [checked(item) for item in chunk]
        batch = [item for item in chunk if isinstance(item, Prepared)]
        done = iter(_computed(batch, in_parts))
        return [item if isinstance(item, Failure) else next(done) for item in chunk]

    return run


def refuse_damaged_weights(models: Sequence[Model]) -> None:
    """Raise an error for a network with weights that are NaN.

    Buffers are not looked at, since NaN and infinite numbers in them can be meant, as in the
    operating points of torchxrayvision and in masks of attention.

    Raises:
        CxrlocError: names the model, the first such weights and, if they are rows of the prediction
            layer, their findings.
    """
    for model in models:
        for name, weights in model.network.named_parameters():
            # Types of 8 bits, which have no isnan, are converted.
            if not weights.is_floating_point() or not (nan := weights.float().isnan()).any():
                continue
            findings = ""
            if name.startswith("prediction.") and len(nan) == len(model.card.findings):
                rows = nan.reshape(len(nan), -1).any(dim=1).tolist()
                named = (each for each, bad in zip(model.card.findings, rows, strict=True) if bad)
                findings = f" of {', '.join(named)}"
            raise CxrlocError(
                f"{model.card.name}: its weights {name} hold NaN, so results{findings} would be "
                "NaN; was its training or its file damaged?"
            )


def _computed(batch: Sequence[Prepared], compute: Compute[T]) -> list[T | Failure]:
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


def with_precision(settings: InferenceSettings) -> InferenceSettings:
    """The settings with the precision that "auto" means on their device.

    A CUDA GPU computes in half precision. Its maps differ from those of float32 by at most a
    hundredth of their largest value; those of bfloat16, which has three bits less, by a tenth
    (measured with the embedded models on a CPU). A layer and the methods that read attention need
    float32. They record what a forward pass computes, and a batch that overflows in half precision
    has two passes; small gradients through the network would become zero.

    Raises:
        UsageError: there is no such precision, or the layer or the method excludes it.

    >>> with_precision(InferenceSettings(device="cpu")).precision
    'fp32'
    """
    check_names("--precision", [settings.precision], ("auto", *PRECISIONS))
    needs_single = settings.layer or settings.method in ATTENTION_METHODS
    if needs_single and settings.precision not in ("auto", "fp32"):
        what = "--layer" if settings.layer else f"--method {settings.method}"
        raise UsageError(
            f"--precision {settings.precision}: {what} reads the inside of the network, which is "
            "possible in fp32 alone"
        )
    if settings.precision != "auto":
        return settings
    on_cuda = choose_devices(settings.device)[0].type == "cuda"
    return replace(settings, precision="fp16" if on_cuda and not needs_single else "fp32")


def network_for(model: Model, batch: Sequence[Prepared]) -> LocalizingNetwork:
    """A model's network, bound to the further inputs of one batch (age, sex, view or partner)."""
    return bound(model.network, [item.radiograph for item in batch])


def network_inputs(
    model: Model, batch: Sequence[Prepared], index: int
) -> Float[Tensor, "batch channel row col"]:
    """A batch's inputs of model number `index`, on the device of its weights."""
    device = next(model.network.parameters()).device
    return sent(np.stack([item.inputs[index][0] for item in batch]), device)


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
