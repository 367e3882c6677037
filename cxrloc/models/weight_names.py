"""Finds the weights of a classifier among the names that a training program gave them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

import torch
from jaxtyping import Float
from torch import Tensor

from cxrloc.errors import CxrlocError
from cxrloc.models.classifiers import GRADIENTS, Classifier
from cxrloc.models.transformers_names import from_transformers

COUNTER = "num_batches_tracked"
"""End of the names of counters, which evaluation does not use and old versions did not write."""

SHOWN = 6
"""Names that a message lists at most."""

COPIES = ("ema", "teacher", "target", "momentum", "swa")
"""Parts of the names of second copies of a network, taken only where there is no other."""


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """The weights of a classifier under the library's names.

    Attributes:
        body: all weights except those of the head.
        head_weight: weight of the linear layer that gives the logits.
        head_bias: bias of this layer.
        channels: number of input channels, 1 or 3.
        position_size: side in pixels of the square that position embeddings are made for; 0 where
            it is the library's.
        notes: what was done with the names.
    """

    body: Mapping[str, Tensor]
    head_weight: Float[Tensor, "out depth"]
    head_bias: Float[Tensor, " out"]
    channels: int
    position_size: int
    notes: tuple[str, ...]


def match_names(
    tensors: Mapping[str, Tensor], classifier: Classifier, without: Iterable[str] = ()
) -> Matched:
    """The weights of a classifier, whatever wrappers and heads its training program put around it.

    Names of transformers become those of timm. The function undoes prefixes ("module.", "model.",
    "net."), old names of DenseNet ("norm.1"), heads in a sequence (with dropout before or a
    sigmoid after the linear layer), heads as 1 x 1 convolutions, and heads of one output each.

    Args:
        tensors: weights by their name in the file.
        classifier: the classifier that they are for.
        without: patterns of names that the classifier does not use.

    Raises:
        CxrlocError: weights are missing, have other shapes, or are left over; the message lists
            them with similar names.
    """
    tensors = from_transformers({_modern(name): tensor for name, tensor in tensors.items()})
    expected = {
        name: tensor
        for name, tensor in classifier.network.state_dict().items()
        if not name.startswith(f"{classifier.head}.")
    }
    prefix, cut = _prefix(tensors, expected)
    notes = [f"undone: the prefix {prefix!r}"] if prefix else []
    body = {
        name: tensors[prefix + name.removeprefix(cut)]
        for name in expected
        if prefix + name.removeprefix(cut) in tensors
    }
    remaining = {
        name: tensor
        for name, tensor in tensors.items()
        if not (name.startswith(prefix) and _in(name.removeprefix(prefix), cut, body))
        and not name.endswith(COUNTER)
    }
    remaining, left_out = _without_copies(remaining, expected, cut)
    notes += left_out
    dropped = [name for name in remaining if any(fnmatchcase(name, each) for each in without)]
    remaining = {name: tensor for name, tensor in remaining.items() if name not in dropped}
    if dropped:
        notes.append(f"left out as asked: {_some(dropped)}")
    channels, position_size = _check_shapes(body, expected, classifier)
    head_weight, head_bias, used = _head(remaining, classifier, prefix)
    if unfit := [name for name in remaining if name not in used]:
        raise CxrlocError(_left_over(unfit))
    return Matched(body, head_weight, head_bias, channels, position_size, tuple(notes))


def _modern(name: str) -> str:
    """A name as torchvision writes it today: `denselayer1.norm.1` was that of `.norm1`.

    >>> _modern("features.denseblock1.denselayer2.norm.1.weight")
    'features.denseblock1.denselayer2.norm1.weight'
    """
    return re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.", r"\1\2.", name)


def _in(name: str, cut: str, body: Mapping[str, Tensor]) -> bool:
    return name in body or (bool(cut) and cut + name in body)


def _needed(expected: Mapping[str, Tensor]) -> list[str]:
    return [name for name in expected if not name.endswith(COUNTER)]


def _prefix(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> tuple[str, str]:
    """The prefix of the classifier's names in the file, and a beginning that the file leaves out.

    Raises:
        CxrlocError: no prefix gives all names; those that are missing are listed.
    """
    needed = _needed(expected)
    found: list[tuple[int, bool, int, str, str]] = []
    for cut in ("", "features."):
        names = [name.removeprefix(cut) for name in needed]
        if cut and names == needed:
            continue
        prefixes = {
            each.removesuffix(names[0])
            for each in tensors
            if each == names[0] or each.endswith(f".{names[0]}")
        }
        for prefix in prefixes or {""}:
            missing = sum(prefix + name not in tensors for name in names)
            copy = any(part in prefix.lower() for part in COPIES)
            found.append((missing, copy, len(prefix), prefix, cut))
    missing, _, _, prefix, cut = min(found)
    if missing:
        lacking = [name for name in needed if prefix + name.removeprefix(cut) not in tensors]
        raise CxrlocError(
            f"{missing} of the {len(needed)} weights of this architecture are missing: "
            f"{_with_similar(lacking, tensors)}. The file has {_some(tensors)}"
        )
    return prefix, cut


def _without_copies(
    rest: Mapping[str, Tensor], expected: Mapping[str, Tensor], cut: str
) -> tuple[dict[str, Tensor], list[str]]:
    """The remaining weights without further complete copies of the network, and what is said."""
    needed = [name.removeprefix(cut) for name in _needed(expected)]
    kept, notes = dict(rest), []
    prefixes = sorted(
        each.removesuffix(needed[0]) for each in rest if each.endswith(f".{needed[0]}")
    )
    for prefix in prefixes:
        if all(prefix + name in rest for name in needed):
            kept = {name: tensor for name, tensor in kept.items() if not name.startswith(prefix)}
            notes.append(f"left out: a second copy of the network, {prefix}*")
    return kept, notes


def _check_shapes(
    body: Mapping[str, Tensor], expected: Mapping[str, Tensor], classifier: Classifier
) -> tuple[int, int]:
    """The number of input channels, and the side that position embeddings are made for.

    Raises:
        CxrlocError: another shape differs from that of the architecture.
    """
    first = next(name for name, tensor in expected.items() if tensor.ndim == 4)
    channels, position_size = body[first].shape[1], 0
    wrong = []
    for name, tensor in body.items():
        shape = expected[name].shape
        if tensor.shape == shape:
            continue
        if name == "pos_embed" and tensor.shape[2] == shape[2]:
            position_size = _position_size(classifier, tensor.shape[1])
        elif name != first or (tensor.shape[0], *tensor.shape[2:]) != (shape[0], *shape[2:]):
            wrong.append(f"{name} {tuple(tensor.shape)}, not {tuple(shape)}")
    if wrong:
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise CxrlocError(f"shapes of another architecture: {', '.join(wrong[:SHOWN])}{more}")
    if channels not in (1, 3):
        raise CxrlocError(f"its first layer reads {channels} channels: 1 or 3 can be adopted")
    return channels, position_size


def _position_size(classifier: Classifier, tokens: int) -> int:
    """The side of the image whose patches, with the prefix tokens, are this many tokens."""
    network = classifier.network
    prefix = 0 if getattr(network, "no_embed_class", False) else network.num_prefix_tokens
    side = round((tokens - int(prefix)) ** 0.5)  # type: ignore[arg-type]
    if side * side + int(prefix) != tokens:  # type: ignore[arg-type]
        raise CxrlocError(f"pos_embed has {tokens} tokens, which are no square of patches")
    return side * int(network.patch_embed.patch_size[0])  # type: ignore[union-attr, index]


def _head(
    rest: Mapping[str, Tensor], classifier: Classifier, prefix: str
) -> tuple[Tensor, Tensor, set[str]]:
    """Weight and bias of the linear layer among the remaining weights, and their names."""
    widths = (classifier.depth, 2 * classifier.depth) if classifier.tokens else (classifier.depth,)
    layers = {}
    for name, tensor in rest.items():
        flat = tensor.flatten(1) if tensor.ndim == 4 else tensor
        if name.rpartition(".")[2] == "weight" and flat.ndim == 2 and flat.shape[1] in widths:
            layers[name.removesuffix("weight")] = flat
    usual_layers = [layer for layer in layers if layer.startswith(f"{prefix}{classifier.head}.")]
    chosen = usual_layers or sorted(layers, key=_natural)
    if not chosen:
        twice = 2 * classifier.depth
        wide = [name for name, layer in rest.items() if layer.ndim == 2 and layer.shape[1] == twice]
        if wide:
            raise CxrlocError(
                f"{wide[0]} reads {twice} numbers, twice as many as there are features, as after "
                f"an average and a maximum of them: such a head {GRADIENTS}"
            )
        raise CxrlocError(
            f"no head: a linear layer that reads {classifier.depth} channels is wanted, and the "
            f"file has {_some(f'{name} {tuple(tensor.shape)}' for name, tensor in rest.items())}"
        )
    single = all(len(layers[layer]) == 1 for layer in chosen)
    if len(chosen) > 1 and not single:
        names = ", ".join(f"{layer}weight" for layer in chosen)
        raise CxrlocError(f"several layers may be its head: {names}; --without leaves one out")
    weight = [layers[layer] for layer in chosen]
    bias = [rest.get(f"{layer}bias", torch.zeros(len(layers[layer]))) for layer in chosen]
    used = {f"{layer}{part}" for layer in chosen for part in ("weight", "bias")}
    return torch.cat(weight), torch.cat(bias), used


def _natural(name: str) -> list[tuple[int, str]]:
    """A key for sorting: numbers in a name count as numbers.

    >>> sorted(["fc_10.", "fc_2."], key=_natural)
    ['fc_2.', 'fc_10.']
    """
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _left_over(unfit: list[str]) -> str:
    option = f"--without '{unfit[0].rpartition('.')[0] or unfit[0]}*'"
    return (
        f"weights that are not of this architecture: {_some(unfit)}. If its logits do not use "
        f"them, leave them out: {option}"
    )


def _with_similar(names: list[str], known_names: Iterable[str]) -> str:
    known = list(known_names)
    parts = []
    for name in names[:SHOWN]:
        alike = get_close_matches(name, known, n=1)
        parts.append(f"{name} (similar: {alike[0]})" if alike else name)
    return _some(parts, len(names))


def _some(names: Iterable[str], total: int = 0) -> str:
    every = list(names)
    more = (total or len(every)) - len(every[:SHOWN])
    return ", ".join(every[:SHOWN]) + (f" and {more} more" if more > 0 else "")
