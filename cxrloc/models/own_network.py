"""Checks of a user's own network, made once, before its first results are used.

A network that breaks the contract of `LocalizingNetwork` would give maps and probabilities that
look plausible but are wrong.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.models.any_layer import LayerNetwork
from cxrloc.models.context import Subject, bound
from cxrloc.models.heads import any_weight, logits_of_features
from cxrloc.models.localizer import LocalizingNetwork
from cxrloc.models.model import Model
from cxrloc.text import one_line
from cxrloc.types import CxrlocError

WANTED = (
    "a network must give (logits [batch, finding], features [batch, depth, row, col]), with "
    "logits = prediction(pool(features)), or head(features), and prediction an nn.Linear"
)


def check_own_network(
    model: Model, images: Float[Tensor, "batch channel row col"], subjects: Sequence[Subject]
) -> None:
    """Refuse a network whose class activation maps would not explain its logits.

    Args:
        model: the network, and the card that names its findings.
        images: a batch of images, preprocessed for the network.
        subjects: what is known about these images besides their pixels.

    Raises:
        CxrlocError: the network breaks the contract; the message says what is wrong and what is
            required.
    """
    name, findings = model.card.name, model.card.findings
    if not isinstance(model.network, LayerNetwork):
        _check_parts(name, model.network)
    network = bound(model.network, subjects)
    try:
        with torch.no_grad():
            output: Any = network(images)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = one_line(str(error), 200)
        shape = tuple(images.shape)
        raise CxrlocError(
            f"{name}: the network refuses images of shape {shape}: {reason}"
        ) from error
    logits, features = _parts_of(name, output)
    batch = len(images)
    if logits.shape != (batch, len(findings)):
        raise CxrlocError(
            f"{name}: logits have the shape {tuple(logits.shape)}, but its card names "
            f"{len(findings)} findings ({', '.join(findings)}), so ({batch}, {len(findings)}) is "
            "wanted"
        )
    if features.ndim != 4 or len(features) != batch:
        tokens = (
            ". Tokens [batch, token, depth] of a transformer become such features without the "
            "prefix tokens and with the others put on their grid"
            if features.ndim == 3
            else ""
        )
        raise CxrlocError(
            f"{name}: features have the shape {tuple(features.shape)}: {WANTED}{tokens}"
        )
    _check_logits(name, network, logits, features)


def _check_parts(name: str, network: nn.Module) -> None:
    """Refuse a network without the parts from which maps are computed."""
    if isinstance(network, nn.DataParallel | nn.parallel.DistributedDataParallel):
        raise CxrlocError(f"{name}: give the network inside {type(network).__name__}, its .module")
    prediction = getattr(network, "prediction", None)
    has_head = any(callable(getattr(network, part, None)) for part in ("head", "pool"))
    if not isinstance(prediction, nn.Linear) or not has_head:
        found = "neither head nor pool"
        if not isinstance(prediction, nn.Linear):
            kind = "none" if prediction is None else f"a {type(prediction).__name__}"
            found = f"{kind} as prediction"
        raise CxrlocError(
            f"{name}: this {type(network).__name__} has {found}: take a gradient method and name "
            f"the layer to be explained (--method grad_cam --layer NAME; it has "
            f"{', '.join(part for part, _ in network.named_children())}), or: {WANTED}"
        )


def _parts_of(name: str, output: Any) -> tuple[Tensor, Tensor]:
    """The logits and the features in the output of the network."""
    if isinstance(output, tuple | list) and len(output) == 2:
        logits, features = output
        if isinstance(logits, Tensor) and isinstance(features, Tensor):
            return logits, features
    found = (
        f"one tensor {tuple(output.shape)}"
        if isinstance(output, Tensor)
        else f"a {type(output).__name__}"
    )
    raise CxrlocError(f"{name}: {WANTED}; it gives {found}")


def _check_logits(name: str, network: LocalizingNetwork, logits: Tensor, features: Tensor) -> None:
    """Refuse logits that do not come from the features or that do not depend on several cells."""
    with torch.inference_mode(False), torch.enable_grad():
        leaf = features.detach().clone().to(any_weight(network).dtype).requires_grad_()
        try:
            head = logits_of_features(network, leaf)
        except (RuntimeError, TypeError, ValueError) as error:
            reason = one_line(str(error), 200)
            raise CxrlocError(f"{name}: {WANTED}; from its features it gives: {reason}") from error
        if not isinstance(head, Tensor) or head.shape != logits.shape:
            found = tuple(head.shape) if isinstance(head, Tensor) else type(head).__name__
            raise CxrlocError(f"{name}: {WANTED}; from its features it gives {found}")
        gradient = (
            torch.autograd.grad(head.sum(), leaf, allow_unused=True)[0]
            if head.requires_grad
            else None
        )
    head = head.detach().float()
    logits = logits.detach().float()
    tolerance = 1e-3 * max(1.0, float(head.abs().max()))
    if not torch.allclose(logits, head, atol=tolerance, rtol=0):
        for kind, probabilities in (("sigmoid", head.sigmoid()), ("softmax", head.softmax(dim=1))):
            if torch.allclose(logits, probabilities, atol=1e-4, rtol=0):
                raise CxrlocError(
                    f"{name}: forward gives probabilities ({kind} of the prediction) where logits "
                    "are wanted: leave that function out; the card's `probabilities` names it"
                )
        raise CxrlocError(
            f"{name}: its logits are not those of its features by head or pool: they differ by up "
            f"to {float((logits - head).abs().max()):.3g}. Maps of these features would not "
            "explain them. A transformer whose logits come from its class token needs the pooling "
            "of its patch tokens instead; between pool and prediction there may be no layer"
        )
    cells = features.shape[2] * features.shape[3]
    reached = 0 if gradient is None else int((gradient != 0).any(dim=0).any(dim=0).sum())
    if cells > 1 and reached <= 1:
        raise CxrlocError(
            f"{name}: pool reads {'one cell' if reached else 'nothing'} of the {cells} cells of "
            "the features, so maps of the other cells would mean nothing. Where logits come from "
            "the class token of a transformer, its patch tokens have no class activation maps; "
            "gradient methods explain an earlier layer, such as --layer blocks.11.norm1"
        )
