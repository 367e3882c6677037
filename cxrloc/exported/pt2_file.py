"""Writes a model as a program of torch.export, which runs without this package."""

import json
import warnings
from io import BytesIO
from pathlib import Path

import torch

from cxrloc.exported.forward import ExportedForward, Outputs, facts_of
from cxrloc.exported.metadata import to_metadata
from cxrloc.files.whole import whole_file
from cxrloc.models.model import Model


def write_pt2(model: Model, path: Path) -> None:
    """Write the program; `torch.export.load` reads it.

    It takes grey levels Float32[batch, row, col], with any number of images, and returns the values
    of `Outputs` in their order. The extra files `card`, `preprocessing`, `cell_shift_pixels`,
    `sha256` and `outputs` are texts in JSON.

    Raises:
        CxrlocError: the network reads more than an image.
    """
    size = model.preprocessing.size
    forward = ExportedForward(model).eval().cpu()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # they are about torch's own code
        program = torch.export.export(
            _Plain(forward),
            (torch.rand(2, size, size),),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
        texts = {**to_metadata(facts_of(model)), "outputs": json.dumps(Outputs._fields)}
        content = BytesIO()
        torch.export.save(program, content, extra_files=texts)
    with whole_file(path) as part:
        part.write_bytes(content.getvalue())


class _Plain(torch.nn.Module):
    """The outputs as a plain tuple, so that loading needs no class of this package."""

    def __init__(self, forward: ExportedForward) -> None:
        super().__init__()
        self.model = forward

    def forward(self, grey: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The values of `Outputs`."""
        return tuple(self.model(grey))
