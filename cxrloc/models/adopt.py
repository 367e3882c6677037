"""Makes a model of this package from the weights of a classifier that was trained elsewhere.

The weights of a classifier of torchvision or timm become those of a `Localizer`: its features and
its prediction layer, whose class activation maps explain the logits. What the file holds besides is
named, and nothing of it is dropped in silence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from cxrloc.files.journal import content_hash
from cxrloc.findings import standard_finding
from cxrloc.images.preprocessing import Preprocessing, preprocess
from cxrloc.models.card import ModelCard
from cxrloc.models.checkpoint_files import read_checkpoint
from cxrloc.models.classifiers import Classifier, classifier_of
from cxrloc.models.library_backbones import TimmBackbone, find_backbone
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.model import Model
from cxrloc.models.networks import network_to_fill
from cxrloc.models.pooling import PoolingParameters
from cxrloc.models.weight_names import Matched, match_names
from cxrloc.phantom import make_phantom
from cxrloc.types import CxrlocError, Radiograph

LEFT_OUT = "-"
"""What stands in place of a finding for an output that is left out."""

TOKENS = ("class", "patches", "both")
"""What the prediction of a transformer reads: the class token, the mean of the patch tokens, or
both, with the class token first (as DINOv2's and Hugging Face's classifiers do)."""

TOLERANCE = 1e-3
"""Largest difference, relative to the largest logit, between the network and its classifier."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """What is known about weights that are adopted.

    Attributes:
        architecture: name in torchvision or timm, such as "densenet121", "timm:resnet18".
        findings: names of the outputs, in their order; `LEFT_OUT` leaves an output out.
        preprocessing: how images were prepared for the network.
        card: what is known about the model; its findings are filled in.
        tokens: one of `TOKENS`; empty: as the classifier does in its library.
        pooling: a pooling of logit maps in place of the average, such as "pcam".
        key: where in the file the weights are (`read_checkpoint`).
        without: patterns of weights that the classifier does not use, such as "criterion.*".
    """

    architecture: str
    findings: tuple[str, ...]
    preprocessing: Preprocessing
    card: ModelCard
    tokens: str = ""
    pooling: str = ""
    key: str = ""
    without: tuple[str, ...] = ()


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
    given: dict[str, Tensor] = {}
    notes: list[str] = []
    for path in paths:
        checkpoint = read_checkpoint(path, adoption.key)
        if twice := given.keys() & checkpoint.tensors.keys():
            raise CxrlocError(f"{path}: another file has the weight {min(twice)} too")
        given |= checkpoint.tensors
        if checkpoint.key:
            notes.append(f"{path.name}: weights under {checkpoint.key!r}")
        if checkpoint.others:
            others = ", ".join(repr(name) for name in checkpoint.others)
            notes.append(f"{path.name}: left out weights under {others} (--key takes them)")
    adopted = adopt_weights(given, adoption, ", ".join(map(str, paths)))
    digest = " + ".join(map(content_hash, paths))
    names = " + ".join(path.name for path in paths)
    provenance = {**adopted.model.card.provenance, "weights": names, "weights_sha256": digest}
    card = replace(adopted.model.card, provenance=provenance)
    model = replace(adopted.model, card=card, sha256=digest)
    return replace(adopted, model=model, notes=(*notes, *adopted.notes))


def adopt_weights(given: Mapping[str, Tensor], adoption: Adoption, where: str) -> Adopted:
    """A model from weights by their names; `where` names their source in messages.

    Raises:
        CxrlocError: as `adopt`.
    """
    try:
        return _adopted(given, adoption)
    except CxrlocError as error:
        raise CxrlocError(f"{where}: {error}") from error


def _adopted(given: Mapping[str, Tensor], adoption: Adoption) -> Adopted:
    for name, tensor in given.items():
        if not tensor.isfinite().all():
            raise CxrlocError(f"weight {name} holds a value that is not finite")
    classifier = classifier_of(adoption.architecture, len(adoption.findings))
    adoption = replace(adoption, findings=_standard(adoption.findings))
    matched = match_names(given, classifier, adoption.without)
    outputs = len(matched.head_weight)
    if outputs != len(adoption.findings):
        raise CxrlocError(
            f"its head has {outputs} outputs, but {len(adoption.findings)} findings are named "
            f"({', '.join(adoption.findings)}); '{LEFT_OUT}' in place of a name leaves an output "
            "out"
        )
    matched = _in_float32(matched)
    config = _config(classifier, matched, adoption)
    adoption = replace(
        adoption, preprocessing=for_channels(adoption.preprocessing, matched.channels)
    )
    network = _filled(config, classifier, matched, _kept(adoption))
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
        matched.notes,
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


def _config(classifier: Classifier, matched: Matched, adoption: Adoption) -> LocalizerConfig:
    """The configuration of the network that these weights are for."""
    backbone = classifier.backbone
    if side := matched.position_size:
        backbone = f"{backbone}@{side}"
    kept = tuple(each for each in adoption.findings if each != LEFT_OUT)
    normalised = classifier.norm is not None
    parameters = PoolingParameters(epsilon=classifier.norm.eps) if classifier.norm else None
    predicts_first = bool(adoption.pooling)
    if predicts_first and normalised:
        raise CxrlocError(
            f"--pooling {adoption.pooling}: {adoption.architecture} normalises what it has pooled"
        )
    return LocalizerConfig(
        backbone,
        kept,
        input_channels=matched.channels,
        output_stride=find_backbone(backbone).native_stride,
        transition_channels=0,
        pooling=adoption.pooling or ("average_normalised" if normalised else "average"),
        pooling_parameters=parameters or PoolingParameters(),
        head="predict_then_pool" if predicts_first else "pool_then_predict",
        class_token=_tokens(classifier, matched, adoption) in ("class", "both"),
    )


def _tokens(classifier: Classifier, matched: Matched, adoption: Adoption) -> str:
    """What the prediction reads: one of `TOKENS`."""
    width = matched.head_weight.shape[1]
    if not classifier.tokens:
        if adoption.tokens:
            raise CxrlocError(f"--tokens: {adoption.architecture} has no class token")
        return "patches"
    twice = width == 2 * classifier.depth
    chosen = adoption.tokens or ("both" if twice else classifier.tokens)
    if (chosen == "both") != twice:
        raise CxrlocError(
            f"--tokens {chosen}: its head reads {width} numbers, and a token has {classifier.depth}"
        )
    return chosen


def _filled(
    config: LocalizerConfig, classifier: Classifier, matched: Matched, kept: Sequence[int]
) -> Localizer:
    """The network with the matched weights; norm and head become one prediction layer."""
    network = network_to_fill(config)
    assert isinstance(network, Localizer)
    own = network.state_dict()
    weights: dict[str, Tensor] = {}
    inner = "network." if isinstance(network.backbone, TimmBackbone) else ""
    norm = () if classifier.norm is None else (f"{classifier.norm.name}.",)
    for name, tensor in matched.body.items():
        places = {f"backbone.{inner}{name}", f"backbone.{inner}{name.removeprefix('features.')}"}
        for place in places & own.keys():
            weights[place] = tensor
        if not places & own.keys() and not name.startswith(norm):
            raise CxrlocError(f"its weight {name} lies behind the features")
    for key, tensor in own.items():  # counters that old versions of torch did not write
        if key.endswith("num_batches_tracked") and key not in weights:
            weights[key] = torch.zeros_like(tensor)
    weight, bias = (values[kept] for values in folded(matched, classifier))
    if config.class_token and weight.shape[1] == classifier.depth:
        weight = torch.cat([torch.zeros_like(weight), weight], dim=1)
    elif config.class_token:
        weight = weight.roll(classifier.depth, dims=1)  # patch tokens first, as in our features
    weights["prediction.weight"], weights["prediction.bias"] = weight, bias
    try:
        network.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise CxrlocError(f"weights do not fit {config.backbone}: {first}") from error
    return network.eval()


def folded(
    matched: Matched, classifier: Classifier
) -> tuple[Float[Tensor, "finding depth"], Float[Tensor, " finding"]]:
    """Weight and bias of the prediction layer: the head, with the normalisation before it.

    With a layer normalisation g (x - m) / s + c between pooling and head, where m is the mean of x
    over the channels and s its deviation, the logits are W (g x - g m) / s + W c + b. The pooling
    `average_normalised` divides by s, and W g minus its mean over the channels is the weight.
    """
    weight, bias = matched.head_weight, matched.head_bias
    if classifier.norm is not None:
        bias = bias + weight @ matched.body[f"{classifier.norm.name}.bias"]
        weight = weight * matched.body[f"{classifier.norm.name}.weight"]
        weight = weight - weight.mean(dim=1, keepdim=True)
    return weight, bias


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
    tokens = _tokens(classifier, matched, adoption)
    if adoption.pooling or tokens != (classifier.tokens or "patches"):
        return None
    weights = {
        **matched.body,
        f"{classifier.head}.weight": matched.head_weight,
        f"{classifier.head}.bias": matched.head_bias,
    }
    classifier.network.load_state_dict(weights, strict=False)
    expected = classifier.logits(images)[:, _kept(adoption)]
    difference = float((expected - logits).abs().max())
    if difference > TOLERANCE * max(1.0, float(expected.abs().max())):
        raise CxrlocError(
            f"its logits differ by {difference:.3g} from those of the library's {architecture}; "
            "please report this architecture"
        )
    return difference


def _kept(adoption: Adoption) -> list[int]:
    """The outputs that are not left out."""
    return [row for row, finding in enumerate(adoption.findings) if finding != LEFT_OUT]
