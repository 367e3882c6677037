"""The libraries that run models: torch, or onnxruntime, which starts in a fifth of the time.

torch is imported by the functions that need it, so that onnxruntime runs without it.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from cxrloc.errors import UsageError
from cxrloc.exported.graph import read_embedded_graph, read_graph
from cxrloc.inference.localize_graphs import CAN_DO, localize_graphs, single_precision
from cxrloc.inference.localized import Localized
from cxrloc.inference.prepared import Failure, Image, InferenceSettings, check_names
from cxrloc.models.described import Described
from cxrloc.models.names import MODELS

GRAPH = ".onnx"
"""How the name of a graph's file ends."""


class Backend(NamedTuple):
    """A library that runs models.

    Attributes:
        read: name or file of a model -> model.
        localize: models, images and settings -> results in the order of the images.
        with_precision: the settings with the precision that "auto" means.
    """

    read: Callable[[str], Described]
    localize: Callable[..., Iterator[Localized | Failure]]
    with_precision: Callable[[InferenceSettings], InferenceSettings]


def _read_network(name: str) -> Described:
    from cxrloc.models.weights import read_model

    return read_model(name)


def _localize_networks(
    models: Sequence[Any], images: Iterable[Image], settings: InferenceSettings
) -> Iterator[Localized | Failure]:
    from cxrloc.inference.localize import localize

    return localize(models, images, settings)


def _precision_of_networks(settings: InferenceSettings) -> InferenceSettings:
    from cxrloc.inference.batches import with_precision

    return with_precision(settings)


def _read_exported(name: str) -> Described:
    if name in MODELS:
        return read_embedded_graph(name)
    if name.endswith(GRAPH):
        return read_graph(Path(name))
    raise UsageError(
        f"--backend onnx: {name} is no graph: `cxrloc export {name} --to onnx` makes one"
    )


BACKENDS = {
    "torch": Backend(_read_network, _localize_networks, _precision_of_networks),
    "onnx": Backend(_read_exported, localize_graphs, single_precision),
}
"""Libraries by name."""


def find_backend(name: str, models: Sequence[str], settings: InferenceSettings) -> str:
    """The name in `BACKENDS` of the library that runs these models.

    "auto" takes onnxruntime for graphs. It also takes it for embedded models where it is installed,
    can do what the settings ask for, and no GPU is to be used: results then agree with torch's to
    the rounding of float32 (`benchmarks/accuracy_onnx.md`).

    Raises:
        UsageError: there is no such library, or graphs and other models are mixed.

    >>> find_backend("auto", ["a.onnx"], InferenceSettings())
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
    if graphs:
        return "onnx"
    able = all(getattr(settings, option) in values for option, values in CAN_DO.items())
    on_cpu = settings.device == "cpu" or not _may_have_gpu()
    embedded = all(model in MODELS for model in models)
    return "onnx" if able and on_cpu and embedded and find_spec("onnxruntime") else "torch"


def _may_have_gpu() -> bool:
    """Whether torch might find a GPU; asking torch itself would take seconds.

    Linux has a device file for each GPU of NVIDIA, for those of AMD, and for those that Windows
    lends to it. Other systems are not asked.
    """
    devices = ("nvidia[0-9]*", "kfd", "dxg")
    return sys.platform != "linux" or any(any(Path("/dev").glob(each)) for each in devices)
