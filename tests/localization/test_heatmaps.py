import warnings

import numpy as np
import pytest
import pytorch_grad_cam
import torch
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from cxrloc.localization.attention import ATTENTION_METHODS
from cxrloc.localization.heatmaps import HEATMAPS, cam, grad_cam, heatmap_method
from cxrloc.localization.regions import is_degenerate
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.probabilities import sigmoid, softmax

FINDINGS = ("Effusion", "Mass", "Nodule")
IMAGES = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
GRADIENT_METHODS = {
    "grad_cam": "GradCAM",
    "grad_cam_plus_plus": "GradCAMPlusPlus",
    "xgrad_cam": "XGradCAM",
    "hirescam": "HiResCAM",
    "layer_cam": "LayerCAM",
    "grad_cam_elementwise": "GradCAMElementWise",
}


def localizer(pooling="average"):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        config = LocalizerConfig(
            "resnet18", FINDINGS, output_stride=16, transition_channels=12, pooling=pooling
        )
        return Localizer(config).eval()


class Own(nn.Module):
    """A user's network: all that is asked of it is pool, prediction and the two results."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 5, 7, stride=8)
        self.dropout = nn.Dropout(0.5)
        self.prediction = nn.Linear(5, 4)

    def pool(self, features):
        """Attention: a cell's weight depends on all features there, so gradients mix them."""
        attention = features.sum(dim=1, keepdim=True).flatten(2).softmax(dim=2)
        return (features.flatten(2) * attention).sum(dim=2)

    def forward(self, images):
        features = self.dropout(self.convolution(images)).relu()
        return self.prediction(self.pool(features)), features


def test_with_average_pooling_the_mean_of_a_map_and_the_bias_is_the_logit():
    network = localizer("average")
    logits, maps = cam(network, IMAGES)
    assert maps.shape == (2, 3, 4, 4)
    torch.testing.assert_close(maps.mean(dim=(2, 3)) + network.prediction.bias, logits)


def test_a_cam_is_the_weighted_sum_of_features():
    network = localizer("lse")
    _, maps = cam(network, IMAGES)
    features, weight = network(IMAGES)[1], network.prediction.weight
    by_hand = sum(weight[1, d] * features[0, d] for d in range(12))
    torch.testing.assert_close(maps[0, 1], by_hand.detach())


def test_with_average_pooling_grad_cam_is_cam_per_cell():
    network = localizer("average")
    torch.testing.assert_close(grad_cam(network, IMAGES)[1] * 16, cam(network, IMAGES)[1])


@pytest.mark.parametrize("name", sorted(HEATMAPS.keys() - ATTENTION_METHODS.keys()))
def test_every_method_gives_the_logits_and_raw_maps_of_chosen_findings(name):
    network = localizer("lse")
    logits, maps = HEATMAPS[name](network, IMAGES[:1], findings=[2, 0])
    torch.testing.assert_close(logits, network(IMAGES[:1])[0])
    assert maps.shape == (1, 2, 4, 4)
    assert not maps.requires_grad
    assert not is_degenerate(maps.numpy()).any()


@pytest.mark.parametrize("name", sorted(HEATMAPS.keys() - ATTENTION_METHODS.keys()))
def test_an_image_has_the_same_map_alone_and_in_a_batch(name):
    network = localizer("lse")
    together = HEATMAPS[name](network, IMAGES, findings=[1])[1]
    alone = HEATMAPS[name](network, IMAGES[1:], findings=[1])[1]
    torch.testing.assert_close(together[1:], alone, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["grad_cam", "eigen_grad_cam", "score_cam"])
def test_modes_and_gradients_of_the_network_are_left_alone(name):
    network = Own().train()
    network.convolution.eval()
    network.prediction.weight.grad = torch.ones_like(network.prediction.weight)
    HEATMAPS[name](network, IMAGES[:1], findings=[0])
    assert network.training
    assert network.prediction.training
    assert not network.convolution.training
    assert (network.prediction.weight.grad == 1).all()
    assert network.convolution.weight.grad is None


@pytest.mark.parametrize(("name", "package_class"), GRADIENT_METHODS.items())
@pytest.mark.parametrize(
    "build", [lambda: localizer("lse"), lambda: localizer("max"), lambda: Own().eval()]
)
def test_gradient_methods_agree_with_the_grad_cam_package(name, package_class, build):
    """The package's maps are clipped, scaled and enlarged; ours are, after the fact."""
    network = build()
    with torch.no_grad():  # so large that the package's epsilons vanish
        network.prediction.weight.mul_(1e4)
    ours = HEATMAPS[name](network, IMAGES)[1].clamp(min=0).numpy()

    class LogitsOnly(nn.Module):
        def __init__(self):
            super().__init__()
            self.network, self.features = network, nn.Identity()

        def forward(self, images):
            return network.prediction(network.pool(self.features(network(images)[1])))

    model = LogitsOnly()
    for column in range(ours.shape[1]):
        explainer = getattr(pytorch_grad_cam, package_class)(model, [model.features])
        theirs = explainer(IMAGES, [ClassifierOutputTarget(column)] * 2)
        scaled = scale_cam_image(scale_cam_image(ours[:, column], (64, 64)))
        np.testing.assert_allclose(scaled, theirs, atol=2e-3)


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_shapley_cam_of_a_head_without_curvature_is_grad_cam(pooling):
    """Its weight is the mean of the gradient minus half a Hessian-vector product, here 0."""
    network = localizer(pooling)
    expected = HEATMAPS["grad_cam"](network, IMAGES)[1]
    torch.testing.assert_close(HEATMAPS["shapley_cam"](network, IMAGES)[1], expected)


def test_an_error_inside_the_package_comes_out():
    with pytest.raises(IndexError):
        HEATMAPS["eigen_grad_cam"](localizer(), IMAGES[:1], findings=[3])


def test_raw_maps_of_the_package_are_not_clipped():
    assert HEATMAPS["eigen_cam"](localizer("lse"), IMAGES[:1], findings=[0])[1].min() < 0


def test_ablation_maps_point_the_same_way_for_a_negative_logit():
    network = localizer()
    with torch.no_grad():
        network.prediction.bias.fill_(0.5)
        low = HEATMAPS["ablation_cam"](network, IMAGES[:1], findings=[0])[1].flatten()
        network.prediction.bias.fill_(-5.0)
        high = HEATMAPS["ablation_cam"](network, IMAGES[:1], findings=[0])[1].flatten()
    assert torch.corrcoef(torch.stack([low, high]))[0, 1] > 0.9


@pytest.mark.parametrize("probabilities", [sigmoid, softmax])
def test_ablation_weighs_a_feature_by_the_probability_that_is_lost_without_it(probabilities):
    network = Own().eval()
    method = heatmap_method("ablation_cam", probabilities)
    _, maps = method(network, IMAGES[:1], findings=[2])
    with torch.no_grad():
        features = network(IMAGES[:1])[1]

        def probability(kept):
            return probabilities(network.prediction(network.pool(features * kept)))[0, 2]

        whole = probability(torch.ones(5, 1, 1))
        without = [probability(1 - torch.eye(5)[d][:, None, None]) for d in range(5)]
        expected = sum((whole - p) / whole * features[0, d] for d, p in enumerate(without))
    torch.testing.assert_close(maps[0, 0], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["cam", "grad_cam", "layer_cam"])
def test_maps_keep_the_precision_of_the_weights_under_autocast(name):
    network = localizer()
    exact = HEATMAPS[name](network, IMAGES)[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, maps = HEATMAPS[name](network, IMAGES)
    assert maps.dtype == torch.float32
    torch.testing.assert_close(maps, exact, rtol=0.1, atol=0.05 * exact.abs().max().item())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cam", "grad_cam"])
def test_compiled_networks_give_the_same_maps(name):
    network = localizer("lse")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # raised inside the compiler
        compiled = torch.compile(network, backend="eager")
        for ours, theirs in zip(
            HEATMAPS[name](network, IMAGES), HEATMAPS[name](compiled, IMAGES), strict=True
        ):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", ["cam", "grad_cam", "eigen_cam"])
def test_maps_can_be_made_in_inference_mode(name):
    network = localizer("lse")
    with torch.inference_mode():
        _, maps = HEATMAPS[name](network, IMAGES[:1], findings=[0])
    assert maps.isfinite().all()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[0.0, 0.0]], True),
        ([[0.0, 1e-30]], False),
        ([[0.0, np.nan]], True),
        ([[0.0, np.inf]], True),
        ([[-np.inf, -np.inf]], True),
    ],
    ids=["flat", "barely not flat", "nan", "inf", "flat at -inf"],
)
def test_a_flat_or_non_finite_map_is_degenerate(rows, expected):
    assert bool(is_degenerate(np.array(rows))) is expected
