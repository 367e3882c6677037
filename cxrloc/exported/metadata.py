"""The input of an exported graph, and what its file says about the model, as text beside it."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrloc.errors import CxrlocError
from cxrloc.files.structured import parse_json
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard
from cxrloc.models.metadata import from_plain

INPUT = "grey"
"""Name of a graph's input: Float32[batch, row, col], grey levels in [0, 1]."""


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """What is needed to use a graph without the program that wrote it.

    Attributes:
        card: origin, findings, calibration, limits.
        preprocessing: how an image becomes the network's input. Its mean, deviation and
            standardisation are inside the graph; size, fit, source size and bit depth are not.
        cell_shift_pixels: how far the grid of a map lies to the right of the network's input, and
            below it (`models.grid.cell_shift_pixels`).
        sha256: of the model file from which the graph was written.
    """

    card: ModelCard
    preprocessing: Preprocessing
    cell_shift_pixels: float
    sha256: str


def calibration_tensors(card: ModelCard) -> dict[str, np.ndarray]:
    """The calibration of a card as the constants of a graph, by their names there.

    A finding without calibration has slope 1 and intercept 0.

    >>> card = ModelCard("a", "", ("Mass", "Nodule"), calibration={"Nodule": (2.0, -1.0)})
    >>> for name, values in calibration_tensors(card).items():
    ...     print(name, values)
    calibration_slope [1. 2.]
    calibration_intercept [ 0. -1.]
    is_calibrated [False  True]
    """
    known = [card.calibration.get(finding) for finding in card.findings]
    pairs = np.array([(1.0, 0.0) if each is None else each for each in known], dtype=np.float32)
    return {
        "calibration_slope": pairs[:, 0].copy(),
        "calibration_intercept": pairs[:, 1].copy(),
        "is_calibrated": np.array([each is not None for each in known]),
    }


def to_metadata(facts: GraphFacts) -> dict[str, str]:
    """The facts as texts by name, in JSON."""
    return {
        field.name: json.dumps(
            dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value,  # type: ignore[arg-type]
            allow_nan=False,
        )
        for field in dataclasses.fields(facts)
        for value in [getattr(facts, field.name)]
    }


def from_metadata(texts: Mapping[str, str], where: str) -> GraphFacts:
    """The facts out of the texts that `to_metadata` wrote; other texts are left alone.

    Raises:
        CxrlocError: a text is missing or cannot be read.
    """
    values: dict[str, Any] = {}
    for field in dataclasses.fields(GraphFacts):
        if field.name not in texts:
            raise CxrlocError(
                f"{where}: its metadata has no {field.name!r}; only graphs written by "
                "`cxrloc export` can be used"
            )
        values[field.name] = parse_json(texts[field.name], f"{where}: {field.name!r}")
    return from_plain(GraphFacts, values, where)
