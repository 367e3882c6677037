"""The pictures that `bench` draws beside its numbers."""

from dataclasses import replace

import numpy as np

from cxrloc.evaluation.localization.claims import Claims
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.inference.prepared import Image
from cxrloc.panels.bench_examples import draw_examples
from cxrloc.panels.overlay import LINE_HEIGHT
from cxrloc.types import Annotation, Box, Radiograph, Record


def test_warnings_stand_under_the_examples() -> None:
    mass = Annotation("a", "Mass", Box(2.0, 2.0, 9.0, 9.0))
    records = [Record("a", "1", "a", None, annotations=(mass,))]
    images = [Image("a", lambda: Radiograph(np.zeros((16, 16), dtype=np.float32), bits_stored=8))]
    plain = Claims(records, [])
    warned = replace(plain, warnings={"the view is LATERAL, and m was trained on PA only": 1})
    heights = [
        draw_examples(claims, images, [MatchRule("iou", 0.5)], "Model m.").height
        for claims in (plain, warned)
    ]
    assert heights[1] == heights[0] + LINE_HEIGHT
