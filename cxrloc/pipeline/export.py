"""`cxrloc export`: writes a model as a graph that other tools run, and compares it with torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32

from cxrloc.exported.forward import ExportedForward, Outputs
from cxrloc.exported.graph import grey_levels_only, read_graph
from cxrloc.exported.int8 import to_int8
from cxrloc.exported.onnx_file import OPSET, OPSETS, onnx_graph, store_half, write_onnx
from cxrloc.exported.pt2_file import write_pt2
from cxrloc.images.folders import find_images
from cxrloc.images.preprocessing import preprocess
from cxrloc.images.read import read_radiograph
from cxrloc.inference.prepared import check_names
from cxrloc.models.model import Model
from cxrloc.models.weights import read_model
from cxrloc.phantom import make_phantom
from cxrloc.types import CxrlocError, Radiograph, UsageError

PHANTOM_SEED, PHANTOMS = 11, 4
"""The phantoms on which a graph is compared with torch if no images are named."""

TOLERANCE = 1e-3
"""Logits of float32 differ by about 1e-5 between torch and onnxruntime; by more than this only if
the graph computes something else."""


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


class Exported(NamedTuple):
    """What was written.

    Attributes:
        path: the file.
        bytes: its size.
        outputs: shape of each output by name, for one image.
        images: on how many images it was compared, and which.
        differences: largest absolute difference from torch of each output by name; that of the maps
            is a share of their range.
    """

    path: Path
    bytes: int
    outputs: Mapping[str, tuple[int, ...]]
    images: str
    differences: Mapping[str, float]


def export(model: str, options: ExportOptions) -> Exported:
    """Write a model as a graph, and compare what it gives with what torch gives.

    Raises:
        UsageError: a name or option does not exist, or options exclude each other.
        CxrlocError: the model cannot be exported, or the graph does not give what torch gives.
    """
    check_names("--to", [options.to], FORMATS)
    if options.to != "onnx" and (options.half or options.int8):
        raise UsageError(f"--half and --int8 are for --to onnx, not for {options.to}")
    if options.half and options.int8:
        raise UsageError("--half and --int8 exclude each other")
    if options.int8 and not options.images:
        raise UsageError(
            "--int8 needs --images FOLDER: radiographs like those that the graph will see; on them "
            "the ranges of its activations are measured (100 are enough)"
        )
    if options.opset not in OPSETS:
        raise UsageError(f"--opset {options.opset}: choose from {OPSETS[0]} to {OPSETS[-1]}")
    read = read_model(model)
    greys = list(_greys(read, options.images))
    FORMATS[options.to](read, options, greys)
    wanted = _by_torch(read, greys)
    found = RUNNERS[options.to](options.out, greys)
    differences = _differences(wanted, found)
    exact = not (options.half or options.int8)
    if exact and (worst := max(differences.values())) > TOLERANCE:
        options.out.unlink()
        raise CxrlocError(f"{read.card.name}: the graph differs from torch by {worst:.2g}")
    number = len(greys)
    return Exported(
        options.out,
        options.out.stat().st_size,
        {name: (1, *value.shape[1:]) for name, value in found.items()},
        f"{number} radiographs" if options.images else f"{number} phantoms",
        differences,
    )


def _onnx(model: Model, options: ExportOptions, greys: Sequence[np.ndarray]) -> None:
    graph = onnx_graph(model, options.opset)
    if options.int8:
        graph = to_int8(graph, greys)
    if options.half:
        store_half(graph)
    write_onnx(graph, options.out)


def _pt2(model: Model, options: ExportOptions, greys: Sequence[np.ndarray]) -> None:
    write_pt2(model, options.out)


FORMATS: dict[str, Any] = {"onnx": _onnx, "pt2": _pt2}
"""Formats by name: (model, options, grey levels of images), writes the file."""


def _by_onnxruntime(path: Path, greys: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    session = read_graph(path).session
    parts = [session.run(list(Outputs._fields), {"grey": grey[None]}) for grey in greys]
    return _joined(parts)


def _by_program(path: Path, greys: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    program = torch.export.load(path).module()
    with torch.no_grad():
        return _joined([program(torch.from_numpy(grey[None])) for grey in greys])


RUNNERS: dict[str, Any] = {"onnx": _by_onnxruntime, "pt2": _by_program}
"""How a written file is run: (path, grey levels of images) -> outputs by name."""


def _by_torch(model: Model, greys: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    forward = ExportedForward(model).eval()
    with torch.no_grad():
        return _joined([forward(torch.from_numpy(grey[None])) for grey in greys])


def _joined(parts: Sequence[Sequence[Any]]) -> dict[str, np.ndarray]:
    """The outputs of single images as one array per name."""
    columns = zip(Outputs._fields, zip(*parts, strict=True), strict=True)
    return {name: np.concatenate([np.asarray(each) for each in own]) for name, own in columns}


def _differences(
    wanted: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """The largest difference of each output; that of the maps as a share of the map's range."""
    largest = {name: np.abs(found[name] - wanted[name]) for name in wanted}
    largest["maps"] = largest["maps"] / np.ptp(wanted["maps"], axis=(2, 3), keepdims=True)
    return {name: float(value.max()) for name, value in largest.items()}


def _greys(model: Model, paths: Sequence[Path]) -> Iterator[Float32[np.ndarray, "row col"]]:
    """The grey levels of the images, or of a few phantoms, as the graph takes them."""
    preprocessing = grey_levels_only(model.preprocessing)
    for radiograph in _radiographs(paths):
        yield preprocess(radiograph, preprocessing)[0][0]


def _radiographs(paths: Sequence[Path]) -> Iterator[Radiograph]:
    if not paths:
        for index in range(PHANTOMS):
            pixels = make_phantom(PHANTOM_SEED, index, 512).pixels
            yield Radiograph(pixels=pixels.astype(np.float32), bits_stored=8)
        return
    found = find_images(paths)
    if not found:
        raise UsageError(f"--images: no image in {', '.join(map(str, paths))}")
    yield from map(read_radiograph, found)
