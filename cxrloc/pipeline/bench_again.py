"""Scores the boxes of an earlier `cxrloc bench` again, on a part of its images."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cxrloc.datasets.boxes import read_detections
from cxrloc.datasets.description import boxes_sha256
from cxrloc.errors import UsageError
from cxrloc.evaluation.classification.populations import of_projection
from cxrloc.evaluation.localization.claims import claims_of_detections, claims_of_maps
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.metrics import score_metrics
from cxrloc.evaluation.localization.placed_run import ScoringProtocol, place_run
from cxrloc.evaluation.localization.result_files import write_metrics, write_scores
from cxrloc.evaluation.localization.scored_pairs import images_to_score
from cxrloc.evaluation.localization.scores import score_run
from cxrloc.evaluation.localization.threshold_choice import ThresholdProtocol
from cxrloc.evaluation.resampling import Resampling
from cxrloc.evaluation.result_folders import DETECTIONS, data_of, read_run
from cxrloc.files.structured import expecting
from cxrloc.inference.image_sets import read_images


def score_boxes_again(run: Path, projection: str, out: Path) -> None:
    """Score the boxes of an earlier run on images of one projection, by its own protocol.

    Images that the run did not score are left out. Controls and metrics of maps need the run's maps
    (`bench --save-maps`). The tables are written to `out`.

    Raises:
        UsageError: the folder is not one of `bench`, its data are not on this disk or have other
            boxes now, or it scored findings above operating points, which only the model knows.
        CxrlocError: the run's files cannot be read, or no image is of this projection.
    """
    earlier = read_run(run) if run.is_dir() else None
    if earlier is None or DETECTIONS not in earlier.files or "protocol" not in earlier.card:
        raise UsageError(f"{run}: not a folder of `cxrloc bench` with {DETECTIONS} and run.json")
    with expecting(run / "run.json", "the run card of `cxrloc bench`"):
        protocol = _protocol(earlier.card["protocol"])
        unseen = {*earlier.card["missing_images"], *earlier.card["failed_images"]}
        truth = earlier.card["data"]["truth_sha256"]
    if protocol.population == "predicted":
        raise UsageError(
            f"--projection: {run} scored findings above the model's operating points, which its "
            "files do not hold; score it with another --boxes-for"
        )
    found = read_detections(earlier.files[DETECTIONS])
    declared = {each.finding for each in found}
    data, joined = data_of({run.name: earlier})
    benchmark = images_to_score(read_images(data, joined, declared), protocol.population)
    if boxes_sha256(benchmark.records) != truth:
        raise UsageError(
            f"--projection: the data of {run} have other boxes than the run was scored on; score "
            "it again"
        )
    scored = [record for record in benchmark.records if record.image_id not in unseen]
    records = of_projection(scored, projection)
    maps = run / "maps"
    claims = (
        claims_of_maps(records, maps, protocol.box_thresholds)
        if maps.is_dir()
        else claims_of_detections(records, earlier.files[DETECTIONS])
    )
    # The run's own boxes, which a box rule may have made with thresholds of other patients.
    claims = replace(claims, detections=found)
    placed = place_run(claims.records, claims.detections, protocol, claims.heatmaps)
    out.mkdir()
    write_scores(score_run(placed), claims, out)
    write_metrics(score_metrics(placed), out)


def _protocol(card: Mapping[str, Any]) -> ScoringProtocol:
    """The protocol that a run card describes."""
    settings = dict(card)
    settings["rules"] = tuple(MatchRule(**rule) for rule in settings["rules"])
    settings["box_thresholds"] = tuple(settings["box_thresholds"])
    settings["thresholds"] = ThresholdProtocol(**settings["thresholds"])
    settings["resampling"] = Resampling(**settings["resampling"])
    return ScoringProtocol(**settings)
