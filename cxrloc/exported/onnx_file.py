"""Writes a model as an ONNX file."""

import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cxrloc.errors import CxrlocError
from cxrloc.exported.forward import ExportedForward, Outputs, facts_of
from cxrloc.exported.metadata import INPUT, to_metadata
from cxrloc.extras import import_extra
from cxrloc.files.whole import whole_file
from cxrloc.models.model import Model

EXTRA = "onnx"
OPSET = 20
"""Version of ONNX's operators, unless another is asked for."""

OPSETS = range(18, 24)
"""The exporter of torch writes these versions."""

LARGEST_FOLDED = 1024
"""Constants of more numbers are left as they are: weights and typical features are the model's."""


def onnx_graph(model: Model, opset: int = OPSET) -> Any:
    """The `onnx.ModelProto` of a model, with any number of images in a batch.

    Weights keep their names. Batch normalisations stay nodes of their own, since every runtime
    folds them into the convolutions when it loads the graph; so the weights are those of the model.

    Raises:
        CxrlocError: a package of the extra is missing, or torch cannot trace the network.
    """
    for package in ("onnx", "onnxscript"):
        import_extra(package, EXTRA)
    import onnx
    import onnxscript.optimizer

    size = model.preprocessing.size
    forward = ExportedForward(model).eval().cpu()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # they are about the exporter's own code
            program = torch.onnx.export(
                forward,
                (torch.rand(2, size, size),),
                dynamo=True,
                optimize=False,
                verbose=False,
                opset_version=opset,
                input_names=[INPUT],
                output_names=list(Outputs._fields),
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise CxrlocError(
            f"{model.card.name}: torch cannot write this network as ONNX: {reason}"
        ) from error
    assert program is not None
    onnxscript.optimizer.fold_constants(program.model, input_size_limit=LARGEST_FOLDED)
    onnxscript.optimizer.remove_unused_nodes(program.model)
    graph = program.model_proto
    _remove_traces(graph)
    graph.producer_name = "cxrloc"
    set_metadata(graph, to_metadata(facts_of(model)))
    onnx.checker.check_model(graph)
    return graph


def write_onnx(graph: Any, path: Path) -> None:
    """Write a graph as one whole file."""
    import onnx

    with whole_file(path) as part:
        onnx.save(graph, part)


def set_metadata(graph: Any, texts: Mapping[str, str]) -> None:
    """Replace the metadata of a graph."""
    import onnx

    graph.ClearField("metadata_props")
    onnx.helper.set_model_props(graph, dict(texts))


def without_weights(graph: Any, names: Collection[str]) -> None:
    """Leave out the values of these initializers, in place.

    They are declared as external data that lie nowhere: whoever opens the graph gives the values
    (`graph.open_session`).
    """
    from onnx import TensorProto

    for weight in graph.graph.initializer:
        if weight.name not in names:
            continue
        length = len(weight.raw_data)
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, text in (("location", "none"), ("offset", "0"), ("length", str(length))):
            weight.external_data.add(key=key, value=text)


def store_half(graph: Any) -> None:
    """Store the weights in half precision, in place; they are cast to float32 when they are used.

    Runtimes cast them once, when they load the graph. So the file has half the size, and results
    change by the rounding of the weights alone: not at all for a model that `write_model` wrote,
    which has its weights in half precision already.
    """
    import onnx
    from onnx import TensorProto, numpy_helper

    casts = []
    for weight in graph.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or len(weight.dims) < 2:
            continue
        name, half = weight.name, numpy_helper.to_array(weight).astype(np.float16)
        weight.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [weight.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.graph.node]
    graph.graph.ClearField("node")
    graph.graph.node.extend(nodes)


def _remove_traces(model: Any) -> None:
    """Remove what the exporter notes about source code, such as the paths of files."""
    graph = model.graph
    for part in (
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.initializer,
        *graph.value_info,
        graph,
    ):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("value_info")
    graph.name = "cxrloc"
