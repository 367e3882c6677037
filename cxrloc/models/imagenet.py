"""Initial weights of a backbone that torchvision or timm trained on ImageNet."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from cxrloc.errors import CxrlocError
from cxrloc.models.backbones import timm_classifier, torchvision_models
from cxrloc.models.checkpoint_files import read_checkpoint
from cxrloc.models.library_backbones import TimmBackbone, find_backbone
from cxrloc.models.networks import Network
from cxrloc.models.pyramid import TimmPyramid
from cxrloc.text import one_line


def start_from_imagenet(network: Network, file: Path | None = None) -> None:
    """Fill the backbone, or both backbones of a DualNet, with ImageNet weights, in place.

    The caller chooses the `Preprocessing` that fits the weights: mean (0.485, 0.456, 0.406) and std
    (0.229, 0.224, 0.225) for torchvision's own weights; mean and std 0.5 for timm's weights. Mean
    and std 0.5 together with `same_padding` also fit weights that were converted from TensorFlow
    and trained on values in [-1, 1].

    Args:
        network: the network whose backbone is filled; with one input channel, the first convolution
            gets the sum over red, green and blue.
        file: weights under torchvision's names, as a safetensors file or as a state dict written by
            `torch.save` (`read_checkpoint`); None: torchvision's own weights
            (IMAGENET1K_V1) or timm's, from their cache or from the internet.

    Raises:
        CxrlocError: the file or the download is not available or does not fit the backbone, or
            torchvision's own weights were requested for a backbone that pads as TensorFlow does.
    """
    name = network.config.backbone
    if file is None and network.config.same_padding:
        raise CxrlocError(
            f"torchvision's weights of {name} were not trained with the recipe's same_padding: "
            "give --start FILE (weights that were, or a model), --start scratch, or leave "
            "same_padding out of the recipe"
        )
    source = file or f"torchvision's weights of {name}"
    weights = _imagenet_weights(name, file)
    weights = {**weights, **{key.removeprefix("features."): weights[key] for key in weights}}
    for trunk in network.trunks.values():
        backbone = trunk.get_submodule("backbone")
        if isinstance(backbone, TimmBackbone | TimmPyramid):
            backbone = backbone.network
        _fill_backbone(backbone, weights, f"{source}: no weights for {name}")


def _fill_backbone(backbone: nn.Module, weights: Mapping[str, Tensor], complaint: str) -> None:
    """Copy a classifier's weights; sum the first convolution if the backbone has a grey input."""
    expected = backbone.state_dict()
    first = next(iter(expected))
    for key, tensor in expected.items():
        if key.endswith("num_batches_tracked"):
            continue
        new = weights.get(key)
        if new is not None and key == first and tensor.shape[1] == 1:
            new = new.sum(dim=1, keepdim=True)
        if new is None or new.shape != tensor.shape:
            found = "nothing" if new is None else tuple(new.shape)
            raise CxrlocError(f"{complaint}: {key} must be {tuple(tensor.shape)}, found {found}")
        tensor.copy_(new)


def _imagenet_weights(backbone: str, file: Path | None) -> Mapping[str, Tensor]:
    """The state dict of a whole ImageNet classifier."""
    if file is not None:
        return read_checkpoint(file).tensors
    record = find_backbone(backbone)
    try:
        if record.timm_weights:
            name = record.timm_weights.partition("@")[0]
            return timm_classifier(name, pretrained=True).state_dict()
        if record.torchvision_weights:
            name = record.torchvision_weights
            return torchvision_models().get_model(name, weights="IMAGENET1K_V1").state_dict()
    except (OSError, RuntimeError) as error:
        raise CxrlocError(
            f"{backbone}: ImageNet weights not to be had ({one_line(str(error), 200)}): name a "
            "file of them, --start FILE, or begin without, --start scratch"
        ) from error
    raise CxrlocError(
        f"imagenet: nobody published ImageNet weights of {backbone}: start from scratch, or from a "
        "file of weights"
    )
