"""Tests check arrays against the shapes in the package's annotations (see conftest.py)."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from cxrloc.localization.regions import is_degenerate, scale_maps
from cxrloc.types import Radiograph


def test_a_call_with_an_array_of_a_wrong_shape_fails() -> None:
    with pytest.raises(TypeCheckError, match="maps"):
        scale_maps(np.zeros((4, 4)))  # "map row col"
    with pytest.raises(TypeCheckError, match="maps"):
        is_degenerate(np.zeros((2, 4, 4), dtype=int))  # Float


def test_a_dataclass_with_an_array_of_a_wrong_shape_fails() -> None:
    with pytest.raises(TypeCheckError, match="pixels"):
        Radiograph(pixels=np.zeros((4, 4, 3)), bits_stored=8)  # "row col"
