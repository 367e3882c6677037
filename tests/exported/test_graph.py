"""Reading exported graphs: what they say about the model, and files that are none."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from cxrloc.cli import app
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.exported.graph import open_session, read_embedded_graph, read_graph
from cxrloc.exported.metadata import GraphFacts, from_metadata, to_metadata
from cxrloc.exported.onnx_file import set_metadata, store_half, without_weights
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard
from cxrloc.models.names import MODELS

CARD = ModelCard("two", "nothing", ("Mass", "Nodule"), calibration={"Mass": (1.0, -3.0)})
FACTS = GraphFacts(CARD, Preprocessing(size=2), cell_shift_pixels=-7.5, sha256="ab")


def small_graph() -> Any:
    """A graph that multiplies grey levels by a weight, once with and once without the mean."""
    weight = numpy_helper.from_array(np.array([[1.0, 0.1], [2.0, 4.0]], dtype=np.float32), "weight")
    nodes = [
        helper.make_node("MatMul", ["grey", "weight"], ["maps"]),
        helper.make_node("ReduceMean", ["maps"], ["raw_probabilities"], axes=[2], keepdims=0),
        helper.make_node("ReduceMax", ["maps"], ["distance"], axes=[1, 2], keepdims=0),
    ]
    grey = helper.make_tensor_value_info("grey", TensorProto.FLOAT, ["batch", 2, 2])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (
            ("raw_probabilities", ["batch", 2]),
            ("maps", ["batch", 2, 2]),
            ("distance", ["batch"]),
        )
    ]
    graph = helper.make_graph(nodes, "small", [grey], outputs, [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_the_facts_come_back_as_they_were_written() -> None:
    texts = {**to_metadata(FACTS), "note": "of another tool"}
    found = from_metadata(texts, "a.onnx")
    assert found.preprocessing == FACTS.preprocessing
    assert (found.cell_shift_pixels, found.sha256) == (-7.5, "ab")
    assert found.card.findings == ("Mass", "Nodule")
    assert found.card.calibration["Mass"] == [1.0, -3.0]


def test_the_card_of_a_graph_is_shown_as_that_of_a_model(tmp_path: Path) -> None:
    proto = small_graph()
    set_metadata(proto, to_metadata(FACTS))
    onnx.save(proto, tmp_path / "a.onnx")
    shown = CliRunner().invoke(app, ["models", str(tmp_path / "a.onnx")])
    assert shown.exit_code == 0
    assert "trained on: nothing" in shown.output
    assert "calibration: 1 of 2 findings" in shown.output
    assert "Nodule" in shown.output


def test_a_graph_runs_on_several_images_and_knows_its_card(tmp_path: Path) -> None:
    proto = small_graph()
    set_metadata(proto, to_metadata(FACTS))
    onnx.save(proto, tmp_path / "a.onnx")
    graph = read_graph(tmp_path / "a.onnx")
    grey = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    found = graph.run(grey)
    assert graph.facts.card.name == "two"
    np.testing.assert_allclose(found.maps, grey @ [[1.0, 0.1], [2.0, 4.0]], rtol=1e-6)
    np.testing.assert_allclose(found.raw_probabilities, found.maps.mean(2), rtol=1e-6)
    np.testing.assert_array_equal(found.distance, found.maps.max((1, 2)))


def test_a_graph_of_an_earlier_version_is_to_be_written_again(tmp_path: Path) -> None:
    proto = small_graph()
    set_metadata(proto, to_metadata(FACTS))
    del proto.graph.output[2]
    onnx.save(proto, tmp_path / "a.onnx")
    with pytest.raises(CxrlocError, match="no output 'distance': write it again"):
        read_graph(tmp_path / "a.onnx")


@pytest.mark.parametrize("name", MODELS)
def test_an_embedded_graph_belongs_to_the_weights_beside_it(name: str) -> None:
    graph = read_embedded_graph(name)
    assert graph.sha256 == hashlib.sha256(MODELS[name].read_bytes()).hexdigest()
    assert (graph.card.name, graph.preprocessing.mean) == (name, (0.0,))


def test_an_embedded_graph_refuses_other_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "a.safetensors"
    content = MODELS["phantom-v1"].read_bytes()
    other.write_bytes(content.replace(b"phantom-v1", b"phantom-v2", 1))
    shutil.copy(MODELS["phantom-v1"].with_suffix(".onnx"), tmp_path / "a.onnx")
    monkeypatch.setitem(MODELS, "phantom-v1", other)
    with pytest.raises(CxrlocError, match="was written for other weights than a"):
        read_embedded_graph("phantom-v1")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.onnx: onnxruntime cannot read it"),
        (b"\x89PNG of a chest", "a.onnx: onnxruntime cannot read it"),
        (
            small_graph().SerializeToString(),
            "has no .card.; only graphs written by",
        ),
        (
            small_graph().SerializeToString().replace(b"MatMul", b"MatMu\xe7"),
            "a.onnx: onnxruntime cannot read it",
        ),
    ],
    ids=["empty", "no graph", "of another tool", "no UTF-8"],
)
def test_a_file_that_is_no_exported_model_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    with pytest.raises(CxrlocError, match=message):
        read_graph(path)
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_is_a_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        read_graph(tmp_path / "a.onnx")


def test_a_damaged_card_is_named(tmp_path: Path) -> None:
    with pytest.raises(CxrlocError, match=r"a\.onnx: .card."):
        from_metadata({**to_metadata(FACTS), "card": "{"}, "a.onnx")


def test_weights_in_half_precision_are_rounded_and_nothing_else_changes() -> None:
    plain, half = small_graph(), small_graph()
    store_half(half)
    onnx.checker.check_model(half)
    (stored,) = half.graph.initializer
    grey = np.eye(2, dtype=np.float32)[None]
    results = [
        open_session(graph.SerializeToString(), "a").run(["maps"], {"grey": grey})[0]
        for graph in (plain, half)
    ]
    assert stored.data_type == TensorProto.FLOAT16
    np.testing.assert_array_equal(results[1], results[0].astype(np.float16).astype(np.float32))
    assert (results[0] != results[1]).any()  # 0.1 is no half


def test_external_weights_are_given_from_memory() -> None:
    graph = small_graph()
    (weight,) = graph.graph.initializer
    values = {"weight": numpy_helper.to_array(weight) * 3}
    without_weights(graph, values)
    session = open_session(graph.SerializeToString(), "a", values)
    grey = np.eye(2, dtype=np.float32)[None]
    np.testing.assert_array_equal(session.run(["maps"], {"grey": grey})[0][0], values["weight"])
