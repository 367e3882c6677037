"""Compares the result folders of two or more runs by their probabilities or by their boxes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from cxrloc.datasets.boxes import read_detections
from cxrloc.datasets.pairs import PAIRINGS
from cxrloc.errors import UsageError
from cxrloc.evaluation.classification.comparison import compare_predictions
from cxrloc.evaluation.classification.populations import of_findings, of_images
from cxrloc.evaluation.classification.prediction_files import read_predictions
from cxrloc.evaluation.classification.tables import (
    differences_frame,
    disagreements_frame,
    rank_correlations_frame,
)
from cxrloc.evaluation.classification.truth import TruthRules, with_no_finding
from cxrloc.evaluation.classification.two_views import compare_two_views, paired_studies
from cxrloc.evaluation.classification.units import Aggregation, Unit
from cxrloc.evaluation.contamination import NOT_CHECKABLE, NOT_HELD_OUT
from cxrloc.evaluation.localization.claims import claims_of_detections
from cxrloc.evaluation.localization.comparison import compare_detections
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.result_folders import DETECTIONS, PREDICTIONS, Run
from cxrloc.files.latex import PACKAGES, latex_tables
from cxrloc.files.table_writer import markdown_table, with_notes, write_csv
from cxrloc.files.whole import write_json, write_text
from cxrloc.inference.prepared import check_names
from cxrloc.phantom import NOT_OF_PATIENTS
from cxrloc.types import Predictions, Record


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """The options of `compare`, without its runs.

    Attributes:
        data: the images that were predicted; None for the data that the runs' `run.json` name.
        unit: what is scored, such as images or patients.
        aggregation: how the scores of a unit's images are combined to the unit's score.
        protocol: rules, population and resampling; predictions use the same resampling.
        most: largest length of the lists of disagreements.
        labels: labels out of reports (`cxrloc label`) in place of the data set's own.
        projection: compare on images of this projection only, a name of `PROJECTIONS`; empty for
            all.
        findings: compare these findings only; empty for all.
        patient_ids: if units are patients, write their ids instead of keyed hashes of the ids.
        two_views: the runs are those of a frontal model, a lateral model and the network of both.
        pairing: which pairs of a study the network of both views read, a name of `PAIRINGS`.
    """

    data: Path | None = None
    unit: Unit = "image"
    aggregation: Aggregation = "max"
    protocol: ScoringProtocol = field(default_factory=ScoringProtocol)
    most: int = 50
    labels: Path | None = None
    projection: str = ""
    findings: tuple[str, ...] = ()
    patient_ids: bool = False
    two_views: bool = False
    pairing: str = "first"


_Compared = tuple[dict[str, pd.DataFrame], dict[str, Any]]
"""Frames by the name of their file, and counts for the run card."""


RunComparison = Callable[[Mapping[str, Run], Sequence[Record], CompareOptions], _Compared]

KindWatch = Callable[[Iterable[tuple[str, RunComparison]]], Iterable[tuple[str, RunComparison]]]
"""A function that passes on what is to be compared, and may show the progress."""


def _predictions(
    runs: Mapping[str, Run], records: Sequence[Record], options: CompareOptions
) -> tuple[dict[str, Predictions], list[Record]]:
    """Each run's probabilities of the findings and the projection that are compared, and the truth.

    No Finding is judged by the outputs that all runs have, so that all are scored on one truth.

    Raises:
        UsageError: a run has not predicted a finding.
        CxrlocError: a run has predicted images that the data set does not have, or none of those
            that are compared.
    """
    # Without a choice of images, a predicted image that the data set does not have is an error.
    part = options.projection or options.labels is not None
    chosen = {record.image_id for record in records} if part else None
    read = {name: read_predictions(run.files[PREDICTIONS]) for name, run in runs.items()}
    first, *others = (predictions.findings for predictions in read.values())
    shared = [finding for finding in first if all(finding in each for each in others)]
    return {
        name: of_images(of_findings(predictions, options.findings), chosen)
        for name, predictions in read.items()
    }, with_no_finding(records, shared)


def _compare_predictions(
    runs: Mapping[str, Run], records: Sequence[Record], options: CompareOptions
) -> _Compared:
    predictions, truth = _predictions(runs, records, options)
    compared = compare_predictions(
        predictions,
        truth,
        options.unit,
        options.aggregation,
        options.protocol.resampling,
        options.most,
    )
    frames = {
        "differences": differences_frame(compared.differences),
        "rank_correlations": rank_correlations_frame(compared.runs, compared.rank_correlations),
        "disagreements": disagreements_frame(compared, options.patient_ids),
    }
    return frames, {
        "unit": compared.unit,
        "units": compared.units,
        "patients": compared.patients,
        "left_out": dict(zip(compared.runs, compared.left_out, strict=True)),
        "undefined": compared.undefined,
        "correlated": compared.correlated,
    }


def compare_runs_of_two_views(
    runs: Mapping[str, Run], records: Sequence[Record], options: CompareOptions
) -> _Compared:
    """Comparison of DualNet, the last run, with the first two runs.

    Each run is scored on its images of the same studies.
    """
    if len(runs) != 3 or options.unit != "study":
        raise UsageError(
            "--two-views takes --by study and three runs: of a frontal model, of a lateral model, "
            "and of the network that reads both views"
        )
    check_names("--pairing", [options.pairing], PAIRINGS)
    predictions, truth = _predictions(runs, records, options)
    predicted = list(predictions.values())
    frontal, lateral, dual = paired_studies(predicted, truth, options.pairing, options.aggregation)
    differences = compare_two_views(frontal, lateral, dual, options.protocol.resampling)
    return {"two_views": differences_frame(differences)}, {
        "unit": options.unit,
        "units": len(dual.unit_ids),
        "patients": len(set(dual.patient_ids)),
        "images_predicted": {
            name: len(one.image_ids) for name, one in zip(runs, predicted, strict=True)
        },
    }


def _compare_detections(
    runs: Mapping[str, Run], records: Sequence[Record], options: CompareOptions
) -> _Compared:
    """Comparison of the runs' boxes.

    A run without a run card is assumed to have read every image with boxes.
    """
    unseen = {
        image_id
        for run in runs.values()
        for key in ("missing_images", "failed_images")
        for image_id in run.card.get(key, ())
    }
    shared_records = [
        record for record in records if record.annotations and record.image_id not in unseen
    ]
    files = [run.files[DETECTIONS] for run in runs.values()]
    placed = claims_of_detections(shared_records, files[0]).records
    detections = {name: read_detections(file) for name, file in zip(runs, files, strict=True)}
    compared = compare_detections(detections, placed, options.protocol, options.most)
    correlations = rank_correlations_frame(compared.runs, compared.rank_correlations)
    frames = {
        "localization_differences": compared.differences,
        "localization_rank_correlations": correlations,
        "localization_disagreements": compared.disagreements,
    }
    return frames, {
        "images": compared.images,
        "patients": compared.patients,
        "boxes": sum(len(record.annotations) for record in placed),
        "images_not_seen_by_all": len(unseen),
        "left_out": dict(zip(compared.runs, compared.left_out, strict=True)),
    }


COMPARED: dict[str, RunComparison] = {
    PREDICTIONS: _compare_predictions,
    DETECTIONS: _compare_detections,
}
"""Comparisons by the name of the file in which a run has the results to compare."""


def rules_of_runs(runs: Mapping[str, Run]) -> TruthRules:
    """The rules by which the runs' labels became truth, as their cards say it.

    Raises:
        UsageError: the runs were scored by different rules.
    """
    defaults = asdict(TruthRules())
    cards = {name: run.card.get("protocol", {}) for name, run in runs.items()}
    of_runs = {
        name: {key: card.get(key, defaults[key]) for key in defaults}
        for name, card in cards.items()
    }
    (first, rules), *others = of_runs.items()
    for name, run_rules in others:
        if differing := next((key for key in defaults if run_rules[key] != rules[key]), None):
            raise UsageError(
                f"{first} was scored with --{differing.replace('_', '-')} {rules[differing]}, "
                f"{name} with {run_rules[differing]}: score both in one way"
            )
    return TruthRules(**rules)


def write_comparison(frames: Mapping[str, pd.DataFrame], run: dict[str, Any], out: Path) -> None:
    """Every frame as CSV; differences and correlations as tables for a page and a paper.

    Every row says where the radiographs are synthetic, or patients who trained a model were scored
    or may have been.
    """
    of_rows = (NOT_OF_PATIENTS, NOT_HELD_OUT, NOT_CHECKABLE)
    notes = [note for note in run["notes"] if note.startswith(of_rows)]
    for name, frame in frames.items():
        write_csv(with_notes(frame, notes), out / f"{name}.csv")
    tables = {name: frame for name, frame in frames.items() if not name.endswith("disagreements")}
    sentences = [f"{note[0].upper()}{note[1:]}." for note in run["notes"]]
    write_text(out / "table.md", "\n".join([*map(markdown_table, tables.values()), *sentences]))
    latex = [
        latex_tables(frame, f"{name.replace('_', ' ').capitalize()} of the runs.", sentences)
        for name, frame in tables.items()
    ]
    write_text(out / "table.tex", "\n".join([PACKAGES, *latex]))
    write_json(out / "run.json", run)
