"""Centred features: same logits, empty maps of what looks as usual, kept in a file."""

from dataclasses import replace

import pytest
import torch

from cxrloc.images.preprocessing import Preprocessing
from cxrloc.localization.heatmaps import cam
from cxrloc.models.centring import centre
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.weights import ModelCard, read_model, write_model
from cxrloc.types import CxrlocError

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
