"""Initial weights of a network: random, from ImageNet, or from a model trained before."""

import hashlib
from pathlib import Path
from typing import Literal, cast

from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.errors import CxrlocError
from cxrloc.models.context import inputs_of
from cxrloc.models.described import Input
from cxrloc.models.dualnet import DualNet, start_from_views
from cxrloc.models.imagenet import start_from_imagenet
from cxrloc.models.localizer import Localizer
from cxrloc.models.model import Model
from cxrloc.models.networks import Network
from cxrloc.models.normalisation import unfold_normalisation
from cxrloc.models.own_code import names_own_code
from cxrloc.models.weights import has_card, read_model
from cxrloc.training.optimizers import BACKBONE

OUTPUTS = ("prediction", "meta")
"""Names of the layers that have one row per finding."""


def start(network: Network, weights: str, images: Float[Tensor, "batch channel row col"]) -> None:
    """Give a network its first weights, in place.

    If the statistics of batch normalisation were folded into the weights, they are set to those of
    some training images (`models.normalisation`).

    Args:
        network: a network with random weights.
        weights: "scratch" keeps the random weights. "imagenet", or a file of ImageNet weights,
            fills the backbone. A model that `cxrloc train` wrote, or the name of an embedded model,
            fills the whole backbone, all other layers with the same name and shape, and the outputs
            of the findings that both models have. For a DualNet, "FRONTAL + LATERAL" names a
            frontal and a lateral model.
        images: a few dozen of the training images, preprocessed for the network.

    Raises:
        CxrlocError: the weights are not available or do not fit the backbone.
    """
    fill(network, weights)
    if weights == "scratch":
        return
    for backbone, images_seen in _backbones(network, images):
        if _is_folded(backbone):
            unfold_normalisation(backbone, images_seen)


def fill(network: Network, weights: str) -> None:
    """Copy first weights into a network, in place, without setting batch normalisation.

    This function makes all checks of `start`, so that bad weights are refused before any image is
    needed.

    Raises:
        CxrlocError: the weights are not available or do not fit the backbone.
    """
    kind = _kind_of(weights)
    if kind == "models":
        _start_from_models(network, weights)
    elif kind != "scratch":
        start_from_imagenet(network, None if kind == "imagenet" else Path(weights))


def _kind_of(weights: str) -> Literal["scratch", "imagenet", "imagenet_file", "models"]:
    """The kind of first weights: random, ImageNet, a file of another package, or our own models.

    Raises:
        CxrlocError: a file is not complete, or it is a checkpoint (.ckpt).

    >>> _kind_of("imagenet"), _kind_of("resnet50.pt"), _kind_of("pa + lateral")
    ('imagenet', 'imagenet_file', 'models')
    """
    if weights == "scratch":
        return "scratch"
    if weights == "imagenet":
        return "imagenet"
    path = Path(weights)
    if path.suffix == ".ckpt":
        raise CxrlocError(
            f"{path}: a checkpoint goes on with its own training (--resume): start another one "
            "from the model.safetensors beside it"
        )
    ours = path.suffix not in (".pt", ".pth") and not _lacks_card(path)
    return "models" if ours else "imagenet_file"


def earlier_models(weights: str) -> list[Model]:
    """The models that first weights come from; the new model's card must list their patients too.

    >>> earlier_models("imagenet")
    []
    """
    if _kind_of(weights) != "models":
        return []
    names = [weights] if Path(weights).is_file() else weights.split(" + ", 1)
    if any(map(names_own_code, names)):
        # A recipe may come from somebody else, so it must not name code that is run.
        raise CxrlocError(f"start {weights!r}: code is run for --model alone; name a model file")
    return [read_model(name) for name in names]


def weights_sha256(weights: str) -> str:
    """The SHA-256 of the file of first weights, or of each model; empty if there is no file.

    >>> weights_sha256("scratch")
    ''
    """
    if _kind_of(weights) == "imagenet_file":
        return hashlib.sha256(Path(weights).read_bytes()).hexdigest()
    return " + ".join(model.sha256 for model in earlier_models(weights))


def _lacks_card(path: Path) -> bool:
    """Whether a file of safetensors was written by another package."""
    return path.is_file() and not has_card(path)


def _start_from_models(network: Network, weights: str) -> None:
    """Copy weights from the named model, or from one model per view into a DualNet."""
    models = earlier_models(weights)
    if len(models) == 1:
        _start_from_model(network, models[0], weights)
        return
    alone = all(model.reads == (Input.IMAGE,) for model in models)
    if Input.SECOND_VIEW not in inputs_of(network) or not alone:
        raise CxrlocError(
            f"{weights}: only a DualNet starts from two models, each of a single view"
        )
    frontal, lateral = (cast(Localizer, model.network) for model in models)
    start_from_views(cast(DualNet, network), frontal, lateral)


def _start_from_model(network: Network, model: Model, name_or_path: str) -> None:
    weights = model.network.state_dict()
    findings, theirs = network.config.findings, model.card.findings
    shared = [finding for finding in findings if finding in theirs]
    rows = [findings.index(finding) for finding in shared]
    their_rows = [theirs.index(finding) for finding in shared]
    for name, tensor in network.state_dict().items():
        source = weights.get(name)
        if name.split(".")[0] in OUTPUTS:
            if source is not None and source.shape[1:] == tensor.shape[1:]:
                tensor[rows] = source[their_rows]
        elif source is not None and source.shape == tensor.shape:
            tensor.copy_(source)
        elif BACKBONE in name.split("."):
            raise CxrlocError(
                f"{name_or_path}: its backbone is not that of the recipe: {name} must be "
                f"{tuple(tensor.shape)}"
            )


def _backbones(network: Network, images: Tensor) -> list[tuple[nn.Module, Tensor]]:
    """Each backbone with the images that it reads; these are consecutive in the channel axis."""
    backbones = [trunk.get_submodule("backbone") for trunk in network.trunks.values()]
    return list(zip(backbones, images.chunk(len(backbones), dim=1), strict=True))


def _is_folded(backbone: nn.Module) -> bool:
    """Whether every batch normalisation has a mean of 0 and a variance (plus eps) of 1."""
    layers = [layer for layer in backbone.modules() if isinstance(layer, nn.BatchNorm2d)]
    return bool(layers) and all(
        layer.running_mean is not None
        and layer.running_var is not None
        and not layer.running_mean.any()
        and bool(((layer.running_var + layer.eps - 1).abs() < 1e-3).all())
        for layer in layers
    )
