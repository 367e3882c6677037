"""The network that adopted weights are for: its configuration, and the weights in their places."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from cxrloc.errors import CxrlocError
from cxrloc.models.adoption import LEFT_OUT, Adoption
from cxrloc.models.checkpoint_files import load_weights
from cxrloc.models.classifiers import Classifier
from cxrloc.models.library_backbones import TimmBackbone, find_backbone
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.networks import network_to_fill
from cxrloc.models.pooling import PoolingParameters
from cxrloc.models.weight_names import Matched


def config_of(classifier: Classifier, matched: Matched, adoption: Adoption) -> LocalizerConfig:
    """The configuration of the network that these weights are for.

    Raises:
        CxrlocError: the pooling or the tokens that the user names do not fit the architecture.
    """
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
        class_token=tokens_of(classifier, matched, adoption) in ("class", "both"),
    )


def tokens_of(classifier: Classifier, matched: Matched, adoption: Adoption) -> str:
    """What the prediction reads: one of `TOKENS`.

    Raises:
        CxrlocError: the user names tokens that the network or its head does not have.
    """
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


def filled_network(
    config: LocalizerConfig, classifier: Classifier, matched: Matched, kept: Sequence[int]
) -> Localizer:
    """The network with the matched weights; norm and head become one prediction layer.

    Args:
        config: of the network, from `config_of`.
        classifier: the library's classifier.
        matched: its weights.
        kept: outputs of the classifier that become findings, by their position.

    Raises:
        CxrlocError: a weight lies behind the features, or does not fit.
    """
    network = network_to_fill(config)
    assert isinstance(network, Localizer)
    expected = network.state_dict()
    weights: dict[str, Tensor] = {}
    inner = "network." if isinstance(network.backbone, TimmBackbone) else ""
    norm = () if classifier.norm is None else (f"{classifier.norm.name}.",)
    for name, tensor in matched.body.items():
        places = {f"backbone.{inner}{name}", f"backbone.{inner}{name.removeprefix('features.')}"}
        for place in places & expected.keys():
            weights[place] = tensor
        if not places & expected.keys() and not name.startswith(norm):
            raise CxrlocError(f"its weight {name} lies behind the features")
    for key, tensor in expected.items():  # counters that old versions of torch did not write
        if key.endswith("num_batches_tracked") and key not in weights:
            weights[key] = torch.zeros_like(tensor)
    weight, bias = (values[kept] for values in folded(matched, classifier))
    if config.class_token and weight.shape[1] == classifier.depth:
        weight = torch.cat([torch.zeros_like(weight), weight], dim=1)
    elif config.class_token:
        weight = weight.roll(classifier.depth, dims=1)  # patch tokens first, as in our features
    weights["prediction.weight"], weights["prediction.bias"] = weight, bias
    load_weights(network, weights, f"weights do not fit {config.backbone}")
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
