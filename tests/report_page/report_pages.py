"""A small run for the tests of its page, and the numbers that Python gives for it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from cxrloc.evaluation.localization.accuracy import count_boxes, measure_counts
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.localization.scored_pairs import place_detections, scored_pairs
from cxrloc.evaluation.localization.scores import score_localization
from cxrloc.evaluation.localization.tables import rows_of
from cxrloc.evaluation.measurement import Measurement
from cxrloc.evaluation.resampling import Resampling
from cxrloc.images.geometry import resize_affine
from cxrloc.localization.boxes import detections_from_heatmaps
from cxrloc.report_page.localization import LocalizationRun
from cxrloc.report_page.quantised_maps import quantise
from cxrloc.types import Affine, Annotation, Box, Detection, Heatmaps, Record, View

FINDINGS = ("Mass", "Nodule", "Pneumothorax")
RULES = (MatchRule("iobb", 0.25), MatchRule("iobb", 0.5), MatchRule("iou", 0.3))


def bumps(generator: np.random.Generator, rows: int, columns: int) -> Float[np.ndarray, "row col"]:
    """A map with a few hills, as a network gives."""
    y, x = np.mgrid[:rows, :columns]
    hills = [
        np.exp(-((y - a) ** 2 + (x - b) ** 2) / generator.uniform(1, 6))
        for a, b in generator.uniform(0, [rows, columns], size=(4, 2))
    ]
    return (np.sum(hills, axis=0) + 0.05 * generator.standard_normal((rows, columns))) * 3 - 1


def detections_of(
    heatmaps: Sequence[Heatmaps],
    probabilities: Mapping[tuple[str, str], float],
    thresholds: tuple[float, ...],
) -> list[Detection]:
    """The boxes of maps, each with the probability of its finding."""
    return [
        detection
        for each in heatmaps
        for detection in detections_from_heatmaps(
            each, [probabilities[each.image_id, finding] for finding in each.findings], thresholds
        )
    ]


def small_run(images: int = 30) -> LocalizationRun:
    """Images of two sizes, one map that is flat, and a patient with several images."""
    generator = np.random.default_rng(5)
    records, heatmaps, probabilities = [], [], {}
    for index in range(images):
        image_id = f"chest-{index:02d}"
        rows, columns = (100, 80) if index % 3 else (64, 64)
        drawn = []
        for finding in FINDINGS:
            scores = bumps(generator, 9, 7)
            if index == 4:
                scores = np.ones_like(scores)
            to_image = resize_affine(9, 7, rows, columns)
            to_image = replace(to_image, x0=-1.25, y0=0.75)
            heatmaps.append(Heatmaps(image_id, (finding,), scores[None], to_image, rows, columns))
            probabilities[image_id, finding] = float(generator.uniform())
            if generator.uniform() < 0.6:
                row, column = np.unravel_index(scores.argmax(), scores.shape)
                box = Box(
                    x_min=max(0.0, columns / 7 * (column - 0.7)),
                    y_min=max(0.0, rows / 9 * (row - 1.1)),
                    x_max=min(columns, columns / 7 * (column + 1.9)),
                    y_max=min(rows, rows / 9 * (row + 1.6)),
                )
                drawn.append(Annotation(image_id, finding, box))
        view = View.PA if index % 2 else View.AP
        patient = f"secret-patient-{index // 2}"
        records.append(
            Record(
                image_id,
                patient,
                image_id,
                None,
                view,
                annotations=tuple(drawn),
                annotation_frame=(rows, columns),
            )
        )
    protocol = ScoringProtocol(RULES, resampling=Resampling(60, seed=3), draws=2)
    detections = detections_of(heatmaps, probabilities, (60.0, 180.0))
    scores = score_localization(records, detections, protocol, heatmaps)
    return LocalizationRun(
        records, detections, heatmaps, probabilities, frozenset(), protocol, scores
    )


def scored_by_python(
    run: LocalizationRun, thresholds: tuple[float, ...], rules: tuple[MatchRule, ...]
) -> list[Measurement]:
    """The numbers of the same 16-bit maps at other thresholds, without intervals."""
    quantised = [quantise(each) for each in run.heatmaps]
    detections = detections_of(quantised, run.probabilities, thresholds)
    pairs = scored_pairs(run.records)
    claims, _ = place_detections(pairs, detections)
    return measure_counts(pairs, count_boxes(pairs, claims, rules), rules)


def intervals_by_python(
    run: LocalizationRun, thresholds: tuple[float, ...], rule: MatchRule
) -> list[Measurement]:
    """The same with the run's own resamples of patients."""
    quantised = [quantise(each) for each in run.heatmaps]
    detections = detections_of(quantised, run.probabilities, thresholds)
    protocol = replace(run.protocol, rules=(rule,), draws=1)
    return rows_of(score_localization(run.records, detections, protocol).measurements)


def maps_of_every_kind() -> list[tuple[str, Float[np.ndarray, "row col"]]]:
    """Maps that a port of the box rule could get wrong."""
    generator = np.random.default_rng(11)
    kinds = [
        ("random", generator.standard_normal((rows, columns)))
        for rows, columns in ((1, 1), (1, 9), (7, 1), (2, 2), (8, 8), (16, 11))
        for _ in range(12)
    ]
    # Few levels: many values lie exactly on a threshold of 63.75 or 127.5.
    kinds += [("plateau", generator.integers(0, 5, size=(6, 7)) * 1.0) for _ in range(40)]
    # Checkerboards: whether diagonal neighbours belong together hangs on the saddle alone.
    board = np.indices((5, 5)).sum(axis=0) % 2
    kinds += [
        ("saddle", np.where(board, 1.0, 0.0) + generator.uniform(-0.3, 0.3, (5, 5)))
        for _ in range(40)
    ]
    kinds += [("saddle on the threshold", np.array([[2.0, 0.0], [0.0, 2.0]]))]
    kinds += [("border", np.pad(generator.uniform(0, 0.2, (4, 4)), 1, constant_values=1.0))]
    kinds += [("hills", quantised_scores(bumps(generator, 20, 20))) for _ in range(20)]
    flat, holes = np.full((4, 4), 3.0), generator.standard_normal((4, 4))
    holes[1, 2] = np.nan
    endless = np.where(np.isnan(holes), np.inf, holes)
    return [*kinds, ("flat", flat), ("not a number", holes), ("infinite", endless)]


def quantised_scores(scores: Float[np.ndarray, "row col"]) -> Float[np.ndarray, "row col"]:
    return quantise(Heatmaps("", ("",), scores[None], Affine(), 1, 1)).scores[0]
