"""`images.csv` of a run: every image once, whatever its status."""

from pathlib import Path

import pandas as pd

from cxrloc.evaluation.image_status import IMAGES, write_image_status
from cxrloc.inference.prepared import Failure
from cxrloc.inference.suitability import Suitability


def test_every_image_has_a_row_and_is_counted_once(tmp_path: Path) -> None:
    found = {
        "a": Suitability((), 0.25),
        "b": Suitability(("blank", "a lateral"), 1.5),
        "c": Suitability(),  # by a model that knows no distance
    }
    counts = write_image_status(found, [Failure("d", "d.png: cut short")], tmp_path)
    assert counts == {"ok": 2, "outside": 1, "failed": 1}
    rows = pd.read_csv(tmp_path / IMAGES, keep_default_na=False)
    assert rows.astype(str).to_numpy().tolist() == [
        ["a", "ok", "0.25", ""],
        ["b", "outside", "1.5", "blank; a lateral"],
        ["c", "ok", "", ""],
        ["d", "failed", "", "d.png: cut short"],
    ]
    write_image_status(found, [], tmp_path, ["synthetic"])
    assert set(pd.read_csv(tmp_path / IMAGES)["note"]) == {"synthetic"}


def test_of_another_tools_numbers_nothing_is_known(tmp_path: Path) -> None:
    assert write_image_status({}, [Failure("d", "cut short")], tmp_path) is None
    assert not (tmp_path / IMAGES).exists()
