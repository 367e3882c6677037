"""RoDeO by hand, and on the example of its authors' package."""

import numpy as np
import pytest

from cxrloc.evaluation.localization import rodeo
from cxrloc.evaluation.localization.measure import Metric
from cxrloc.evaluation.localization.rodeo import (
    GIVEN_FINDINGS,
    assign_boxes,
    generalised_iou,
    place_scores,
    rodeo_metrics,
    shape_scores,
)
from cxrloc.evaluation.localization.scored_pairs import (
    PlacedBoxes,
    ScoredPairs,
    place_detections,
    scored_pairs,
)
from cxrloc.types import Annotation, Box, Detection, Record

TOTAL, PLACE, SHAPE, CLASS = range(4)


def drawn(
    *images: tuple[list[tuple[str, tuple[float, ...]]], list[tuple[str, tuple[float, ...]]]],
    population: str = "all",
    ignored: tuple[float, ...] = (),
) -> tuple[ScoredPairs, PlacedBoxes]:
    """Images with annotated and detected boxes; each image is of its own patient."""
    records, detections = [], []
    for number, (annotated, detected) in enumerate(images):
        name = f"image {number}"
        truth = tuple(Annotation(name, finding, Box(*corners)) for finding, corners in annotated)
        regions = (Annotation(name, "Mass", Box(*ignored)),) if ignored else ()
        records.append(Record(name, name, name, None, annotations=truth, ignored=regions))
        detections += [Detection(name, finding, Box(*box), None, None) for finding, box in detected]
    pairs = scored_pairs(records, population)
    return pairs, place_detections(pairs, detections)[0]


def values(metric: Metric) -> np.ndarray:
    everybody = np.ones((len(metric.divisor), 1))
    return metric.values(everybody).reshape(4, -1)


def test_the_drawn_example_with_a_second_finding_that_is_met():
    """Mass: half a box to the right, and one box too many. Nodule: met exactly."""
    pairs, claims = drawn(
        (
            [("Mass", (0, 0, 2, 2)), ("Nodule", (20, 20, 22, 22))],
            [("Mass", (1, 0, 3, 2)), ("Mass", (5, 5, 7, 7)), ("Nodule", (20, 20, 22, 22))],
        )
    )
    by_finding, everything = map(values, rodeo_metrics(pairs, claims))
    mass = [0.5 * 2 ** (-1 / 4), 0.5, 0.5]
    np.testing.assert_allclose(by_finding[PLACE:, 0], mass)
    np.testing.assert_allclose(by_finding[TOTAL, 0], 3 / sum(1 / each for each in mass))
    np.testing.assert_allclose(by_finding[:, 1], 1.0)
    # Two of three boxes are assigned.
    np.testing.assert_allclose(everything[PLACE], (2 ** (-1 / 4) + 1) / 3)
    np.testing.assert_allclose(everything[[SHAPE, CLASS], 0], 2 / 3)


def test_the_example_of_the_authors_package():
    """What `rodeometric` 0.0.1 answers to the example of its README."""
    pairs, claims = drawn(
        (
            [("a", (0.0, 0.0, 0.1, 0.1)), ("b", (0.0, 0.2, 0.1, 0.3))],
            [
                ("a", (0.1, 0.1, 0.3, 0.2)),
                ("b", (0.0, 0.3, 0.1, 0.4)),
                ("a", (0.2, 0.2, 0.3, 0.3)),
            ],
        )
    )
    _, everything = map(values, rodeo_metrics(pairs, claims))
    expected = [0.35470516, 0.20170402, 0.5, 2 / 3]
    # The package adds 1e-6 to each part before it takes the harmonic mean.
    np.testing.assert_allclose(everything[:, 0], expected, atol=2e-6)


@pytest.mark.parametrize(
    ("detected", "same", "expected"),
    [
        (["Mass", "Nodule", "Effusion"], 3, 1.0),
        (["Mass", "Nodule", "Nodule"], 2, (3 * 2 / 3 - 1) / 2),  # Matthews correlation of C = 3
        (["Nodule", "Effusion", "Mass"], 0, 0.0),  # below 0 without the limit
    ],
)
def test_classification_is_the_correlation_of_assigned_findings(detected, same, expected):
    from sklearn.metrics import matthews_corrcoef

    names = ["Mass", "Nodule", "Effusion"]
    boxes = [(0, 0, 9, 9), (20, 20, 29, 29), (40, 40, 49, 49)]
    # The boxes of each image lie on each other, so that place alone decides which are assigned.
    truth, claim = [*zip(names, boxes, strict=True)], [*zip(detected, boxes, strict=True)]
    pairs, claims = drawn((truth, claim))
    own = assign_boxes(pairs, claims)
    assert (claims.pair[own.claim] == pairs.truth_pair[own.truth]).sum() == same
    hot = [
        np.array([[each == name for name in names] for each in rows]) for rows in (names, detected)
    ]
    by_library = max(0.0, matthews_corrcoef(*(each.ravel() for each in hot)))
    assert by_library == pytest.approx(expected)
    assert values(rodeo_metrics(pairs, claims)[1])[CLASS, 0] == pytest.approx(expected)


def test_boxes_compared_in_blocks_are_assigned_alike(monkeypatch):
    generator = np.random.default_rng(0)
    corners = generator.integers(0, 90, (9, 2)).tolist()
    boxes = [(("Mass", "Nodule")[k % 2], (x, y, x + 9, y + 9)) for k, (x, y) in enumerate(corners)]
    pairs, claims = drawn((boxes[:4], boxes[2:]), (boxes[5:], boxes[:7]))
    at_once = assign_boxes(pairs, claims)
    monkeypatch.setattr(rodeo, "MATCHES_AT_ONCE", 9)
    in_blocks = assign_boxes(pairs, claims)
    assert at_once.claim.tolist() == in_blocks.claim.tolist()
    assert at_once.truth.tolist() == in_blocks.truth.tolist()


def test_findings_that_agree_over_the_images_outweigh_place():
    """In the first image, the nearer box is of the other finding; the others set the weight."""
    near, far = (0.0, 0.0, 10.0, 10.0), (6.0, 0.0, 16.0, 10.0)
    first = ([("Mass", near)], [("Nodule", near), ("Mass", far)])
    sure = [([("Nodule", near)], [("Nodule", near)])] * 20
    pairs, claims = drawn(first, *sure)
    assert claims.boxes[assign_boxes(pairs, claims).claim[0]].tolist() == list(far)
    unsure = [([("Nodule", near)], [("Mass", near)])] * 20
    pairs, claims = drawn(first, *unsure)
    assert claims.boxes[assign_boxes(pairs, claims).claim[0]].tolist() == list(near)


def test_boxes_left_over_count_as_nothing_but_not_those_in_an_ignored_region():
    truth = [("Mass", (0, 0, 10, 10)), ("Nodule", (40, 40, 50, 50))]
    image = (truth, [*truth, ("Mass", (70, 70, 80, 80))])
    assert values(rodeo_metrics(*drawn(image))[1])[SHAPE, 0] == pytest.approx(2 / 3)
    ignoring = drawn(image, ignored=(60, 60, 90, 90))
    assert values(rodeo_metrics(*ignoring)[1])[SHAPE, 0] == 1.0
    missed = values(rodeo_metrics(*drawn((truth, truth[:1])))[0])
    np.testing.assert_allclose(missed, [[1, 0]] * 4, atol=1e-9)


def test_without_any_detected_box_every_score_is_0():
    by_finding, everything = rodeo_metrics(
        *drawn(([("Mass", (0, 0, 1, 1)), ("Nodule", (2, 2, 3, 3))], []))
    )
    assert not values(by_finding).any()
    assert not values(everything).any()


def test_resamples_weigh_patients():
    truth = [("Mass", (0, 0, 10, 10)), ("Nodule", (40, 40, 50, 50))]
    pairs, claims = drawn((truth, truth), (truth, []))
    _, everything = rodeo_metrics(pairs, claims)
    weights = np.array([[2.0, 0.0, 1.0], [0.0, 2.0, 1.0]])
    total = everything.values(weights).reshape(4, 3)[TOTAL]
    np.testing.assert_allclose(total, [1.0, 0.0, 0.5], atol=1e-9)


def test_one_finding_has_no_correlation_and_annotated_pairs_are_said():
    assert rodeo_metrics(*drawn(([("Mass", (0, 0, 1, 1))], []))) == []
    truth = [("Mass", (0, 0, 1, 1)), ("Nodule", (2, 2, 3, 3))]
    metrics = rodeo_metrics(*drawn((truth, truth), population="annotated"))
    assert [metric.note for metric in metrics] == [GIVEN_FINDINGS] * 2


@pytest.mark.parametrize(
    ("box", "place", "shape", "overlap"),
    [
        ((0, 0, 4, 2), 1.0, 1.0, 1.0),
        ((4, 0, 8, 2), 0.5, 1.0, 0.0),  # one width to the right: the limit of the rule
        ((0, 1, 4, 3), 2**-0.25, 1.0, 1 / 3),
        ((1, 0.5, 3, 1.5), 1.0, 0.25, 0.25),
        ((0, 4, 4, 6), 2**-4.0, 1.0, -1 / 3),  # 16 of the 24 around are covered
    ],
)
def test_parts_by_hand(box, place, shape, overlap):
    boxes, truth = np.array([box], dtype=float), np.array([[0.0, 0.0, 4.0, 2.0]])
    assert place_scores(boxes, truth).item() == pytest.approx(place)
    assert shape_scores(boxes, truth).item() == pytest.approx(shape)
    assert generalised_iou(boxes, truth).item() == pytest.approx(overlap)
