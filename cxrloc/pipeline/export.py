"""`cxrloc export`: writes a model as a graph that other tools run, and compares it with torch."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.exported.formats import FORMATS, ExportOptions, differences_from_torch
from cxrloc.exported.graph import grey_levels_only
from cxrloc.exported.onnx_file import OPSETS
from cxrloc.images.folders import find_images
from cxrloc.images.preprocessing import preprocess
from cxrloc.images.read import read_radiograph
from cxrloc.inference.prepared import check_names
from cxrloc.models.model import Model
from cxrloc.models.weights import read_model
from cxrloc.phantom import make_phantom
from cxrloc.types import Radiograph

PHANTOM_SEED, PHANTOMS = 11, 4
"""The phantoms on which a graph is compared with torch if no images are named."""

TOLERANCE = 1e-3
"""Largest accepted difference. In float32, logits of torch and of onnxruntime differ by about 1e-5.
A larger difference means that the graph computes something else."""


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
    if options.out.suffix != f".{options.to}":
        raise UsageError(f"--out {options.out}: a file of --to {options.to} ends in .{options.to}")
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
    write, run = FORMATS[options.to]
    write(read, options, greys)
    found = run(options.out, greys)
    differences = differences_from_torch(read, found, greys)
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
