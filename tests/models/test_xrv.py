"""torchxrayvision's files, made by its own classes with random weights."""

import pickle
import warnings

import numpy as np
import pytest
import torch

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.images.preprocessing import preprocess
from cxrloc.localization.heatmaps import cam
from cxrloc.models import xrv
from cxrloc.models.inert_pickle import read_pickle
from cxrloc.models.weights import read_model
from cxrloc.types import Radiograph


@pytest.fixture(scope="module")
def library():
    with warnings.catch_warnings():
        return pytest.importorskip("torchxrayvision", reason="needs the extra zoo")


@pytest.fixture(scope="module")
def densenet(library):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = library.models.DenseNet(num_classes=18).eval()
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return network


@pytest.fixture(scope="module", params=["zip", "before torch 1.6"])
def file(request, densenet, tmp_path_factory):
    path = tmp_path_factory.mktemp("xrv") / "weights.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that sources of some classes cannot be had
        torch.save(densenet, path, _use_new_zipfile_serialization=request.param == "zip")
    return path


def test_every_weight_is_read_from_either_format(file, densenet):
    weights = read_pickle(file)
    expected = densenet.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_logits_are_the_librarys_for_its_own_preprocessing(file, densenet, library):
    model = read_model(f"xrv:densenet121-res224-chex={file}")
    grey = np.random.default_rng(0).random((300, 224)).astype(np.float32)
    tensor, _ = preprocess(Radiograph(grey, 8), model.preprocessing)
    theirs = library.utils.normalize(grey, maxval=1.0)[None]
    theirs = library.datasets.XRayCenterCrop()(theirs)
    np.testing.assert_allclose(tensor, theirs, rtol=1e-4, atol=0.02)
    with torch.no_grad():
        expected = densenet(torch.from_numpy(theirs)[None])
        logits, maps = cam(model.network, torch.from_numpy(theirs)[None])
    named = [i for i, x in enumerate(library.models.model_urls["chex"]["labels"]) if x]
    torch.testing.assert_close(logits, expected[:, named], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(
        maps.mean((2, 3)) + model.network.prediction.bias, logits, rtol=1e-3, atol=1e-4
    )


def test_the_card_names_findings_and_operating_points(file):
    chex = read_model(f"xrv:densenet121-res224-chex={file}").card
    assert chex.findings[:3] == ("Atelectasis", "Consolidation", "Pneumothorax")
    assert chex.operating_points["Effusion"] == pytest.approx(0.27212676)
    assert (chex.trained_on, chex.may_have_seen) == ("CheXpert", ())


@pytest.mark.parametrize("name", ["nih", "all", "rsna", "resnet50-res512-all"])
def test_weights_whose_images_came_from_nih_say_so(name):
    about = {"labels": ["Mass"], "op_threshs": [0.5]}
    card = xrv._card(name, about, ("Mass",), [0])
    assert card.may_have_seen == ("ChestX-ray14",)
    assert "may have seen the boxed images" in card.limits


def test_a_resnet_is_a_state_dict(library, tmp_path):
    import torchvision

    network = torchvision.models.resnet50(num_classes=18)
    network.conv1 = torch.nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    torch.save(network.eval().state_dict(), tmp_path / "resnet.pt")
    model = read_model(f"xrv:resnet50-res512-all={tmp_path / 'resnet.pt'}")
    image = torch.rand(1, 1, 64, 64) * 2048 - 1024
    with torch.no_grad():
        torch.testing.assert_close(model.network(image)[0], network(image), rtol=1e-3, atol=1e-4)
    assert model.preprocessing.size == 512
    assert "Lung Lesion" not in model.card.operating_points


def test_weights_that_are_not_there_say_where_they_belong(library):
    with pytest.raises(UsageError, match=r"xrv:densenet121-res224-pc: .*is not there; fetch https"):
        read_model("xrv:densenet121-res224-pc=nowhere.pt")
    with pytest.raises(UsageError, match=r"xrv:vgg: torchxrayvision has all, nih|densenet121-res"):
        read_model("xrv:vgg")


class Evil:
    def __reduce__(self):
        return print, ("this file ran something",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_names_a_function_is_refused_and_nothing_runs(tmp_path, capsys, zipped):
    path = tmp_path / "evil.pt"
    torch.save(Evil(), path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CxrlocError, match=r"evil\.pt: .*__builtin__\.print, which is no layer"):
        read_pickle(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps([1])])
def test_a_file_that_is_no_network_is_refused(tmp_path, content):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(CxrlocError, match=r"x\.pt: no network that can be read safely"):
        read_pickle(tmp_path / "x.pt")
