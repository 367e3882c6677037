"""Results that an interrupted run has computed are not computed again."""

from pathlib import Path

import numpy as np
import pytest

from cxrloc.files.journal import Journal, file_signature


def test_results_come_back_to_the_last_bit(tmp_path: Path) -> None:
    maps = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    result = {"maps": maps, "probability": 0.1 + 0.2, "view": None, "warnings": ["dark"]}
    Journal(tmp_path / "journal").add("a", "a.png 3 7", result)
    found = Journal(tmp_path / "journal").find("a", "a.png 3 7")
    assert found is not None
    assert found["maps"].dtype == maps.dtype
    np.testing.assert_array_equal(found.pop("maps"), maps)
    assert found == {"probability": 0.1 + 0.2, "view": None, "warnings": ["dark"]}


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_line_that_a_kill_cut_short_is_left_out_and_the_next_is_not(
    tmp_path: Path, cut: int
) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.add("a", "", {"x": 1})
    journal.add("b", "", {"x": 2})
    path.write_bytes(path.read_bytes()[:-cut])
    Journal(path).add("c", "", {"x": 3})
    read = Journal(path)
    found = [read.find(name, "") for name in "abc"]
    # One byte less is the line's end alone: the line itself is whole.
    assert found == [{"x": 1}, {"x": 2} if cut == 1 else None, {"x": 3}]


def test_a_changed_file_is_another_image(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(b"one")
    journal = Journal(tmp_path / "journal")
    journal.add("a", file_signature(image), {"x": 1})
    again = Journal(tmp_path / "journal")
    assert again.find("a", file_signature(image)) == {"x": 1}
    image.write_bytes(b"four")
    assert again.find("a", file_signature(image)) is None
    image.unlink()
    assert again.find("a", file_signature(image)) is None


def test_parts_of_a_run_keep_results_of_the_same_image_apart(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    for number, name in enumerate(("fold-0", "fold-1")):
        journal.part(name).add("a", "", {"x": number})
    again = Journal(tmp_path / "journal")
    assert [again.part(f"fold-{k}").find("a", "") for k in range(3)] == [{"x": 0}, {"x": 1}, None]
    assert again.find("a", "") is None
