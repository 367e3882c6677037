import numpy as np
import pytest
import torch
from PIL import Image

from cxrloc.images.preprocessing import Preprocessing, preprocess
from cxrloc.images.read import read_radiograph
from cxrloc.models.imagenet import start_from_imagenet
from cxrloc.models.localizer import Localizer, LocalizerConfig

PREPROCESSING = Preprocessing(size=224)
DICOMS = ("wg04_RG1_chest_mono1_J2KI", "siim_txrv_mono2_jpeg", "nih_udacity_test1")


def logits(network, path):
    tensor, _ = preprocess(read_radiograph(path), PREPROCESSING)
    with torch.no_grad():
        return network(torch.from_numpy(tensor)[None])[0][0]


@pytest.fixture(scope="module")
def network(shared):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = LocalizerConfig("mobilenet_v2", ("a", "b", "c", "d"), transition_channels=0)
        network = Localizer(config).eval()
    start_from_imagenet(network, shared / "weights" / "mobilenet_v2_imagenet.pt")
    return network


def test_a_dicom_and_its_nih_style_png_give_the_same_logits(shared, network, tmp_path):
    """The PNG is made by Pillow as NIH made theirs: 1024 x 1024, 8 bit, aspect ratio lost."""
    of_dicoms, of_pngs = [], []
    for name in DICOMS:
        dicom, png = shared / "data" / "dicom" / f"{name}.dcm", tmp_path / f"{name}.png"
        grey = Image.fromarray(read_radiograph(dicom).pixels.astype(np.float32) * 255)
        grey = grey.resize((1024, 1024), Image.Resampling.BILINEAR)
        Image.fromarray(np.rint(np.asarray(grey)).astype(np.uint8)).save(png)
        of_dicoms.append(logits(network, dicom))
        of_pngs.append(logits(network, png))
    between_images = torch.stack(of_dicoms).std(dim=0)
    difference = (torch.stack(of_dicoms) - torch.stack(of_pngs)).abs()
    assert (difference < 0.01 * between_images).all(), (difference, between_images)
