"""`cxrloc compare`: results of two runs or more on the same images, against each other."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cxrloc.datasets.boxes import read_detections
from cxrloc.datasets.pairs import PAIRINGS
from cxrloc.datasets.report_labels import with_labels
from cxrloc.evaluation.classification.comparison import compare_predictions
from cxrloc.evaluation.classification.prediction_files import read_predictions
from cxrloc.evaluation.classification.tables import (
    differences_frame,
    disagreements_frame,
    rank_correlations_frame,
)
from cxrloc.evaluation.classification.two_views import compare_two_views, paired_studies
from cxrloc.evaluation.classification.units import Aggregation, Unit
from cxrloc.evaluation.localization.comparison import (
    compare_detections,
)
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.files.table_writer import latex_table, markdown_table
from cxrloc.inference.batches import check_names
from cxrloc.panels.results import run_names
from cxrloc.pipeline.claims import claims_of_detections
from cxrloc.pipeline.classify_inputs import REPORTS, source_of_labels
from cxrloc.pipeline.image_sets import PHANTOM_NAME, read_images
from cxrloc.pipeline.outputs import make_folder
from cxrloc.pipeline.run_card import versions
from cxrloc.reports.label_file import read_labels
from cxrloc.types import CxrlocError, Record, UsageError

PREDICTIONS, DETECTIONS = "probabilities.csv", "detections.csv"


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """What `compare` does beside the runs.

    Attributes:
        data: the images that were predicted; None: what the runs' `run.json` name.
        unit: what predictions are scored by.
        aggregation: how a unit's images become its score.
        protocol: rules, population and resampling; the resampling serves predictions too.
        most: length of the lists of disagreements.
        labels: labels out of reports (`cxrloc label`) in place of the data set's own.
        two_views: the runs are those of a frontal model, a lateral model and the network of both.
        pairing: which pairs that network read of a study, a name of `PAIRINGS`.
    """

    data: Path | None = None
    unit: Unit = "image"
    aggregation: Aggregation = "max"
    protocol: ScoringProtocol = field(default_factory=ScoringProtocol)
    most: int = 50
    labels: Path | None = None
    two_views: bool = False
    pairing: str = "first"


class CompareResult(NamedTuple):
    """What came out, for the terminal; the files are written."""

    frames: Mapping[str, pd.DataFrame]
    run: dict[str, Any]


_Compared = tuple[dict[str, pd.DataFrame], dict[str, Any]]
"""Frames by the name of their file, and counts for the run card."""


class _Run(NamedTuple):
    """Files of one run, by kind, and its card; empty where there is none."""

    files: Mapping[str, Path]
    card: Mapping[str, Any]


_Comparison = Callable[[Mapping[str, _Run], Sequence[Record], CompareOptions], _Compared]

KindWatch = Callable[[Iterable[tuple[str, _Comparison]]], Iterable[tuple[str, _Comparison]]]
"""Passes on what is to be compared, and may show how far it has come."""


def compare(
    paths: Sequence[Path], out: Path, options: CompareOptions, watch: KindWatch = iter
) -> CompareResult:
    """Compare what all runs have, probabilities or boxes or both, and write it to `out`.

    Args:
        paths: result folders of `classify` or `bench`, or CSV files of probabilities or boxes.
        out: folder for the results, none of the runs'.
        options: truth and protocol.
        watch: sees what is compared, one kind after another.

    Raises:
        UsageError: a path is no run, the truth is not to be found, or `out` cannot be written.
        CxrlocError: the runs have nothing in common.
    """
    return compare_named(dict(zip(run_names(paths), paths, strict=True)), out, options, watch)


def compare_named(
    paths: Mapping[str, Path], out: Path, options: CompareOptions, watch: KindWatch = iter
) -> CompareResult:
    """`compare`, of runs by the names that the results give them."""
    if out.resolve() in {path.resolve() for path in paths.values()}:
        raise UsageError(f"--out {out} is one of the runs: its files would be overwritten")
    make_folder(out)
    runs = {name: _read_run(path) for name, path in paths.items()}
    kinds = {PREDICTIONS: _compare_two_views} if options.two_views else COMPARED
    shared = {k: f for k, f in kinds.items() if all(k in run.files for run in runs.values())}
    if not shared:
        raise CxrlocError(
            f"{', '.join(runs)}: one has probabilities, another boxes: nothing to compare"
        )
    data = options.data or _data_of(runs)
    image_set = read_images(data)
    records = image_set.records
    if options.labels is not None:
        records = with_labels(records, read_labels(options.labels))
    else:
        _refuse_other_labels(runs)
    frames: dict[str, pd.DataFrame] = {}
    counts: dict[str, Any] = {}
    for kind, compare_kind in watch(shared.items()):
        own, counts[kind] = compare_kind(runs, records, options)
        frames |= own
    run = {
        "versions": versions(),
        "runs": {
            name: {kind: str(f) for kind, f in run.files.items()} for name, run in runs.items()
        },
        "data": image_set.name,
        "labels_from": source_of_labels(data, options.labels),
        "protocol": {k: v for k, v in asdict(options).items() if k not in ("data", "labels")},
        **counts,
    }
    write_comparison(frames, run, out)
    return CompareResult(frames, run)


def _read_run(path: Path) -> _Run:
    if path.is_dir():
        files = {kind: path / kind for kind in (PREDICTIONS, DETECTIONS)}
        files = {kind: file for kind, file in files.items() if file.is_file()}
        if not files:
            raise UsageError(f"{path}: holds neither {PREDICTIONS} nor {DETECTIONS}")
        card = path / "run.json"
        return _Run(files, json.loads(card.read_text()) if card.is_file() else {})
    if not path.is_file():
        raise UsageError(f"{path}: no such file or folder")
    with path.open(encoding="utf-8", errors="replace") as stream:
        header = stream.readline()
    return _Run({DETECTIONS if "x_min" in header else PREDICTIONS: path}, {})


def _data_of(runs: Mapping[str, _Run]) -> Path | None:
    """Where the truth is by the runs' own word; None stands for the embedded phantoms.

    Runs that were scored against another truth, by its hash, are refused.
    """
    cards = [run.card["data"] for run in runs.values() if "data" in run.card]
    names = dict.fromkeys(card.get("path") or card["name"] for card in cards)
    if len(names) != 1:
        said = " and ".join(names) or "nothing"
        raise UsageError(f"the runs name {said} as their data: say which with --data")
    (name,) = names
    hashes = {
        run_name: run.card["data"]["truth_sha256"]
        for run_name, run in runs.items()
        if "truth_sha256" in run.card.get("data", {})
    }
    if len(set(hashes.values())) > 1:
        said = ", ".join(f"{run_name} {sha[:12]}" for run_name, sha in hashes.items())
        raise UsageError(
            f"the runs were scored against different truth (truth_sha256: {said}), though all name "
            f"{name}: score them again, or say with --data which truth to compare them by"
        )
    if name == PHANTOM_NAME:
        return None
    if not Path(name).exists():
        raise UsageError(f"{name}, the data of these runs, is not here: say where with --data")
    return Path(name)


def _refuse_other_labels(runs: Mapping[str, _Run]) -> None:
    """Runs that were scored against labels out of reports are compared by these."""
    for name, run in runs.items():
        if (said := run.card.get("labels_from", "")).startswith(REPORTS):
            raise UsageError(f"{name} was scored against labels of {said}: name them with --labels")


def _compare_predictions(
    runs: Mapping[str, _Run], records: Sequence[Record], options: CompareOptions
) -> _Compared:
    compared = compare_predictions(
        {name: read_predictions(run.files[PREDICTIONS]) for name, run in runs.items()},
        records,
        options.unit,
        options.aggregation,
        options.protocol.resampling,
        options.most,
    )
    frames = {
        "differences": differences_frame(compared.differences),
        "rank_correlations": rank_correlations_frame(compared.runs, compared.rank_correlations),
        "disagreements": disagreements_frame(compared),
    }
    return frames, {
        "unit": compared.unit,
        "units": compared.units,
        "patients": compared.patients,
        "left_out": dict(zip(compared.runs, compared.left_out, strict=True)),
        "undefined": compared.undefined,
        "correlated": compared.correlated,
    }


def _compare_two_views(
    runs: Mapping[str, _Run], records: Sequence[Record], options: CompareOptions
) -> _Compared:
    """DualNet, the last run, against the first two; each on its images of the same studies."""
    if len(runs) != 3 or options.unit != "study":
        raise UsageError(
            "--two-views takes --by study and three runs: of a frontal model, of a lateral model, "
            "and of the network that reads both views"
        )
    check_names("--pairing", [options.pairing], PAIRINGS)
    predicted = [read_predictions(run.files[PREDICTIONS]) for run in runs.values()]
    frontal, lateral, dual = paired_studies(
        predicted, records, options.pairing, options.aggregation
    )
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
    runs: Mapping[str, _Run], records: Sequence[Record], options: CompareOptions
) -> _Compared:
    """A run without a card is taken to have looked at every boxed image."""
    unseen = {
        image_id
        for run in runs.values()
        for key in ("missing_images", "failed_images")
        for image_id in run.card.get(key, ())
    }
    seen = [record for record in records if record.annotations and record.image_id not in unseen]
    files = [run.files[DETECTIONS] for run in runs.values()]
    placed = claims_of_detections(seen, files[0]).records
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


COMPARED: dict[str, _Comparison] = {
    PREDICTIONS: _compare_predictions,
    DETECTIONS: _compare_detections,
}
"""What can be compared, by the file that a run has it in."""


def write_comparison(frames: Mapping[str, pd.DataFrame], run: dict[str, Any], out: Path) -> None:
    """Every frame as CSV; differences and correlations as tables for a page and a paper."""
    for name, frame in frames.items():
        frame.to_csv(out / f"{name}.csv", index=False, float_format="%.6g")
    tables = [frame for name, frame in frames.items() if not name.endswith("disagreements")]
    (out / "table.md").write_text("\n".join(map(markdown_table, tables)))
    (out / "table.tex").write_text("\n".join(map(latex_table, tables)))
    (out / "run.json").write_text(json.dumps(run, indent=1) + "\n")
