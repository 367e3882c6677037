"""Computes raw heatmaps of all findings from one forward pass.

A heatmap method takes a network, images and, optionally, findings (columns of the logits). It
returns the logits of all findings and raw maps `[batch, finding, row, col]` on the network's
device. The maps are neither scaled nor clipped, and a larger value is stronger evidence for the
finding. The mode of the network is not changed, so the caller puts it in evaluation mode first.
Parameters and their gradients are not changed either.

The gradient methods differentiate only the head, from features to logits, once per finding, and
never the backbone. They are named after the modules of the grad-cam package; methods that are not
written here call that package.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from cxrloc.localization.attention import ATTENTION_METHODS
from cxrloc.localization.gradcam_package import package_heatmap
from cxrloc.models.heads import any_weight, logits_of_features
from cxrloc.models.localizer import LocalizingNetwork
from cxrloc.models.probabilities import Probabilities, sigmoid

Images = Float[Tensor, "batch channel height width"]
Logits = Float[Tensor, "batch all_finding"]
Maps = Float[Tensor, "batch finding row col"]
Features = Float[Tensor, "batch depth row col"]
Map = Float[Tensor, "batch row col"]


def cam(
    network: LocalizingNetwork, images: Images, findings: Sequence[int] | None = None
) -> tuple[Logits, Maps]:
    """Class activation maps: the features weighted by the prediction layer.

    Wang et al. 2017, section 3.2 (Zhou et al. 2016): M_c(i, j) = sum_d w_cd f_d(i, j).
    With average pooling, the mean of a map over its cells plus the bias is the logit. With max
    or LSE pooling of features there is no such identity. If the prediction comes before the
    pooling, the pooling is applied to the map plus the bias.
    """
    logits, features = _forward(network, images)
    weight = _weight(network, findings)
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        return logits, feature_maps(features, weight)


def grad_cam(
    network: LocalizingNetwork, images: Images, findings: Sequence[int] | None = None
) -> tuple[Logits, Maps]:
    """Grad-CAM: features weighted by the mean gradient of the logit over the grid.

    Selvaraju et al. 2017, Eq. 1 and 2: sum_d mean_ij(dy_c / df_d) f_d.
    With average pooling the map is that of `cam` divided by the number of cells.
    Departs: no ReLU, so that the cells of an absent finding, whose scores may all be negative,
    keep their ranking.
    """

    def scores(features: Features, gradient: Features) -> Map:
        return feature_maps(features, gradient.mean(dim=(2, 3))[:, None])[:, 0]

    return _from_gradients(network, images, findings, scores)


def grad_cam_plus_plus(
    network: LocalizingNetwork, images: Images, findings: Sequence[int] | None = None
) -> tuple[Logits, Maps]:
    """Grad-CAM++: features weighted by their positive gradients, with a factor for each cell.

    Chattopadhay et al. 2018, Eq. 19: w_d = sum_ij alpha_d(i, j) relu(g_d(i, j)) with
    alpha = g^2 / (2 g^2 + g^3 sum_ab f_d(a, b)), g = dy_c / df_d.
    Departs: the fraction is reduced by g^2 and has no epsilon in the denominator. The gradients of
    average pooling are 1/S^2 of the weights, and an epsilon would dominate their squares. No ReLU
    on the map.
    """

    def scores(features: Features, gradient: Features) -> Map:
        gradient = gradient.clamp(min=0)
        total = features.sum(dim=(2, 3), keepdim=True)
        weights = (gradient / (2 + total * gradient)).sum(dim=(2, 3))
        return feature_maps(features, weights[:, None])[:, 0]

    return _from_gradients(network, images, findings, scores)


def xgrad_cam(
    network: LocalizingNetwork, images: Images, findings: Sequence[int] | None = None
) -> tuple[Logits, Maps]:
    """XGrad-CAM: gradients averaged with the features as weights.

    Fu et al. 2020, Eq. 8: w_d = sum_ij g_d(i, j) f_d(i, j) / sum_ab f_d(a, b).
    A feature whose sum is 0 has weight 0.
    Departs: no ReLU on the map.
    """

    def scores(features: Features, gradient: Features) -> Map:
        total = features.sum(dim=(2, 3))
        weights = (gradient * features).sum(dim=(2, 3)) / total
        return feature_maps(features, torch.where(total == 0, 0, weights)[:, None])[:, 0]

    return _from_gradients(network, images, findings, scores)


def hirescam(
    network: LocalizingNetwork, images: Images, findings: Sequence[int] | None = None
) -> tuple[Logits, Maps]:
    """HiResCAM: gradient times feature, cell by cell.

    Draelos & Carin 2020, Eq. 4: sum_d g_d(i, j) f_d(i, j).
    """

    def scores(features: Features, gradient: Features) -> Map:
        return (gradient * features).sum(dim=1)

    return _from_gradients(network, images, findings, scores)


def layer_cam(
    network: LocalizingNetwork, images: Images, findings: Sequence[int] | None = None
) -> tuple[Logits, Maps]:
    """LayerCAM: positive gradient times feature, cell by cell.

    Jiang et al. 2021, Eq. 6 and 7: sum_d relu(g_d(i, j)) f_d(i, j).
    Departs: no ReLU on the map.
    """

    def scores(features: Features, gradient: Features) -> Map:
        return (gradient.clamp(min=0) * features).sum(dim=1)

    return _from_gradients(network, images, findings, scores)


def grad_cam_elementwise(
    network: LocalizingNetwork, images: Images, findings: Sequence[int] | None = None
) -> tuple[Logits, Maps]:
    """The positive part of gradient times feature, cell by cell: sum_d relu(g_d f_d).

    Source: `GradCAMElementWise` of the grad-cam package.
    """

    def scores(features: Features, gradient: Features) -> Map:
        return (gradient * features).clamp(min=0).sum(dim=1)

    return _from_gradients(network, images, findings, scores)


def ablation_cam(
    network: LocalizingNetwork,
    images: Images,
    findings: Sequence[int] | None = None,
    probabilities: Probabilities = sigmoid,
) -> tuple[Logits, Maps]:
    """Ablation-CAM: features weighted by the share of the score that is lost without them.

    Ramaswamy & Desai 2020, Eq. 4: w_d = (y_c - y_c without feature d) / y_c.
    Departs: y_c is the probability of the finding, not its logit, because a negative logit would
    change the sign of the map. With softmax, y_c depends on the logits of all findings.

    Args:
        network: see `LocalizingNetwork`.
        images: images, preprocessed for the network.
        findings: columns of the logits; all by default.
        probabilities: function that turns logits into probabilities, from `models.probabilities`.
    """
    return package_heatmap("AblationCAM", network, images, findings, probabilities)


def probability_cam(
    network: LocalizingNetwork, images: Images, findings: Sequence[int] | None = None
) -> tuple[Logits, Maps]:
    """Probabilities of the cells: sigmoid(M_c(i, j) + b_c), where M is the map of `cam`.

    These are the localization maps of Ye et al. 2020 (Probabilistic-CAM), for networks that predict
    before they pool. Cells with large logits differ less here than in `cam`, since the sigmoid
    saturates.
    """
    logits, maps = cam(network, images, findings)
    bias = network.prediction.bias.detach()
    finding_bias = bias if findings is None else bias[list(findings)]
    return logits, torch.sigmoid(maps + finding_bias[:, None, None])


HEATMAPS: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    "cam": cam,
    "probability_cam": probability_cam,
    "grad_cam": grad_cam,
    "grad_cam_plus_plus": grad_cam_plus_plus,
    "xgrad_cam": xgrad_cam,
    "hirescam": hirescam,
    "layer_cam": layer_cam,
    "grad_cam_elementwise": grad_cam_elementwise,
    "ablation_cam": ablation_cam,
    "eigen_cam": partial(package_heatmap, "EigenCAM"),
    "eigen_grad_cam": partial(package_heatmap, "EigenGradCAM"),
    "seg_eigen_cam": partial(package_heatmap, "SegEigenCAM"),
    "kpca_cam": partial(package_heatmap, "KPCA_CAM"),
    "fem": partial(package_heatmap, "FEM"),
    "shapley_cam": partial(package_heatmap, "ShapleyCAM"),
    "score_cam": partial(package_heatmap, "ScoreCAM"),
    **ATTENTION_METHODS,
}
"""Heatmap methods by name: (network, images, findings=None) -> (logits, maps).

The help of `--method` lists them: `Method` in `cxrloc/cli/options.py`.
"""

ALTERS_IMAGES = ("score_cam",)
"""Methods that run the whole network on altered copies of an image, not only its head."""

NEED_PREDICTION = ("cam", "probability_cam")
"""Methods that weight the features by the prediction layer, so that they are of no other layer."""

EXPLAIN_PROBABILITIES = ("ablation_cam",)
"""Methods that explain the probability of a finding; they also take `probabilities`."""


def heatmap_method(name: str, probabilities: Probabilities) -> Callable[..., tuple[Tensor, Tensor]]:
    """The method of `HEATMAPS` with this name.

    `probabilities` is the function that turns the network's logits into probabilities.
    """
    method = HEATMAPS[name]
    if name in EXPLAIN_PROBABILITIES:
        return partial(method, probabilities=probabilities)
    return method


def feature_maps(features: Features, weights: Float[Tensor, "*batch finding depth"]) -> Maps:
    """Maps that are weighted sums of the features over the depth.

    This is a matrix product, which is ten times faster here than einsum.
    """
    return (weights @ features.flatten(2)).unflatten(2, features.shape[2:])


def _forward(network: LocalizingNetwork, images: Images) -> tuple[Logits, Features]:
    """The logits, and the features in the data type of the weights, also under autocast."""
    with torch.no_grad():
        logits, features = network(images)
        return logits, features.to(any_weight(network).dtype)


def _weight(
    network: LocalizingNetwork, findings: Sequence[int] | None
) -> Float[Tensor, "finding depth"]:
    weight = network.prediction.weight
    return weight if findings is None else weight[list(findings)]


def _from_gradients(
    network: LocalizingNetwork,
    images: Images,
    findings: Sequence[int] | None,
    scores: Callable[[Features, Features], Map],
) -> tuple[Logits, Maps]:
    """The logits, and maps computed from the gradient of each finding's logit by the features."""
    logits, features = _forward(network, images)
    columns = range(logits.shape[1]) if findings is None else findings
    # Tensors made in inference mode have no gradient, so a copy is made outside of it.
    with torch.inference_mode(False), torch.enable_grad():
        leaf = features.clone().requires_grad_()
        with torch.autocast(images.device.type, enabled=False):
            head = logits_of_features(network, leaf)
            gradients = (
                torch.autograd.grad(head[:, column].sum(), leaf, retain_graph=True)[0]
                for column in columns
            )
            maps = [scores(leaf.detach(), gradient) for gradient in gradients]
    return logits, torch.stack(maps, dim=1)
