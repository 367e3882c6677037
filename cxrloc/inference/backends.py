"""The libraries that run models: torch, or onnxruntime, which starts in a fifth of the time.

torch is imported by the functions that need it, so that onnxruntime runs without it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cxrloc.exported.graph import read_embedded_graph, read_graph
from cxrloc.inference.localize_graphs import localize_graphs
from cxrloc.inference.localized import Localized
from cxrloc.inference.prepared import Failure, Image, InferenceSettings, check_names
from cxrloc.models.described import Described
from cxrloc.models.names import MODELS
from cxrloc.types import UsageError

GRAPH = ".onnx"
"""How the name of a graph's file ends."""


class Backend(NamedTuple):
    """A library that runs models.

    Attributes:
        read: name or file of a model -> model.
        localize: models, images and settings -> results in the order of the images.
    """

    read: Callable[[str], Described]
    localize: Callable[..., Iterator[Localized | Failure]]


def _read_network(name: str) -> Described:
    from cxrloc.models.weights import read_model

    return read_model(name)


def _localize_networks(
    models: Sequence[Any], images: Iterable[Image], settings: InferenceSettings
) -> Iterator[Localized | Failure]:
    from cxrloc.inference.localize import localize

    return localize(models, images, settings)


def _read_exported(name: str) -> Described:
    if name in MODELS:
        return read_embedded_graph(name)
    if name.endswith(GRAPH):
        return read_graph(Path(name))
    raise UsageError(
        f"--backend onnx: {name} is no graph: `cxrloc export {name} --to onnx` makes one"
    )


BACKENDS = {
    "torch": Backend(_read_network, _localize_networks),
    "onnx": Backend(_read_exported, localize_graphs),
}
"""Libraries by name."""


def find_backend(name: str, models: Sequence[str]) -> str:
    """The name in `BACKENDS` of the library that runs these models.

    "auto" takes onnxruntime for graphs and torch for other models.

    Raises:
        UsageError: there is no such library, or graphs and other models are mixed.

    >>> find_backend("auto", ["a.onnx"])
    'onnx'
    """
    check_names("--backend", [name], ("auto", *BACKENDS))
    graphs = [model for model in models if model.endswith(GRAPH)]
    if name == "torch" and graphs:
        raise UsageError(f"--backend torch: {graphs[0]} is a graph, which onnxruntime runs")
    if graphs and any(model not in (*graphs, *MODELS) for model in models):
        raise UsageError(f"{graphs[0]} is a graph, and graphs do not run beside other models")
    if name != "auto":
        return name
    return "onnx" if graphs else "torch"
