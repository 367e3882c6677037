"""`cxrloc bench`: images with expert boxes in; scores, controls and their provenance out."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cxrloc.datasets.box_findings import refuse_unknown_findings, warn_of_unknown_findings
from cxrloc.datasets.chexlocalize import read_chexlocalize_points
from cxrloc.datasets.description import describe_data
from cxrloc.errors import UsageError
from cxrloc.evaluation.beside import check_beside, write_beside
from cxrloc.evaluation.contamination import check_contamination
from cxrloc.evaluation.image_status import write_image_status
from cxrloc.evaluation.localization.beside import BESIDE_COLUMNS, beside_frame
from cxrloc.evaluation.localization.box_rule_choice import by_box_rule
from cxrloc.evaluation.localization.claims import (
    Claims,
    Watch,
    check_operating_points,
    claims_of_detections,
    claims_of_maps,
    claims_of_models,
)
from cxrloc.evaluation.localization.metrics import score_metrics, score_points
from cxrloc.evaluation.localization.placed_run import ScoringProtocol, place_run
from cxrloc.evaluation.localization.result_files import (
    describe_protocol,
    describe_scores,
    refuse_other_maps,
    write_claimed_maps,
    write_metrics,
    write_scores,
    write_sensitivity,
)
from cxrloc.evaluation.localization.scored_pairs import check_labels, images_to_score
from cxrloc.evaluation.localization.scores import (
    LocalizationScores,
    score_run,
    score_sensitivity,
)
from cxrloc.evaluation.measurement import Measurement
from cxrloc.files.installed import versions
from cxrloc.files.journal import Journal
from cxrloc.files.run_folder import make_folder
from cxrloc.files.whole import whole_file, write_json
from cxrloc.inference.batches import with_precision
from cxrloc.inference.image_sets import DataOptions, ImageSet, data_warnings, read_images
from cxrloc.inference.paired_images import Pairing, paired_images
from cxrloc.inference.prepared import InferenceSettings
from cxrloc.localization.box_rules import BOX_RULES
from cxrloc.localization.regions import check_thresholds
from cxrloc.models.model import Model
from cxrloc.models.provenance import caption_of, describe_models
from cxrloc.models.weights import read_model
from cxrloc.panels.bench_examples import draw_examples
from cxrloc.panels.overlay import write_png
from cxrloc.phantom import NOT_OF_PATIENTS, SYNTHETIC_CAPTION, is_synthetic
from cxrloc.report_page.write import write_bench_page


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """The options of `bench`, without its data.

    Attributes:
        models: embedded names or checkpoint files; several make an ensemble.
        detections: boxes to score instead of a model's: a CSV, or DICOM objects with regions.
        maps: a folder of raw maps to score instead of a model's.
        points: points that a reader marked, to be scored as well: a JSON of CheXlocalize.
        protocol: matching rules, population, thresholds of the box rule, intervals, and the
            patients on whom other thresholds are chosen.
        sensitivity: also score other readings of the box rule.
        beside: published tables to show beside the numbers.
        html: also write the run as one page, `report.html`.
        save_maps: also write the raw maps, to the folder `maps`.
        pairing: how images are paired, for networks that read two views.
        inference: how the models are run.
        data: further settings of the data set.
    """

    models: tuple[str, ...]
    detections: Path | None = None
    maps: Path | None = None
    points: Path | None = None
    protocol: ScoringProtocol = field(default_factory=ScoringProtocol)
    sensitivity: bool = False
    beside: tuple[str, ...] = ()
    html: bool = False
    save_maps: bool = False
    pairing: Pairing = field(default_factory=Pairing)
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    data: DataOptions = field(default_factory=DataOptions)


class BenchResult(NamedTuple):
    """The results for the terminal; the files are already written."""

    scores: LocalizationScores
    claims: Claims
    run: dict[str, Any]
    beside: pd.DataFrame | None
    readings: Sequence[Measurement]
    metrics: Sequence[Measurement]


def bench(
    data: Path | None,
    out: Path,
    options: BenchOptions,
    watch: Watch = iter,
    journal: Journal | None = None,
) -> BenchResult:
    """Score localization on boxed images and write every table to `out`.

    Without data, the embedded phantoms are scored. The result names images that cannot be read, and
    the other images are still scored.

    Raises:
        UsageError: a name does not exist, or options exclude each other.
        CxrlocError: there is nothing to score, or a model was trained on these patients.
    """
    started = time.perf_counter()
    _check(data, options)
    options = replace(options, inference=with_precision(options.inference))
    make_folder(out)
    if options.save_maps and journal is None:  # the folder of a run holds no maps of other runs
        refuse_other_maps(out / "maps")
    protocol = options.protocol
    models = [] if options.detections or options.maps else [*map(read_model, options.models)]
    declared = [finding for model in models for finding in model.card.findings]
    image_set = read_images(data, options.data, declared)
    paired = paired_images(*image_set[:3], models, options.pairing)
    image_set = image_set._replace(**paired._asdict())
    benchmark = images_to_score(image_set, protocol.population)
    check_labels(benchmark.records, protocol.population)
    contamination = check_contamination(
        models, benchmark.records, image_set.data_sets, options.data.allow_contaminated
    )

    named = [*declared, *options.data.finding_columns]
    if models:
        refuse_unknown_findings(benchmark.records, named)
    claims = _claims(benchmark, models, options, watch, journal)
    warnings = dict(claims.warnings)
    if not models:
        named += [finding for each in claims.heatmaps for finding in each.findings]
        named += [each.finding for each in claims.detections]
        warnings |= warn_of_unknown_findings(claims.records, {*named})
    warnings |= dict.fromkeys(contamination.remarks, len(claims.records))
    warnings |= data_warnings(claims.records)
    claims = replace(claims, warnings=warnings)
    cards = [model.card.box_thresholds for model in models]
    claims, protocol = by_box_rule(claims, protocol, cards[0] if len(cards) == 1 else {})
    placed = place_run(
        claims.records, claims.detections, protocol, claims.heatmaps, claims.predicted
    )
    scores = score_run(placed)
    metrics = score_metrics(placed)
    if options.points:
        metrics += score_points(placed, read_chexlocalize_points(options.points))
    readings = score_sensitivity(placed) if options.sensitivity else ()

    synthetic = is_synthetic(data)
    remarks = contamination.remarks + (NOT_OF_PATIENTS,) * synthetic
    write_scores(scores, claims, out, remarks)
    status = write_image_status(claims.suitability, claims.failures, out, remarks)
    write_metrics(metrics, out, remarks)
    write_sensitivity(readings, out, remarks)
    if options.save_maps:
        write_claimed_maps(claims, out / "maps")
    where = {
        "path": str(data) if data else None,
        "options": asdict(options.data),
        "synthetic": synthetic,
    }
    protocol_row = describe_protocol(benchmark.name, scores, protocol)
    beside = write_beside(
        beside_frame(scores, metrics), options.beside, out, remarks, protocol=protocol_row
    )
    if models:
        caption = caption_of(describe_models(models)) + SYNTHETIC_CAPTION * synthetic
        examples = draw_examples(claims, benchmark.images, protocol.rules, caption)
        with whole_file(out / "examples.png") as part:
            write_png(examples, part)
    run = {
        "versions": versions(),
        "boxes_from": _origin(options),
        "points_from": str(options.points) if options.points else None,
        "model": describe_models(models) if models else None,
        "inference": asdict(options.inference) if models else None,
        "data": describe_data(benchmark.name, benchmark.records) | where,
        "protocol": asdict(protocol),
        **describe_scores(scores, claims, benchmark.records),
        "images": status,
        "notes": [*remarks, *image_set.notes],
        "contaminated_patients": contamination.count,
        "seconds": round(time.perf_counter() - started, 1),
    }
    write_json(out / "run.json", run)
    if options.html:
        write_bench_page(benchmark.images, claims, scores, protocol, run, out)
    return BenchResult(scores, claims, run, beside, readings, metrics)


def _check(data: Path | None, options: BenchOptions) -> None:
    """Refuse options that contradict each other before any work starts."""
    if options.detections and options.maps:
        raise UsageError("--detections and --maps exclude each other: score one at a time")
    if options.detections and options.save_maps:
        raise UsageError("--save-maps: --detections has no maps to save")
    if options.protocol.box_rule not in BOX_RULES:
        raise UsageError(f"--box-rule: choose from {', '.join(BOX_RULES)}")
    if options.detections and options.protocol.box_rule != "two-threshold":
        raise UsageError("--box-rule makes boxes of maps, and --detections has none")
    if options.detections and options.sensitivity:
        raise UsageError("--sensitivity re-reads maps, and --detections has none")
    if options.protocol.population == "predicted" and (options.detections or options.maps):
        raise UsageError("--boxes-for predicted needs a model with operating points")
    for path in (data, options.detections, options.maps, options.points):
        if path is not None and not path.exists():
            raise UsageError(f"{path}: no such file or folder")
    check_thresholds(options.protocol.box_thresholds)
    check_beside(options.beside, BESIDE_COLUMNS, is_synthetic(data))


def _claims(
    benchmark: ImageSet,
    models: Sequence[Model],
    options: BenchOptions,
    watch: Watch,
    journal: Journal | None,
) -> Claims:
    thresholds = options.protocol.box_thresholds
    if options.detections:
        return claims_of_detections(benchmark.records, options.detections)
    if options.maps:
        return claims_of_maps(benchmark.records, options.maps, thresholds)
    if options.protocol.population == "predicted":
        check_operating_points(models)
    records, images = benchmark.records, benchmark.images
    return claims_of_models(records, images, models, thresholds, options.inference, watch, journal)


def _origin(options: BenchOptions) -> str:
    if options.detections:
        return f"boxes in {options.detections}"
    return f"maps in {options.maps}" if options.maps else "model"
