"""One limit on the image size applies to every command, and the user can raise it."""

import inspect
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrloc.cli.bench import bench
from cxrloc.cli.classify import classify
from cxrloc.cli.heatmap import heatmap
from cxrloc.cli.train import train
from cxrloc.errors import CxrlocError
from cxrloc.images.read import read_radiograph
from cxrloc.images.stored_pixels import MAX_MEGAPIXELS, check_size


@pytest.mark.parametrize("command", [heatmap, bench, classify, train])
def test_every_command_that_reads_images_takes_the_limit(command: object) -> None:
    parameters = inspect.signature(command).parameters  # type: ignore[arg-type]
    assert parameters["max_megapixels"].default == MAX_MEGAPIXELS


@pytest.mark.parametrize(
    ("rows", "columns", "limit", "taken"),
    [
        (8000, 10_000, 80.0, True),
        (8000, 10_001, 80.0, False),
        (12_000, 12_000, 80.0, False),
        (12_000, 12_000, 144.0, True),
        (20, 400, 80.0, True),
        (20, 401, 80.0, False),
        (0, 5, 80.0, False),
    ],
)
def test_images_up_to_the_limit_are_taken(
    rows: int, columns: int, limit: float, taken: bool
) -> None:
    if taken:
        check_size(Path("a.png"), rows, columns, limit)
    else:
        with pytest.raises(CxrlocError, match=r"a\.png: "):
            check_size(Path("a.png"), rows, columns, limit)


def test_a_smaller_limit_refuses_what_the_usual_one_takes(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((200, 100), dtype=np.uint8)).save(tmp_path / "a.png")
    read_radiograph(tmp_path / "a.png", max_megapixels=0.02)
    with pytest.raises(CxrlocError, match=r"more than the 0\.019 million pixels"):
        read_radiograph(tmp_path / "a.png", max_megapixels=0.019)
