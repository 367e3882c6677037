"""`cxrloc page`: writes a page that runs a model in the browser."""

from pathlib import Path
from typing import NamedTuple

from cxrloc.exported.forward import facts_of
from cxrloc.exported.graph import read_graph
from cxrloc.exported.onnx_file import onnx_graph, store_half
from cxrloc.models.weights import read_model
from cxrloc.report_page.demo import check_input, write_demo
from cxrloc.report_page.npm_packages import Runtime

MOST_BYTES = 25_000_000
"""Bytes of a page above which the command warns: it would be too large to send by mail."""


class WrittenPage(NamedTuple):
    """The page that was written, and its size in bytes."""

    path: Path
    bytes: int


def page(model: str, runtime: Runtime, out: Path) -> WrittenPage:
    """Write the page of a model, whose weights are stored in half precision.

    Args:
        model: an embedded name, a checkpoint file, or an ONNX file of `cxrloc export`.
        runtime: the files of the npm packages that the page contains.
        out: the page.

    Raises:
        UsageError: there is no such model.
        CxrlocError: the page cannot do the model's preprocessing, or the model cannot be exported.
    """
    if Path(model).suffix == ".onnx":
        facts, content = read_graph(Path(model)).facts, Path(model).read_bytes()
        check_input(facts)
    else:
        read = read_model(model)
        facts = facts_of(read)
        check_input(facts)
        graph = onnx_graph(read)
        store_half(graph)
        content = graph.SerializeToString()
    write_demo(facts, content, runtime, out)
    return WrittenPage(out, out.stat().st_size)
