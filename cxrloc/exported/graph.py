"""Exported graphs, run by onnxruntime on the CPU; torch is not imported."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float32

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.exported.metadata import INPUT, GraphFacts, from_metadata
from cxrloc.extras import import_extra
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard
from cxrloc.models.described import Input
from cxrloc.models.names import MODELS
from cxrloc.text import one_line


class GraphOutputs(NamedTuple):
    """The outputs of a graph that become results; `forward.Outputs` has all.

    Attributes:
        raw_probabilities: of every finding.
        maps: raw class activation maps.
        distance: as a share of the card's threshold.
    """

    raw_probabilities: Float[np.ndarray, "batch finding"]
    maps: Float[np.ndarray, "batch finding map_row map_col"]
    distance: Float[np.ndarray, " batch"]


class ExportedGraph:
    """A graph that `cxrloc export` wrote, ready to run: a model that needs no torch.

    Attributes:
        session: onnxruntime's inference session, which has all outputs of `forward.Outputs`.
        facts: what the file says about the model.
        sha256: SHA-256 of the file, in hexadecimal; of an embedded model, that of its weights.
        reads: what the graph reads.
    """

    reads: tuple[Input, ...] = (Input.IMAGE,)

    def __init__(self, session: Any, facts: GraphFacts, sha256: str) -> None:
        self.session, self.facts, self.sha256 = session, facts, sha256

    @property
    def card(self) -> ModelCard:
        """Origin, findings, calibration, limits."""
        return self.facts.card

    @property
    def preprocessing(self) -> Preprocessing:
        """How an image becomes grey levels for the graph."""
        return grey_levels_only(self.facts.preprocessing)

    def run(self, grey: Float32[np.ndarray, "batch row col"]) -> GraphOutputs:
        """The outputs for grey levels as `preprocessing` makes them."""
        return GraphOutputs(*self.session.run(list(GraphOutputs._fields), {INPUT: grey}))


def read_graph(path: Path) -> ExportedGraph:
    """Read an ONNX file that `cxrloc export` wrote.

    Raises:
        UsageError: there is no such file.
        CxrlocError: it is no ONNX file, or was not written by `cxrloc export`, or onnxruntime is
            missing.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file")
    content = path.read_bytes()
    session = open_session(content, str(path))
    facts = from_metadata(session.get_modelmeta().custom_metadata_map, str(path))
    _check_outputs(session, path)
    return ExportedGraph(session, facts, hashlib.sha256(content).hexdigest())


def read_embedded_graph(name: str) -> ExportedGraph:
    """The graph of a model of `MODELS`: its file beside the weights, and the weights themselves.

    Raises:
        CxrlocError: the graph was written for other weights, or onnxruntime is missing.
    """
    from safetensors import numpy

    weights = MODELS[name]
    path = weights.with_suffix(".onnx")
    content = weights.read_bytes()
    tensors = {
        initializer_name(key): value.astype(np.float32)
        for key, value in numpy.load(content).items()
        if value.dtype.kind == "f"
    }
    session = open_session(path.read_bytes(), str(path), tensors)
    facts = from_metadata(session.get_modelmeta().custom_metadata_map, str(path))
    if facts.sha256 != hashlib.sha256(content).hexdigest():
        raise CxrlocError(f"{path}: this graph was written for other weights than {weights.name}")
    return ExportedGraph(session, facts, facts.sha256)


def initializer_name(tensor: str) -> str:
    """The name in a graph of a tensor in the file of a model.

    >>> initializer_name("prediction.weight"), initializer_name("typical.mean")
    ('network.prediction.weight', 'typical.mean')
    """
    return tensor if tensor.startswith("typical.") else f"network.{tensor}"


def open_session(
    content: bytes, where: str, weights: Mapping[str, np.ndarray] | None = None
) -> Any:
    """An inference session of onnxruntime on the CPU.

    Args:
        content: an ONNX file.
        where: names the file in errors.
        weights: values of the initializers that the file declares as external.

    Raises:
        CxrlocError: onnxruntime is missing, or refuses the file.
    """
    runtime = import_extra("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    # Waiting threads would otherwise keep the cores busy on which files are read and drawn.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only: they are raised too
    if weights:
        values = [runtime.OrtValue.ortvalue_from_numpy(value) for value in weights.values()]
        options.add_external_initializers(list(weights), values)
    try:
        # A second try after an error (fallback) would be announced on standard output.
        return runtime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:  # each kind of damage has its own class in onnxruntime
        reason = one_line(str(error), 200)
        raise CxrlocError(f"{where}: onnxruntime cannot read it ({reason})") from error


def grey_levels_only(preprocessing: Preprocessing) -> Preprocessing:
    """The part of the preprocessing that stands before the graph: it ends with grey levels.

    >>> grey_levels_only(Preprocessing(size=8, mean=(0.5,) * 3, std=(0.2,) * 3)).mean
    (0.0,)
    """
    return replace(preprocessing, mean=(0.0,), std=(1.0,), standardised=False)


def _check_outputs(session: Any, path: Path) -> None:
    """Refuse a graph of an earlier version, which has fewer outputs."""
    found = {output.name for output in session.get_outputs()}
    for name in GraphOutputs._fields:
        if name not in found:
            raise CxrlocError(f"{path}: it has no output {name!r}: write it again, `cxrloc export`")
