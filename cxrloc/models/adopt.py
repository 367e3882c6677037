"""Makes a model of this package from the weights of a classifier that was trained elsewhere.

The weights of a classifier of torchvision or timm become those of a `Localizer`: its features and
its prediction layer, whose class activation maps explain the logits. Notes name everything
else in the file, so nothing is dropped in silence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from cxrloc.errors import CxrlocError
from cxrloc.files.journal import content_hash
from cxrloc.findings import standard_finding
from cxrloc.images.preprocessing import Preprocessing, preprocess
from cxrloc.models.adopted_network import config_of, filled_network, tokens_of
from cxrloc.models.adoption import LEFT_OUT, Adoption
from cxrloc.models.checkpoint_files import read_checkpoint
from cxrloc.models.classifiers import classifier_of
from cxrloc.models.model import Model
from cxrloc.models.weight_names import Matched, match_names
from cxrloc.phantom import make_phantom
from cxrloc.types import Radiograph

TOLERANCE = 1e-3
"""Largest difference, relative to the largest logit, between the network and its classifier."""


@dataclass(frozen=True, slots=True, eq=False)
class Adopted:
    """An adopted model, and what was found out about it.

    Attributes:
        model: the model.
        notes: what was done with the names of the file.
        probabilities: of two phantoms, by the adopted network.
        grid: rows and columns of the features.
        from_features: largest difference between the logits and those of the features.
        from_library: largest difference between the logits and those of the library's classifier;
            None where the library has no classifier with this head.
    """

    model: Model
    notes: tuple[str, ...]
    probabilities: Float[Tensor, "two finding"]
    grid: tuple[int, int]
    from_features: float
    from_library: float | None


def adopt(paths: Sequence[Path], adoption: Adoption) -> Adopted:
    """A model from files of weights; several files (backbone and head) are taken together.

    Raises:
        UsageError: a file does not exist.
        CxrlocError: the architecture is unknown, or the weights do not fit it; the message lists
            what does not fit and similar names.
    """
    weights: dict[str, Tensor] = {}
    notes: list[str] = []
    for path in paths:
        checkpoint = read_checkpoint(path, adoption.key)
        if twice := weights.keys() & checkpoint.tensors.keys():
            raise CxrlocError(f"{path}: another file has the weight {min(twice)} too")
        weights |= checkpoint.tensors
        if checkpoint.key:
            notes.append(f"{path.name}: weights under {checkpoint.key!r}")
        if checkpoint.others:
            others = ", ".join(repr(name) for name in checkpoint.others)
            notes.append(f"{path.name}: left out weights under {others} (--key takes them)")
    adopted = adopt_weights(weights, adoption, ", ".join(map(str, paths)))
    digest = " + ".join(map(content_hash, paths))
    names = " + ".join(path.name for path in paths)
    provenance = {**adopted.model.card.provenance, "weights": names, "weights_sha256": digest}
    card = replace(adopted.model.card, provenance=provenance)
    model = replace(adopted.model, card=card, sha256=digest)
    return replace(adopted, model=model, notes=(*notes, *adopted.notes))


def adopt_weights(weights: Mapping[str, Tensor], adoption: Adoption, where: str) -> Adopted:
    """A model from weights by their names; `where` names their source in messages.

    Raises:
        CxrlocError: as `adopt`.
    """
    try:
        return _adopted(weights, adoption)
    except CxrlocError as error:
        raise CxrlocError(f"{where}: {error}") from error


def _adopted(weights: Mapping[str, Tensor], adoption: Adoption) -> Adopted:
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise CxrlocError(f"weight {name} holds a value that is not finite")
    classifier = classifier_of(adoption.architecture, len(adoption.findings))
    adoption = replace(adoption, findings=_standard(adoption.findings))
    matched = match_names(weights, classifier, adoption.without)
    outputs = len(matched.head_weight)
    if outputs != len(adoption.findings):
        raise CxrlocError(
            f"its head has {outputs} outputs, but {len(adoption.findings)} findings are named "
            f"({', '.join(adoption.findings)}); '{LEFT_OUT}' in place of a name leaves an output "
            "out"
        )
    matched = _in_float32(matched)
    config = config_of(classifier, matched, adoption)
    adoption = replace(
        adoption, preprocessing=for_channels(adoption.preprocessing, matched.channels)
    )
    network = filled_network(config, classifier, matched, adoption.outputs)
    images = _two_phantoms(adoption.preprocessing)
    with torch.no_grad():
        logits, features = network(images)
        from_features = float((network.head(features) - logits).abs().max())
    difference = _difference(matched, adoption, images, logits)
    card = replace(
        adoption.card,
        findings=config.findings,
        provenance={**adoption.card.provenance, "architecture": adoption.architecture},
    )
    model = Model(network, config, adoption.preprocessing, card)
    return Adopted(
        model,
        (*matched.notes, *([classifier.remark] if classifier.remark else [])),
        model.probabilities(logits),
        (features.shape[2], features.shape[3]),
        from_features,
        difference,
    )


def _standard(findings: Sequence[str]) -> tuple[str, ...]:
    """The findings in the one spelling that all results have."""
    return tuple(each if each == LEFT_OUT else standard_finding(each) for each in findings)


def _in_float32(matched: Matched) -> Matched:
    body = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in matched.body.items()
    }
    return replace(
        matched,
        body=body,
        head_weight=matched.head_weight.float(),
        head_bias=matched.head_bias.float(),
    )


def for_channels(preprocessing: Preprocessing, channels: int) -> Preprocessing:
    """The preprocessing for this number of channels; a single mean stands for all of them.

    Raises:
        CxrlocError: its mean is of three channels, and the network reads one.
    """
    mean, std = preprocessing.mean, preprocessing.std
    if len(mean) == channels:
        return preprocessing
    if len(mean) != 1:
        raise CxrlocError(
            f"its first layer reads {channels} channel, but the preprocessing makes {len(mean)}: "
            "--mean and --std with one value each say how its images were prepared"
        )
    return replace(preprocessing, mean=mean * channels, std=std * channels)


def _two_phantoms(
    preprocessing: Preprocessing,
) -> Float[Tensor, "two channel row col"]:
    tensors = [torch.from_numpy(preprocess(each, preprocessing)[0]) for each in _phantoms()]
    return torch.stack(tensors)


@cache
def _phantoms() -> tuple[Radiograph, ...]:
    drawn = [make_phantom(seed=0, index=index, size=512) for index in (0, 1)]
    return tuple(Radiograph(phantom.pixels, bits_stored=8) for phantom in drawn)


def _difference(
    matched: Matched,
    adoption: Adoption,
    images: Float[Tensor, "two channel row col"],
    logits: Float[Tensor, "two finding"],
) -> float | None:
    """The largest difference to the logits of the library's own classifier with these weights.

    None if the classifier of the library pools in another way.

    Raises:
        CxrlocError: the logits differ, so the network would not be the one that was trained.
    """
    architecture = adoption.architecture
    if matched.position_size:
        architecture = f"{architecture}@{matched.position_size}"
    classifier = classifier_of(architecture, len(adoption.findings), matched.channels)
    tokens = tokens_of(classifier, matched, adoption)
    if adoption.pooling or tokens != (classifier.tokens or "patches"):
        return None
    weights = {
        **matched.body,
        f"{classifier.head}.weight": matched.head_weight,
        f"{classifier.head}.bias": matched.head_bias,
    }
    classifier.network.load_state_dict(weights, strict=False)
    expected = classifier.logits(images)[:, adoption.outputs]
    difference = float((expected - logits).abs().max())
    if difference > TOLERANCE * max(1.0, float(expected.abs().max())):
        raise CxrlocError(
            f"its logits differ by {difference:.3g} from those of the library's {architecture}; "
            "please report this architecture"
        )
    return difference
