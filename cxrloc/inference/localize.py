"""Probabilities and raw maps of many images."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.inference.batches import (
    Compute,
    batch_function,
    network_for,
    network_inputs,
    probabilities_of,
    versions_of,
)
from cxrloc.inference.ensemble import mean_probabilities
from cxrloc.inference.localized import Localized, cell_affine, localized
from cxrloc.inference.prepared import (
    Failure,
    Image,
    InferenceSettings,
    Prepared,
    check_names,
    chosen_findings,
)
from cxrloc.inference.streaming import in_batches
from cxrloc.inference.suitability import suitability
from cxrloc.inference.versions import average_versions
from cxrloc.inference.watched import Watched, distances_of
from cxrloc.localization.attention import ATTENTION_METHODS, check_attention
from cxrloc.localization.heatmaps import (
    ALTERS_IMAGES,
    HEATMAPS,
    NEED_PREDICTION,
    heatmap_method,
)
from cxrloc.models.any_layer import layer_of_class_token
from cxrloc.models.centring import mean_maps
from cxrloc.models.described import Input
from cxrloc.models.model import Model
from cxrloc.types import Radiograph


def localize(
    models: Sequence[Model],
    images: Iterable[Image],
    settings: InferenceSettings,
    keep_pixels: bool = True,
) -> Iterator[Localized | Failure]:
    """Run models on images; results come in the order of the images.

    Several models form an ensemble over the findings that all of them know. Its probabilities are
    the mean of the models' probabilities. Its maps are the mean of the models' maps, each first
    scaled to [0, 1] by its own minimum and maximum. See `in_batches` for failures, memory, and
    whether the radiographs of the results keep their pixels.

    Raises:
        UsageError: the method, the versions, the device or a finding do not exist, or several
            versions are asked of a centred network with a method other than "cam".
        CxrlocError: the models share no finding.
    """
    settings = _suited(models, settings)
    yield from in_batches(models, images, settings, _localizing, keep_pixels)


def localizer(
    models: Sequence[Model], settings: InferenceSettings
) -> Callable[[Sequence[Prepared | Failure]], list[Localized | Failure]]:
    """The function that gives the results of a batch of images that were prepared elsewhere.

    Raises:
        UsageError, CxrlocError: as `localize`.
    """
    return batch_function(models, _suited(models, settings), _localizing)


def _suited(models: Sequence[Model], settings: InferenceSettings) -> InferenceSettings:
    """The settings with a batch size that suits the models and the method."""
    check_names("--method", [settings.method], HEATMAPS)
    reads_more = any(model.reads != (Input.IMAGE,) for model in models)
    if settings.layer or (settings.method in ALTERS_IMAGES and reads_more):
        # Further inputs are bound per image, so a batch of altered copies must come from one image,
        # and a network that is run again from one of its layers remembers one image.
        return replace(settings, batch_size=1)
    return settings


def _localizing(models: Sequence[Model], settings: InferenceSettings) -> Compute[Localized]:
    """The function that localizes on a batch."""
    findings = chosen_findings(models, settings)
    _refuse_without_maps(models, settings)
    if settings.versions != "plain" and settings.method != "cam":
        _refuse_centred(models, settings)

    def compute(batch: Sequence[Prepared]) -> list[Localized]:
        return _localize_batch(models, batch, findings, settings)

    return compute


def localize_radiograph(
    model: Model,
    radiograph: Radiograph,
    image_id: str = "",
    settings: InferenceSettings | None = None,
) -> Localized:
    """The probability and the raw map of every finding on one radiograph.

    Raises:
        CxrlocError: as `localize` does, or the radiograph does not suit the model.
    """
    image = Image(image_id, lambda: radiograph)
    (result,) = localize([model], [image], settings or InferenceSettings())
    if isinstance(result, Failure):
        raise CxrlocError(result.reason)
    return result


def _refuse_without_maps(models: Sequence[Model], settings: InferenceSettings) -> None:
    """Raise an error for methods that need what a network, or one of its layers, does not have.

    That is a prediction layer over the features, or attention. The class activation map of a class
    token would be the same in all cells.
    """
    if settings.method in ATTENTION_METHODS:
        if settings.layer:
            raise UsageError(f"--layer {settings.layer}: {settings.method} reads all layers")
        for model in models:
            check_attention(settings.method, model.network)
    if settings.method not in NEED_PREDICTION:
        return
    if settings.layer:
        raise UsageError(
            f"--layer {settings.layer}: a layer has no class activation maps: take a gradient "
            "method, such as --method grad_cam"
        )
    for model in models:
        if layer := layer_of_class_token(model.network):
            raise UsageError(
                f"{model.card.name}: its logits come from the class token, whose class activation "
                f"maps are flat: take --method grad_cam --layer {layer}"
            )


def _refuse_centred(models: Sequence[Model], settings: InferenceSettings) -> None:
    """Raise an error for methods other than "cam" with several versions and a centred network.

    Centring is defined for class activation maps only, so other maps could not be averaged.
    """
    for model in models:
        if model.config is not None and model.config.centred_cells:
            raise UsageError(
                f"--versions {settings.versions}: maps of {model.card.name}, whose features are "
                f"centred, are averaged with --method cam alone, not {settings.method}"
            )


def _localize_batch(
    models: Sequence[Model],
    batch: Sequence[Prepared],
    findings: tuple[str, ...],
    settings: InferenceSettings,
) -> list[Localized]:
    """Probabilities and maps of one batch, averaged over models."""
    probabilities, maps, cells, far = [], [], [], []
    for index, model in enumerate(models):
        images = network_inputs(model, batch, index)
        columns = [model.card.findings.index(finding) for finding in findings]
        network = Watched(network_for(model, batch), settings.precision)
        of_network = heatmap_method(settings.method, model.probabilities)
        method = partial(of_network, network, findings=columns)
        shift = float(getattr(model.network, "cell_shift_pixels", 0.0))
        versions = versions_of(images, model, settings)
        subtracted = mean_maps(model.network, columns)
        own_probabilities, own_maps = average_versions(
            method,
            versions,
            probabilities_of(model, settings),
            shift,
            0.0 if subtracted is None else subtracted,
        )
        probabilities.append(own_probabilities[:, columns].cpu().numpy())
        maps.append(own_maps.cpu().numpy())
        far.append(distances_of(model, network, images, settings))
        cells.append(cell_affine(images.shape, own_maps.shape, shift))
    mean = mean_probabilities(probabilities)
    return [
        localized(
            item,
            findings,
            mean[row],
            [model_maps[row] for model_maps in maps],
            cells,
            suitability(models, item.radiograph, [distances[row] for distances in far]),
        )
        for row, item in enumerate(batch)
    ]
