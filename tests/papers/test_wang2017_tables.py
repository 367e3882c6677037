"""The counts behind Wang et al. 2017, tables 4, 7 and 19, agree with our counting rule.

Each accuracy is k / n, where n is the number of published boxes of the finding; each AFP is
k / 984. Cells are
printed with four digits (one with three), some rounded and some cut off.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxrloc.evaluation.localization.accuracy import count_boxes, measure_counts
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.overlap import iobb, iou
from cxrloc.evaluation.localization.scored_pairs import PlacedBoxes, ScoredPairs, scored_pairs
from cxrloc.findings import CHESTXRAY8
from cxrloc.types import Annotation, Box, Record

BOXES = dict(zip(CHESTXRAY8, (180, 146, 153, 123, 85, 79, 120, 98), strict=True))
ALL_BOXES = 984
SIDE = 1000.0


def numerator(printed: str, divisor: int) -> int | None:
    """The whole number whose share is printed so, rounded or cut off; None where there is none."""
    unit = 10 ** len(printed.partition(".")[2])
    last_digits = round(float(printed) * unit)
    for k in (round(float(printed) * divisor), round(float(printed) * divisor) + 1):
        if last_digits in (round(k * unit / divisor), k * unit // divisor):
            return k
    return None


@pytest.fixture(scope="module")
def cells(shared: Path) -> pd.DataFrame:
    table = pd.read_csv(
        shared / "papers" / "wang2017_localization.csv", dtype={"accuracy": str, "afp": str}
    )
    boxes = table["finding"].map(BOXES)
    table["hit"] = [numerator(*cell) for cell in zip(table["accuracy"], boxes, strict=True)]
    table["false_positives"] = [numerator(printed, ALL_BOXES) for printed in table["afp"]]
    return table.astype({"accuracy": float, "afp": float})


def test_every_printed_cell_is_a_whole_number_of_the_published_boxes(cells: pd.DataFrame) -> None:
    assert sum(BOXES.values()) == ALL_BOXES
    assert len(cells) == 136
    assert cells[["hit", "false_positives"]].notna().all(axis=None)


def test_few_accuracies_are_whole_numbers_of_the_200_boxes_of_the_text(
    cells: pd.DataFrame,
) -> None:
    """Section 2.4 speaks of 200 per finding; the tables were not divided by that."""
    fits = [numerator(f"{accuracy:.4f}", 200) is not None for accuracy in cells["accuracy"]]
    assert np.mean(fits) < 0.2


def one_box_per_image() -> ScoredPairs:
    frame = Box(0.0, 0.0, SIDE, SIDE)
    images = [(f"{name} {i}", name) for name, boxes in BOXES.items() for i in range(boxes)]
    return scored_pairs(
        [Record(i, i, i, None, annotations=(Annotation(i, f, frame),)) for i, f in images]
    )


def shifted(criterion: str, overlap: float) -> list[float]:
    """A box as large as the truth, moved right until it has this overlap."""
    # Shift s of a side of 1: IoBB = 1 - s, IoU = (1 - s) / (1 + s).
    shift = 1 - overlap if criterion == "iobb" else (1 - overlap) / (1 + overlap)
    return [shift * SIDE, 0.0, (1 + shift) * SIDE, SIDE]


def boxes_that_score(block: pd.DataFrame, criterion: str, pairs: ScoredPairs) -> PlacedBoxes:
    """Boxes with the table's hits and false positives, made from its numbers alone.

    Between two thresholds as many truths lose their last correct box as Acc. says, and as many
    boxes become false as AFP says; those that are more lie on truths that are hit still.
    """
    boxes, pair = [], []
    for column, finding in enumerate(pairs.findings):
        rows = block[block["finding"] == finding].sort_values("threshold")
        thresholds, hits = rows["threshold"].tolist(), rows["hit"].astype(int).tolist()
        false = rows["false_positives"].astype(int).tolist()
        truths = pairs.truth_pair[pairs.truth_pair % len(pairs.findings) == column]
        boxes += [shifted(criterion, 0.0)] * false[0]
        pair += [truths[0]] * false[0]
        for k, (low, high) in enumerate(zip(thresholds, [*thresholds[1:], 1.0], strict=True)):
            hit_after = hits[k + 1] if k + 1 < len(hits) else 0
            lost = hits[k] - hit_after
            become_false = false[k + 1] - false[k] if k + 1 < len(false) else lost
            assert become_false >= lost, "a truth that is lost takes a box with it"
            owners = [*truths[hit_after : hits[k]], *([truths[0]] * (become_false - lost))]
            boxes += [shifted(criterion, (low + high) / 2)] * len(owners)
            pair += owners
    return PlacedBoxes(np.array(boxes), np.array(pair))


@pytest.mark.parametrize(("table", "criterion"), [(4, "iobb"), (7, "iou"), (19, "iobb")])
def test_our_counting_gives_back_the_published_table(
    cells: pd.DataFrame, table: int, criterion: str
) -> None:
    block = cells[cells["table"] == table]
    pairs = one_box_per_image()
    rules = [MatchRule(criterion, threshold) for threshold in sorted(set(block["threshold"]))]
    claims = boxes_that_score(block, criterion, pairs)
    measured = measure_counts(pairs, count_boxes(pairs, claims, rules), rules)
    of = {(row.metric, row.finding, row.at): row for row in measured}
    for row in block.itertuples():
        accuracy = of["accuracy", row.finding, row.threshold]
        afp = of["afp", row.finding, row.threshold]
        assert afp.divisor == ALL_BOXES
        assert (accuracy.numerator, afp.numerator) == (row.hit, row.false_positives)
        assert accuracy.value == pytest.approx(row.accuracy, abs=1.001e-4)
        assert afp.value == pytest.approx(row.afp, abs=2e-4)


@pytest.mark.parametrize("overlap", [0.0, 0.15, 0.5, 0.95])
def test_shifted_boxes_overlap_as_they_say(overlap: float) -> None:
    truth = np.array([0.0, 0.0, SIDE, SIDE])
    assert iobb(np.array(shifted("iobb", overlap)), truth) == pytest.approx(overlap)
    assert iou(np.array(shifted("iou", overlap)), truth) == pytest.approx(overlap)


def test_table_19_fits_one_heatmap_per_annotated_pair(cells: pd.DataFrame) -> None:
    """(False positives + hits) at the strictest threshold per heatmap: nearly one constant."""
    strictest = cells[(cells["table"] == 19) & (cells["threshold"] == 0.9)]
    per_box = (strictest["hit"] + strictest["false_positives"]) / strictest["finding"].map(BOXES)
    assert per_box.round(1).tolist() == [5.7, 3.9, 5.6, 6.0, 5.8, 6.0, 5.4, 5.5]
