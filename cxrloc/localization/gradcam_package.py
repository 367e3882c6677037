"""Heatmap methods of the grad-cam package, protected against the side effects of the package.

The package (1.5.7) clips a map at 0, scales it to its extremes and enlarges it, twice. It sums one
target over a batch of three images without a warning, hides an `IndexError` in its `with` block,
leaves the model in evaluation mode, clears its gradients, and draws progress bars. Here we take the
raw map before it is clipped, pass images and findings one at a time, use no `with` block, hide the
network's own modules from the package, and restore the training modes.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.models.heads import any_weight, logits_of_features
from cxrloc.models.localizer import LocalizingNetwork
from cxrloc.models.probabilities import Probabilities

MASKS_IMAGES = ("ScoreCAM",)
"""Classes that run the whole network on altered images; the other classes need only its head."""


class _Head(nn.Module):
    """A module from features to logits, with a layer that the package can observe and replace.

    The network is not registered as a submodule, so that the package does not change its mode.
    """

    def __init__(self, network: LocalizingNetwork) -> None:
        super().__init__()
        self.features = nn.Identity()
        self.of_features = partial(logits_of_features, network)
        # The package reads the device from the parameters, so the module needs at least one.
        self.no_parameter = nn.Parameter(any_weight(network).detach().new_empty(0))

    def forward(self, features: Tensor) -> Tensor:
        # Multiplied by 1, because the package detaches the gradient in place, which fails for a
        # view. The term of 0 gives a linear head a second derivative, for ShapleyCAM.
        weighted = self.features(features) * 1.0
        return self.of_features(weighted) + 0.0 * weighted.square().sum()


class _Whole(nn.Module):
    """A module from images to logits, with a layer that the package can observe and replace."""

    def __init__(self, network: LocalizingNetwork) -> None:
        super().__init__()
        self.features = nn.Identity()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return logits_of_features(self.network, self.features(self.network(images)[1]))


def package_heatmap(
    method: str,
    network: LocalizingNetwork,
    images: Float[Tensor, "batch channel height width"],
    findings: Sequence[int] | None = None,
    probabilities: Probabilities | None = None,
) -> tuple[Float[Tensor, "batch all_finding"], Float[Tensor, "batch finding row col"]]:
    """Logits and raw maps by a class of the grad-cam package, one image and finding at a time.

    All methods except ScoreCAM start from the features and run only the head. ScoreCAM is slow: it
    runs the network once per feature, image and finding. The maps of EigenCAM, KPCA-CAM and FEM do
    not depend on the finding. The sign of the maps of EigenCAM, EigenGradCAM and KPCA-CAM is
    arbitrary.

    Args:
        method: a class of `pytorch_grad_cam`.
        network: see `LocalizingNetwork`.
        images: images, preprocessed for the network.
        findings: columns of the logits; all by default.
        probabilities: function that turns logits into probabilities. If it is given, the map
            explains the probability of a finding, otherwise its logit.
    """
    import pytorch_grad_cam  # here, because it loads OpenCV and more

    with torch.no_grad():
        logits, features = network(images)
    columns = range(logits.shape[1]) if findings is None else findings
    masks_images = method in MASKS_IMAGES
    inputs = images if masks_images else features.to(any_weight(network).dtype)
    # Copies made outside inference mode can take part in differentiation.
    with torch.inference_mode(False), torch.enable_grad():
        model = _Whole(network) if masks_images else _Head(network)
        with _modes_restored(model), _parameters_frozen(network):
            explain = getattr(pytorch_grad_cam, method)
            maps = [
                [
                    _raw_map(explain, model, one, _target(column, probabilities))
                    for column in columns
                ]
                for one in inputs.clone().split(1)
            ]
    return logits, torch.from_numpy(np.array(maps, dtype=np.float32)).to(images.device)


def _target(column: int, probabilities: Probabilities | None) -> Callable[[Tensor], Tensor]:
    """The function of the logits of one image that the package explains."""
    if probabilities is None:
        return lambda logits: logits[column]
    return lambda logits: probabilities(logits[None])[0, column]


def _raw_map(
    method: Callable[..., Any], model: nn.Module, one: Tensor, target: Callable[[Tensor], Tensor]
) -> Float[np.ndarray, "row col"]:
    """The map of one image and one target, taken before the package clips and scales it."""
    explainer = method(model, [model.features])
    raw: list[np.ndarray] = []
    unpatched = explainer.get_cam_image

    def get_cam_image(*arguments: Any) -> np.ndarray:
        raw.append(unpatched(*arguments))
        return raw[0]

    explainer.get_cam_image = get_cam_image
    try:
        with _no_progress_bar(method.__module__):
            explainer(one.detach().requires_grad_(), [target])
    finally:
        explainer.activations_and_grads.release()
    return raw[0][0]


@contextmanager
def _modes_restored(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def _parameters_frozen(network: Any) -> Iterator[None]:
    """Freeze all parameters in the block, so that the package does not change their gradients."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


@contextmanager
def _no_progress_bar(module: str) -> Iterator[None]:
    # The package has no option for this, so the name `tqdm` in its module is replaced in the block.
    names = vars(sys.modules[module])
    shown = names.get("tqdm")
    names["tqdm"] = SimpleNamespace(tqdm=lambda steps: steps)
    try:
        yield
    finally:
        names["tqdm"] = shown
