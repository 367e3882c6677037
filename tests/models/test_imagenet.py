"""Networks with weights from TensorFlow must get the same inputs as in TensorFlow."""

import pytest
import torch
import torchvision
from torch.nn import functional as F

from cxrloc.errors import CxrlocError
from cxrloc.models.grid import SamePadded
from cxrloc.models.imagenet import start_from_imagenet
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.normalisation import unfold_normalisation
from cxrloc.recipe import read_recipe

STRIDED = (0, 2, 4, 7, 14)
"""The layers of MobileNetV2 that halve the grid (Sandler et al. 2018, table 2)."""


def backbone(channels=3, stride=32):
    config = LocalizerConfig(
        "mobilenet_v2",
        ("Mass",),
        input_channels=channels,
        output_stride=stride,
        transition_channels=0,
        same_padding=True,
    )
    return Localizer(config).eval()


def by_hand(weights, images):
    """MobileNetV2 as TensorFlow runs it, from the tensors alone."""

    def unit(x, convolution, normalisation, stride, act=True):
        kernel = weights[f"{convolution}.weight"]
        size = kernel.shape[2]
        if size == 3:
            x = F.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        x = F.conv2d(x, kernel, stride=stride, groups=x.shape[1] // kernel.shape[1])
        mean, variance, scale, shift = (
            weights[f"{normalisation}.{name}"][:, None, None]
            for name in ("running_mean", "running_var", "weight", "bias")
        )
        x = (x - mean) / (variance + 1e-5).sqrt() * scale + shift
        return x.clamp(0, 6) if act else x

    x = unit(images, "features.0.0", "features.0.1", 2)
    for index in range(1, 18):
        name, stride = f"features.{index}.conv", 2 if index in STRIDED else 1
        y, first = x, 0
        if index > 1:  # the first block does not widen
            y, first = unit(y, f"{name}.0.0", f"{name}.0.1", 1), 1
        y = unit(y, f"{name}.{first}.0", f"{name}.{first}.1", stride)
        y = unit(y, f"{name}.{first + 1}", f"{name}.{first + 2}", 1, act=False)
        x = x + y if x.shape == y.shape else y
    return unit(x, "features.18.0", "features.18.1", 1)


@pytest.fixture(scope="module")
def weights():
    """A whole classifier's, with normalisation that is not the identity."""
    generator = torch.Generator().manual_seed(0)
    state = torchvision.models.mobilenet_v2().state_dict()
    for name, tensor in state.items():
        if name.endswith(("running_var", "running_mean", "bias")) or ".1.weight" in name:
            tensor.uniform_(0.5, 1.5, generator=generator)
    return state


@pytest.fixture(scope="module")
def file(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "mobilenet_v2.pt"
    torch.save(weights, path)
    return path


@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_those_of_the_network_in_tensorflow(weights, file, channels):
    network = backbone(channels)
    start_from_imagenet(network, file)
    images = torch.rand(2, channels, 96, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        expected = by_hand(weights, images.expand(-1, 3, -1, -1))
        torch.testing.assert_close(network(images)[1], expected, rtol=1e-3, atol=1e-4)


def test_a_finer_grid_holds_the_values_of_the_coarse_one(file):
    coarse, fine = backbone(), backbone(stride=16)
    for network in (coarse, fine):
        start_from_imagenet(network, file)
    images = torch.rand(1, 3, 320, 320, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        seen = fine(images)[1]
        torch.testing.assert_close(seen[:, :, ::2, ::2], coarse(images)[1], rtol=1e-3, atol=1e-4)
    assert seen.shape[2:] == (20, 20)


def test_exactly_the_strided_convolutions_pad_differently():
    layers = dict(backbone().backbone.named_modules())
    padded = [name for name, layer in layers.items() if isinstance(layer, SamePadded)]
    assert [int(name.split(".")[0]) for name in padded] == list(STRIDED)


def test_torchvisions_own_weights_are_not_for_that_padding():
    with pytest.raises(CxrlocError, match="same_padding: give --start FILE"):
        start_from_imagenet(backbone())


def test_a_cat_is_a_cat(shared):
    """The real weights know what they were trained on: classes 281 to 285 are house cats."""
    import skimage.data

    path = shared / "weights" / "mobilenet_v2_imagenet.pt"
    network = backbone()
    start_from_imagenet(network, path)
    classifier = torch.load(path, weights_only=True)
    cat = torch.from_numpy(skimage.data.chelsea()).permute(2, 0, 1)[None, :, :, 76:376] / 127.5 - 1
    image = F.interpolate(cat, (224, 224), mode="bilinear", antialias=True)
    with torch.no_grad():
        pooled = network.pool(network(image)[1])
        scores = F.linear(
            pooled, classifier["classifier.1.weight"], classifier["classifier.1.bias"]
        )
    assert 281 <= scores.argmax().item() <= 285


def test_unfolded_normalisation_keeps_what_the_network_says(file):
    network = backbone()
    start_from_imagenet(network, file)
    layers = network.backbone
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = layers(images)
        unfold_normalisation(layers, images)
        assert not layers.training
        torch.testing.assert_close(layers(images), before, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(layers.train()(images), before, rtol=1e-3, atol=1e-3)


def test_googlenet_gets_grey_levels_as_its_imagenet_weights_did():
    """torchvision's network with these weights takes what the others do, and rescales it."""
    theirs = torchvision.models.googlenet(
        transform_input=True, aux_logits=False, init_weights=False
    )
    grey = torch.rand(1, 3, 4, 4)
    usual, ours = (
        read_recipe(f"wang2017_{name}_lse").preprocessing for name in ("resnet50", "googlenet")
    )
    seen = theirs._transform_input(_normalised(grey, usual))
    torch.testing.assert_close(_normalised(grey, ours), seen)


def _normalised(grey, preprocessing):
    mean, std = (torch.tensor(v)[:, None, None] for v in (preprocessing.mean, preprocessing.std))
    return (grey - mean) / std


def test_a_backbone_of_ours_has_no_published_weights():
    network = Localizer(LocalizerConfig("small_resnet", ("Mass",)))
    with pytest.raises(CxrlocError, match="nobody published ImageNet weights of small_resnet"):
        start_from_imagenet(network)
