"""Intervals are given only where they are meaningful; there is one mean over findings."""

import numpy as np
import pytest

from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.measure import Kind, Metric, measure, ratio
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.localization.printed_tables import report_note
from cxrloc.evaluation.localization.scores import score_localization
from cxrloc.evaluation.localization.tables import differences_frame
from cxrloc.evaluation.measurement import Measurement
from cxrloc.evaluation.resampling import Resampling, resample_group
from cxrloc.types import Annotation, Box, Detection, Record

TRUTH, AWAY = Box(10.0, 10.0, 20.0, 20.0), Box(60.0, 60.0, 70.0, 70.0)
RULE = MatchRule("iou", 0.5)
PROTOCOL = ScoringProtocol(rules=(RULE,), resampling=Resampling(100))


def boxed(patient: str, finding: str, image: str = "") -> Record:
    name = image or patient
    truth = (Annotation(name, finding, TRUTH),)
    return Record(name, patient, name, None, annotations=truth, annotation_frame=(100, 100))


def hit(record: Record, right: bool) -> Detection:
    finding = record.annotations[0].finding
    return Detection(record.image_id, finding, TRUTH if right else AWAY, None, 1.0)


def accuracies(records: list[Record]) -> tuple[dict[str, Measurement], object]:
    detections = [hit(record, index % 2 == 1) for index, record in enumerate(records)]
    scores = score_localization(records, detections, PROTOCOL)
    rows = {
        row.finding: row
        for row in scores.measurements
        if row.metric == "accuracy" and not row.subject and row.group == "all"
    }
    return rows, scores


def test_a_finding_of_one_patient_has_no_interval_and_excludes_nothing() -> None:
    """Resamples keep every finding, so the one patient is in all: 1.000 (1.000 to 1.000)."""
    findings = ("Atelectasis", "Cardiomegaly", "Effusion", "Mass")
    records = [boxed(f"{i}", finding) for i, finding in enumerate(findings)]
    rows, scores = accuracies(records)
    assert rows["mean"].value == 0.5
    assert all((row.low, row.high) == (None, None) for row in rows.values())
    assert "no interval" in rows["Mass"].note
    assert rows["mean"].note == "no interval: none of the 4 findings has one"
    assert rows["mean"].note in report_note(scores)
    assert not differences_frame(scores.measurements, "control")["excludes_0"].any()


def test_the_interval_of_a_mean_says_how_many_findings_have_one() -> None:
    records = [boxed(f"{i}", "Mass") for i in range(6)] + [boxed("x", "Nodule")]
    rows, _ = accuracies(records)
    assert rows["Nodule"].low is None
    assert rows["Mass"].low is not None
    assert rows["mean"].low is not None
    assert rows["mean"].averaged == ("Mass", "Nodule")
    assert rows["mean"].note.startswith("1 of the 2 findings have an interval")


def test_a_number_that_rests_on_one_patient_has_no_interval_if_others_carry_the_finding() -> None:
    """Two patients share a stratum, but the metric counts something of one of them only."""
    carries = np.ones((2, 1), dtype=bool)
    draws = resample_group(carries, np.ones(2, dtype=bool), Resampling(50))
    divisor = np.array([[3.0], [0.0]])
    hits = np.array([[[1.0]], [[0.0]]])
    metric = Metric((Kind("share"),), ratio(hits, divisor), divisor, "boxes", ("Mass",))
    row, *_ = measure([metric], draws)
    assert row.value == pytest.approx(1 / 3)
    assert (row.low, row.high) == (None, None)


def test_two_images_of_one_patient_give_no_interval() -> None:
    records = [boxed("a", "Mass", f"a{i}") for i in range(4)]
    rows, _ = accuracies(records)
    assert rows["Mass"].low is None


def test_patients_who_are_all_alone_in_their_strata_give_no_interval() -> None:
    """Each carries a rarer finding too, which puts it into a stratum of its own."""
    both = [
        Record(
            name,
            name,
            name,
            None,
            annotations=(Annotation(name, "Mass", TRUTH), Annotation(name, rare, TRUTH)),
            annotation_frame=(100, 100),
        )
        for name, rare in (("a", "Nodule"), ("b", "Effusion"))
    ]
    rows, _ = accuracies(both)
    assert rows["Mass"].value == pytest.approx(0.5)
    assert rows["Mass"].low is None


def test_one_drawing_serves_every_number_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from cxrloc.evaluation import resampling as module

    drawn = []
    original = module.resample_patients

    def counted(carries: np.ndarray, resamples: int, seed: int) -> np.ndarray:
        drawn.append(carries.shape)
        return original(carries, resamples, seed)

    monkeypatch.setattr(module, "resample_patients", counted)
    records = [boxed(f"{i}", ("Mass", "Nodule")[i % 2]) for i in range(8)]
    accuracies(records)
    assert drawn == [(8, 2)]
