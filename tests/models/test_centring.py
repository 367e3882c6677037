"""Centred features keep the logits, give empty maps for a usual image, and are saved in a file."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.inference.localize import localize
from cxrloc.inference.prepared import InferenceSettings
from cxrloc.inference.versions import VERSIONS, average_versions, make_versions
from cxrloc.localization.heatmaps import cam
from cxrloc.models.card import ModelCard
from cxrloc.models.centring import centre, mean_maps
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.model import Model
from cxrloc.models.probabilities import sigmoid
from cxrloc.models.weights import read_model, write_model

FINDINGS = ("Mass", "Nodule")
CONFIG = LocalizerConfig("small_resnet", FINDINGS, output_stride=16)


@pytest.fixture(scope="module")
def plain():
    torch.manual_seed(0)
    return Localizer(CONFIG).eval()


def test_maps_lose_their_mean_over_the_images_and_logits_stay(plain):
    images = torch.rand(6, 1, 64, 64)
    centred = centre(plain, images.split(4))
    logits, maps = cam(centred, images)
    expected, raw = cam(plain, images)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(maps, raw - raw.mean(dim=0), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("versions", ["tta", "five-patch"])
def test_versions_of_an_image_lose_the_usual_chest_where_the_plain_image_shows_it(plain, versions):
    images = torch.rand(4, 1, 64, 64)
    centred = centre(plain, [images])
    affines, seen_as = VERSIONS[versions](64, 64, 0), Preprocessing(size=64)
    usual = mean_maps(centred, range(2))
    (_, maps), (_, raw) = (
        average_versions(
            partial(cam, network),
            make_versions(images, affines, seen_as),
            sigmoid,
            subtracted=taken,
        )
        for network, taken in ((centred, usual), (plain, 0.0))
    )
    torch.testing.assert_close(maps, raw - cam(plain, images)[1].mean(dim=0), atol=1e-4, rtol=1e-4)


def test_versions_of_an_image_have_class_activation_maps_alone(plain):
    card = ModelCard(name="centred", trained_on="chance", findings=FINDINGS)
    centred = centre(plain, [torch.rand(2, 1, 64, 64)])
    model = Model(centred, centred.config, Preprocessing(size=64), card)
    settings = InferenceSettings(method="hirescam", versions="tta", device="cpu")
    with pytest.raises(UsageError, match=r"--versions tta: maps of centred.*not hirescam"):
        next(localize([model], [], settings))


def test_a_centred_network_goes_through_a_file(plain, tmp_path):
    images = torch.rand(3, 1, 64, 64)
    centred = centre(plain, [images])
    card = ModelCard(name="centred", trained_on="chance", findings=FINDINGS)
    write_model(tmp_path / "centred.safetensors", centred, Preprocessing(size=64), card)
    read = read_model(tmp_path / "centred.safetensors")
    torch.testing.assert_close(read.network(images)[0], centred(images)[0], atol=0.02, rtol=0.02)


def test_only_average_pooling_is_centred_and_once(plain):
    image = torch.rand(1, 1, 64, 64)
    with pytest.raises(CxrlocError, match="average pooling"):
        centre(centre(plain, [image]), [image])
    with pytest.raises(CxrlocError, match="at least one"):
        centre(plain, [])
    with pytest.raises(CxrlocError, match="size the network was centred for"):
        centre(plain, [image])(torch.rand(1, 1, 96, 96))
    with pytest.raises(CxrlocError, match="average pooling alone"):
        replace(CONFIG, pooling="max", centred_cells=4)
    with pytest.raises(CxrlocError, match="architecture meta"):
        LocalizerConfig("small_resnet", FINDINGS, architecture="meta", centred_cells=4)
