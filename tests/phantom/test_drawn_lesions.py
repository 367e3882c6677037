"""Lesions are drawn where their box says, and change the radiograph nowhere else."""

import numpy as np
import pytest

from cxrloc.phantom.drawn_lesions import LESIONS, draw_lesion, record_with
from cxrloc.types import Record


@pytest.mark.parametrize("finding", LESIONS)
def test_a_lesion_changes_the_radiograph_most_inside_its_box(finding: str) -> None:
    rng = np.random.default_rng(3)
    normal = np.clip(rng.normal(0.5, 0.1, (64, 64)), 0, 1).astype(np.float32)
    lesion = draw_lesion(finding, normal, rng)
    assert lesion.pixels.min() >= 0
    assert lesion.pixels.max() <= 1
    box = lesion.box
    assert 0 <= box.x_min < box.x_max <= 64
    assert 0 <= box.y_min < box.y_max <= 64
    inside = np.zeros((64, 64), dtype=bool)
    inside[int(box.y_min) : int(box.y_max), int(box.x_min) : int(box.x_max)] = True
    change = np.abs(lesion.pixels - normal)
    assert change[inside].mean() > 3 * change[~inside].mean()
    # Air in the pleural space is dark; the other lesions are bright.
    darker = (lesion.pixels - normal)[inside].mean() < 0
    assert darker == (finding == "Pneumothorax")


def test_the_record_of_a_drawn_lesion_has_its_box_and_an_id_of_its_own() -> None:
    normal = np.full((40, 40), 0.5, dtype=np.float32)
    lesion = draw_lesion("Mass", normal, np.random.default_rng(0))
    record = record_with(lesion, Record("a.png", "1", "a", None))
    (truth,) = record.annotations
    assert (record.image_id, truth.image_id) == ("a.png Mass", "a.png Mass")
    assert (truth.finding, truth.box) == ("Mass", lesion.box)
    assert record.annotation_frame == (40, 40)
