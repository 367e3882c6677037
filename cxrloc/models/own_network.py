"""Checks of a user's own network, made once, before its first results are used.

A network that breaks the contract of `LocalizingNetwork` would give maps and probabilities that
look plausible but are wrong.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.errors import CxrlocError
from cxrloc.models.any_layer import LayerNetwork
from cxrloc.models.context import Subject, bound
from cxrloc.models.heads import any_weight, logits_of_features
from cxrloc.models.localizer import LocalizingNetwork
from cxrloc.models.model import Model
from cxrloc.text import one_line

WANTED = (
    "a network must give (logits [batch, finding], features [batch, depth, row, col]), with "
    "logits = prediction(pool(features)), or head(features), and prediction an nn.Linear"
)


def check_own_network(
    model: Model,
    images: Float[Tensor, "batch channel row col"],
    subjects: Sequence[Subject],
    by_prediction: bool = False,
) -> None:
    """Refuse a network whose maps would not explain its logits.

    Args:
        model: the network, and the card that names its findings.
        images: a batch of images, preprocessed for the network.
        subjects: what is known about these images besides their pixels.
        by_prediction: maps will be weighted by the prediction layer, as class activation maps are.

    Raises:
        CxrlocError: the network breaks the contract; the message says what is wrong and what is
            required.
        FloatingPointError: a logit or a feature is not finite, which may be due to these images
            alone, so nothing follows from them.
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
    if not (logits.isfinite().all() and features.isfinite().all()):
        raise FloatingPointError(f"{name}: its logits or features are not finite (NaN or infinite)")
    _check_logits(name, network, logits, features)
    if by_prediction:
        _check_prediction(name, network, features)


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
        if kind := _kind_of_probabilities(head):
            raise CxrlocError(
                f"{name}: the network ends with {kind}, but logits are wanted: leave that function "
                "out; the card's `probabilities` names it"
            )
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


_OF_PROBABILITIES = {
    "SigmoidBackward0": "a sigmoid",
    "LogSigmoidBackward0": "the logarithm of a sigmoid",
    "SoftmaxBackward0": "a softmax",
}
_OF_SHAPE = ("Clamp", "Clone", "Reshape", "Slice", "Squeeze", "ToCopy", "Unsqueeze", "View")
"""Names of autograd for functions that give probabilities, and for those that may follow them."""


def _kind_of_probabilities(head: Tensor) -> str | None:
    """The function at the end of a network that makes probabilities of logits; None without one."""
    step: Any = head.grad_fn
    while step is not None and step.name().startswith(_OF_SHAPE):
        step = step.next_functions[0][0]
    return None if step is None else _OF_PROBABILITIES.get(step.name())


def _check_prediction(name: str, network: LocalizingNetwork, features: Tensor) -> None:
    """Refuse a prediction layer whose weights are not those of the features' channels.

    Class activation maps weight channel d of the features by weight d of the layer. So the layer
    reads the features of each cell, or pooled features whose number d comes from channel d, and
    what it gives is the logits, or is pooled to them.
    """
    why = _why_weights_are_of_others(network, features)
    if why:
        raise CxrlocError(
            f"{name}: class activation maps would be wrong, because {why}. Let `prediction` be the "
            "only layer behind the features, or take a gradient method (--method grad_cam), which "
            "explains any head"
        )


def _why_weights_are_of_others(network: LocalizingNetwork, features: Tensor) -> str:
    """Why the weights of the prediction layer are not those of the features; empty if they are."""
    generator = torch.Generator().manual_seed(0)
    # Features of a blank image may all be 0, and would fit any weights.
    drawn = torch.rand(features.shape, generator=generator).to(any_weight(network))
    head, seen = _runs_of_prediction(network, drawn)
    if len(seen) != 1:
        return f"its head runs `prediction` {len(seen)} times"
    read, written = seen[0]
    batch, depth = drawn.shape[:2]
    if read.shape[-1] != depth:
        return f"`prediction` reads {read.shape[-1]} numbers and the features have {depth}"
    rows = read.reshape(-1, depth)
    if len(rows) != batch:
        cells = drawn.movedim(1, 3).reshape(-1, depth)
        # The head may have the cells in any order; sorted rows do not depend on it.
        same = torch.equal(rows.unique(dim=0), cells.unique(dim=0))
        return "" if same else "its head changes the features before `prediction` reads them"
    if written.numel() != head.numel() or not torch.allclose(written.reshape(head.shape), head):
        return "its head changes what `prediction` gives"
    if not _keeps_channels(network, drawn):
        return "its pooling mixes the channels of the features, or gives them different factors"
    return ""


def _runs_of_prediction(
    network: LocalizingNetwork, features: Tensor
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """The logits of features, and what `prediction` reads and gives each time that it runs."""
    seen: list[tuple[Tensor, Tensor]] = []
    handle = network.prediction.register_forward_hook(
        lambda module, inputs, output: seen.append((inputs[0], output))
    )
    try:
        with torch.no_grad():
            return logits_of_features(network, features), seen
    finally:
        handle.remove()


def _keeps_channels(network: LocalizingNetwork, drawn: Tensor) -> bool:
    """Whether the pooling gives each channel the same positive factor.

    Where all cells are equal, every pooling of cells (mean, maximum, LSE, attention) gives the
    value c_d of channel d, and a normalisation over the channels gives a c_d + b, with a and b of
    the image. What is added to a channel is no part of its map, and drops out of the difference
    between the pooled 0.5 + x and 0.5 - x. If x sums to 0, both have the same mean, deviation and
    length, so this difference must be a x_d, with one a > 0 for all channels.
    """
    if drawn.shape[1] == 1:  # a single channel is not mixed
        return True
    x = drawn[:, :, :1, :1]
    x = (x - x.mean(dim=1, keepdim=True)) / 2  # so that 0.5 + x and 0.5 - x are in [0, 1]
    (above,), (below,) = (
        _runs_of_prediction(network, (0.5 + each).expand_as(drawn))[1] for each in (x, -x)
    )
    x = x[:, :, 0, 0].float()
    y = (above[0] - below[0]).reshape(x.shape).float()
    a = (x * y).sum(dim=1, keepdim=True) / x.square().sum(dim=1, keepdim=True)
    close = (y - a * x).abs() <= 0.01 * y.abs().amax(dim=1, keepdim=True)
    return bool((close & (a > 0)).all())
