"""`FORMATS`: the formats that a model is exported to, and how far what was written is from torch.

To add one, write a function that writes a file and one that runs it, and add one line to `FORMATS`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from cxrloc.exported.forward import ExportedForward, Outputs
from cxrloc.exported.graph import read_graph
from cxrloc.exported.int8 import to_int8
from cxrloc.exported.metadata import INPUT
from cxrloc.exported.onnx_file import OPSET, onnx_graph, store_half, write_onnx
from cxrloc.exported.pt2_file import write_pt2
from cxrloc.models.model import Model

Greys = Sequence[np.ndarray]
"""Grey levels of images, each of the network's input size (row col)."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """How a model is exported.

    Attributes:
        to: a name of `FORMATS`.
        out: the file to write.
        opset: version of ONNX's operators.
        half: store the weights in half precision.
        int8: compute convolutions in 8 bits.
        images: radiographs on which the graph is compared with torch, and on which the ranges of
            8 bits are measured; none: a few phantoms.
    """

    to: str
    out: Path
    opset: int = OPSET
    half: bool = False
    int8: bool = False
    images: tuple[Path, ...] = ()


class Format(NamedTuple):
    """How one format is written and run.

    Attributes:
        write: writes the file of the options; measures ranges on the grey levels, if it needs any.
        run: outputs of a written file by name, for all images.
    """

    write: Callable[[Model, ExportOptions, Greys], None]
    run: Callable[[Path, Greys], dict[str, np.ndarray]]


def _write_onnx(model: Model, options: ExportOptions, greys: Greys) -> None:
    graph = onnx_graph(model, options.opset)
    if options.int8:
        graph = to_int8(graph, greys)
    if options.half:
        store_half(graph)
    write_onnx(graph, options.out)


def _run_onnx(path: Path, greys: Greys) -> dict[str, np.ndarray]:
    session = read_graph(path).session
    return _joined([session.run(list(Outputs._fields), {INPUT: grey[None]}) for grey in greys])


def _write_pt2(model: Model, options: ExportOptions, greys: Greys) -> None:
    write_pt2(model, options.out)


def _run_pt2(path: Path, greys: Greys) -> dict[str, np.ndarray]:
    return _run_module(torch.export.load(path).module(), greys)


FORMATS: dict[str, Format] = {
    "onnx": Format(_write_onnx, _run_onnx),
    "pt2": Format(_write_pt2, _run_pt2),
}


def differences_from_torch(
    model: Model, found: Mapping[str, np.ndarray], greys: Greys
) -> dict[str, float]:
    """The largest absolute difference of each output from what torch gives for the same images.

    That of the maps is a share of each map's range; of a map without a range it is absolute. A
    value that is not a number is infinitely far.
    """
    expected = _run_module(ExportedForward(model).eval(), greys)
    largest = {name: np.abs(found[name] - expected[name]) for name in expected}
    spread = np.ptp(expected["maps"], axis=(2, 3), keepdims=True)
    largest["maps"] = largest["maps"] / np.where(spread > 0, spread, 1)
    return {
        name: float(np.nan_to_num(difference, nan=np.inf).max())
        for name, difference in largest.items()
    }


def _run_module(module: Any, greys: Greys) -> dict[str, np.ndarray]:
    with torch.no_grad():
        return _joined([module(torch.from_numpy(grey[None])) for grey in greys])


def _joined(parts: Sequence[Sequence[Any]]) -> dict[str, np.ndarray]:
    """The outputs of single images as one array per name."""
    columns = zip(Outputs._fields, zip(*parts, strict=True), strict=True)
    return {
        name: np.concatenate([np.asarray(each) for each in batches]) for name, batches in columns
    }
