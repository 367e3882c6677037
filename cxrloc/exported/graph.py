"""Exported graphs, run by onnxruntime on the CPU; torch is not imported."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float32

from cxrloc.exported.metadata import GraphFacts, from_metadata
from cxrloc.extras import import_extra
from cxrloc.files.text import one_line
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.types import CxrlocError, UsageError


class GraphOutputs(NamedTuple):
    """The outputs of a graph that become results.

    Attributes:
        raw_probabilities: of every finding.
        maps: raw class activation maps.
    """

    raw_probabilities: Float[np.ndarray, "batch finding"]
    maps: Float[np.ndarray, "batch finding map_row map_col"]


class ExportedGraph:
    """A graph that `cxrloc export` wrote, ready to run.

    Attributes:
        session: onnxruntime's inference session, which has all outputs of `forward.Outputs`.
        facts: what the file says about the model.
        sha256: SHA-256 of the file, in hexadecimal.
    """

    def __init__(self, session: Any, facts: GraphFacts, sha256: str) -> None:
        self.session, self.facts, self.sha256 = session, facts, sha256

    def run(self, grey: Float32[np.ndarray, "batch row col"]) -> GraphOutputs:
        """The outputs for grey levels that `grey_levels_only` prepared."""
        return GraphOutputs(*self.session.run(list(GraphOutputs._fields), {"grey": grey}))


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
    return ExportedGraph(session, facts, hashlib.sha256(content).hexdigest())


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
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # each kind of damage has its own class in onnxruntime
        reason = one_line(str(error), 200)
        raise CxrlocError(f"{where}: onnxruntime cannot read it ({reason})") from error


def grey_levels_only(preprocessing: Preprocessing) -> Preprocessing:
    """The part of the preprocessing that stands before the graph: it ends with grey levels.

    >>> grey_levels_only(Preprocessing(size=8, mean=(0.5,) * 3, std=(0.2,) * 3)).mean
    (0.0,)
    """
    return replace(preprocessing, mean=(0.0,), std=(1.0,), standardised=False)
