"""Exported files give the results of the model that they were written from."""

import dataclasses
import json
from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from cxrloc.errors import CxrlocError
from cxrloc.exported.forward import Outputs
from cxrloc.exported.graph import grey_levels_only, open_session, read_graph
from cxrloc.exported.int8 import to_int8
from cxrloc.exported.onnx_file import onnx_graph, store_half, write_onnx
from cxrloc.exported.pt2_file import write_pt2
from cxrloc.findings import CHESTXRAY8
from cxrloc.images.preprocessing import Preprocessing, preprocess
from cxrloc.inference.localize import localize_radiograph
from cxrloc.models.card import ModelCard
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.meta import MetaLocalizer
from cxrloc.models.model import Model
from cxrloc.models.probabilities import calibrated
from cxrloc.models.weights import read_model
from cxrloc.phantom import make_phantom
from cxrloc.types import Radiograph

RADIOGRAPHS = [
    Radiograph(make_phantom(5, index, 400).pixels.astype(np.float32), bits_stored=8)
    for index in range(3)
]

POOLED = {
    "pcam": LocalizerConfig(
        "small_resnet", ("Mass", "Edema"), pooling="pcam", head="predict_then_pool"
    ),
    "wildcat, three channels": LocalizerConfig(
        "small_resnet",
        ("Mass", "Edema"),
        input_channels=3,
        pooling="highest_and_lowest",
        head="predict_then_pool",
        maps_per_finding=2,
    ),
    "noisy-or": LocalizerConfig(
        "small_resnet", ("Mass", "Edema"), pooling="noisy_or", head="predict_then_pool"
    ),
    "learned sharpness": LocalizerConfig(
        "small_resnet", ("Mass", "Edema"), pooling="lse_learned", output_stride=16
    ),
}


@cache
def graph_of(name: str) -> onnx.ModelProto:
    """The graph of an embedded model, which is written once for all tests; do not change it."""
    return onnx_graph(read_model(name))


def of_config(config: LocalizerConfig, probabilities: str = "sigmoid") -> Model:
    """A model with random weights, of which one finding alone is calibrated."""
    torch.manual_seed(0)
    channels = config.input_channels
    card = ModelCard(
        "random",
        "nothing",
        config.findings,
        calibration={config.findings[0]: (1.5, -2.0)},
        probabilities=probabilities,
    )
    preprocessing = Preprocessing(
        size=96, mean=(0.4, 0.5, 0.6)[:channels], std=(0.2, 0.25, 0.3)[:channels]
    )
    return Model(Localizer(config).eval(), config, preprocessing, card)


def greys_of(model: Model, radiographs: list[Radiograph] = RADIOGRAPHS) -> np.ndarray:
    preprocessing = grey_levels_only(model.preprocessing)
    return np.stack([preprocess(each, preprocessing)[0][0] for each in radiographs])


def assert_same(
    model: Model, outputs: list[np.ndarray], radiographs: list[Radiograph] = RADIOGRAPHS
) -> None:
    """The outputs of all images at once are those of the library, image by image."""
    of = dict(zip(Outputs._fields, outputs, strict=True))
    for row, radiograph in enumerate(radiographs):
        wanted = localize_radiograph(model, radiograph)
        raw = wanted.probabilities
        spread = np.ptp(wanted.heatmaps.scores)
        np.testing.assert_allclose(
            of["maps"][row] / spread, wanted.heatmaps.scores / spread, atol=1e-4
        )
        np.testing.assert_allclose(of["raw_probabilities"][row], raw, atol=1e-4)
        if model.card.probabilities == "sigmoid":
            # 1 - raw has too few digits in float32 where the probability is nearly 1.
            clear = raw < 0.99
            logits = np.log(raw[clear] / (1 - raw[clear]))
            np.testing.assert_allclose(of["logits"][row][clear], logits, atol=1e-3)
        own = [
            calibrated(float(each), model.card.calibration.get(finding))
            for each, finding in zip(raw, model.card.findings, strict=True)
        ]
        np.testing.assert_allclose(of["probabilities"][row], own, atol=1e-4)
        distance = wanted.suitability.distance or 0.0
        np.testing.assert_allclose(of["distance"][row], distance, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nih-small-v4", "phantom-v1"])
def test_an_embedded_model_gives_the_same_as_onnx_and_as_pt2(name: str, tmp_path: Path) -> None:
    model = read_model(name)
    graph = deepcopy(graph_of(name))
    write_onnx(graph, tmp_path / "a.onnx")
    assert_same(model, session_outputs(tmp_path / "a.onnx", greys_of(model)))
    facts = read_graph(tmp_path / "a.onnx").facts
    assert json.dumps(dataclasses.asdict(facts.card)) == json.dumps(dataclasses.asdict(model.card))
    assert facts.sha256 == model.sha256
    assert b"site-packages" not in (tmp_path / "a.onnx").read_bytes()  # no trace of the exporter
    store_half(graph)
    write_onnx(graph, tmp_path / "half.onnx")
    # The weights in the file of the model are halves, so nothing is lost.
    assert_same(model, session_outputs(tmp_path / "half.onnx", greys_of(model)))
    assert (tmp_path / "half.onnx").stat().st_size < 0.6 * (tmp_path / "a.onnx").stat().st_size
    write_pt2(model, tmp_path / "a.pt2")
    texts = {"card": "", "outputs": ""}
    program = torch.export.load(tmp_path / "a.pt2", extra_files=texts)
    with torch.no_grad():
        outputs = program.module()(torch.from_numpy(greys_of(model)))
    assert_same(model, [each.numpy() for each in outputs])
    assert json.loads(texts["card"])["name"] == name
    assert json.loads(texts["outputs"]) == list(Outputs._fields)


def session_outputs(path: Path, greys: np.ndarray) -> list[np.ndarray]:
    outputs: list[np.ndarray] = open_session(path.read_bytes(), str(path)).run(
        list(Outputs._fields), {"grey": greys}
    )
    return outputs


@pytest.mark.slow
@pytest.mark.parametrize("name", POOLED)
def test_any_pooling_and_number_of_channels_can_be_exported(name: str, tmp_path: Path) -> None:
    model = of_config(POOLED[name], "softmax" if name == "pcam" else "sigmoid")
    write_onnx(onnx_graph(model), tmp_path / "a.onnx")
    assert_same(model, session_outputs(tmp_path / "a.onnx", greys_of(model)))


@pytest.mark.slow
def test_real_radiographs_give_the_same(shared: Path, tmp_path: Path) -> None:
    from cxrloc.images.read import read_radiograph

    paths = sorted((shared / "data/chestxray14/images").iterdir())[:4]
    radiographs = [read_radiograph(path) for path in paths]
    model = read_model("nih-small-v4")
    write_onnx(graph_of("nih-small-v4"), tmp_path / "a.onnx")
    outputs = session_outputs(tmp_path / "a.onnx", greys_of(model, radiographs))
    assert_same(model, outputs, radiographs)


@pytest.mark.slow
def test_eight_bits_keep_the_order_of_the_findings_roughly(tmp_path: Path) -> None:
    model = read_model("phantom-v1")
    greys = greys_of(model)
    graph = to_int8(graph_of("phantom-v1"), list(greys))
    write_onnx(graph, tmp_path / "a.onnx")
    kinds = {weight.data_type for weight in graph.graph.initializer if len(weight.dims) == 4}
    assert kinds == {onnx.TensorProto.INT8}
    raw = session_outputs(tmp_path / "a.onnx", greys)[1]
    wanted = [localize_radiograph(model, each).probabilities for each in RADIOGRAPHS]
    assert np.abs(raw - wanted).max() < 0.2
    assert read_graph(tmp_path / "a.onnx").facts.card.name == "phantom-v1"


def test_a_network_that_reads_more_than_an_image_is_refused() -> None:
    config = LocalizerConfig("small_resnet", CHESTXRAY8, architecture="meta")
    card = ModelCard("with age", "nothing", CHESTXRAY8)
    model = Model(MetaLocalizer(config).eval(), config, Preprocessing(size=64), card)
    with pytest.raises(CxrlocError, match="with age also reads age, sex and view"):
        onnx_graph(model)
