"""Fixtures for every room."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real radiographs, boxes, DICOM files and weights beside the checkout; never part of it."""
    folder = Path(__file__).parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("needs the folder of real data, shared/, beside the checkout")
    return folder
