"""Raw maps on disk are read back as they were written; errors in files of other tools are named."""

from pathlib import Path

import numpy as np
import pytest

from cxrloc.errors import CxrlocError
from cxrloc.inference.map_files import read_maps, write_maps
from cxrloc.types import Affine, Heatmaps

MAPS = {
    "findings": np.array(["Mass", "Nodule"]),
    "maps": np.arange(12.0).reshape(2, 2, 3),
    "rows": 40,
    "columns": 60,
}


def write(path: Path, **arrays: object) -> Path:
    known = {key: value for key, value in (MAPS | arrays).items() if value is not None}
    np.savez(path, **known)  # type: ignore[arg-type]
    return path


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    to_image = Affine(xx=20.0, x0=-3.0, yy=20.0, y0=1.0)
    heatmaps = Heatmaps(
        "a", ("Mass", "Nodule"), np.random.default_rng(0).random((2, 2, 3)), to_image, 40, 60
    )
    write_maps(np.array([0.25, 1.0]), heatmaps, tmp_path / "a.npz")
    probabilities, again = read_maps(tmp_path / "a.npz", "a")
    assert probabilities.tolist() == [0.25, 1.0]
    np.testing.assert_array_equal(again.scores, heatmaps.scores)
    assert (again.findings, again.to_image) == (heatmaps.findings, to_image)
    assert (again.image_rows, again.image_columns) == (40, 60)
    assert [each.name for each in tmp_path.iterdir()] == ["a.npz"]


def test_maps_of_another_tool_cover_the_image_and_have_the_probability_1(tmp_path: Path) -> None:
    probabilities, heatmaps = read_maps(write(tmp_path / "a.npz"), "a")
    assert probabilities.tolist() == [1.0, 1.0]
    assert heatmaps.to_image == Affine(xx=20.0, yy=20.0)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"rows": "forty"}, "rows must be 1 finite numbers, got 1 of <U5"),
        ({"rows": 40.5}, "whole numbers from 1 to 65535, got 40.5 and 60"),
        ({"columns": 10**18}, r"whole numbers from 1 to 65535, got 40 and 1e\+18"),
        ({"columns": None}, "has no array 'columns'"),
        ({"findings": np.array(["Mass", "masses"])}, "Mass is there twice; one map per finding"),
        ({"findings": np.array([1, 2])}, "findings must be text, got int64"),
        ({"maps": np.array([["a"]])}, "maps must be numbers"),
        ({"maps": np.zeros((3, 2, 2))}, r"got shape \(3, 2, 2\) of float64 for 2 findings"),
        ({"probabilities": np.array([0.5, 1.5])}, "must lie between 0 and 1, not 0.5 to 1.5"),
        ({"probabilities": np.array([0.5, np.nan])}, "probabilities must be 2 finite numbers"),
        ({"probabilities": np.array(["0.5", "0.7"])}, "probabilities must be 2 finite numbers"),
        ({"to_image": np.array([1.0, 0, 0, 1, 0, 0])}, "to_image flattens the map"),
        ({"maps": np.array([None, None])}, "holds Python objects"),
    ],
)
def test_a_broken_rule_is_named_with_the_file(
    arrays: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.npz", **arrays)
    with pytest.raises(CxrlocError, match=f"a.npz: .*{message}"):
        read_maps(path, "a")


def test_an_npy_file_under_the_name_of_an_npz_file_is_named(tmp_path: Path) -> None:
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(CxrlocError, match=r"a\.npz: not an npz file of plain arrays"):
        read_maps(tmp_path / "a.npz", "a")
