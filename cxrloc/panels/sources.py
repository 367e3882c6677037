"""Reads the results for panels with radiographs; the kind of a path is found by its content."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from cxrloc.datasets import read_dataset
from cxrloc.datasets.boxes import read_detections
from cxrloc.datasets.records import annotations_in_image, boxed_record
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.evaluation.classification.populations import of_projection
from cxrloc.evaluation.result_folders import options_of
from cxrloc.files.frames import frame_of
from cxrloc.files.structured import expecting, read_json
from cxrloc.files.tables import number_in, read_table, rows_of, table_rows
from cxrloc.images.folders import find_images, output_stem
from cxrloc.images.read import read_radiograph
from cxrloc.inference.image_sets import read_images
from cxrloc.inference.map_files import Probabilities, read_maps
from cxrloc.reports.label_file import EXPLANATION_COLUMNS
from cxrloc.reports.read import Report, read_reports
from cxrloc.text import from_csv
from cxrloc.types import Detection, Heatmaps, Record

ARROW_COLUMNS = ("image", "x", "y")
"""Columns of a CSV of arrows; x and y are the tip of an arrow, in pixels of the image."""


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """All results that the user gave, by kind; a kind that was not given is empty.

    Attributes:
        records: images by id, with truth in the frame in which it was drawn.
        maps: folders of raw maps.
        detections: boxes of a run of `bench`.
        run: that run's folder.
        explanations: rows of `cxrloc label --explain`, by the report's id.
        reports: texts by id.
        arrows: points of a CSV of arrows, by image.
    """

    records: dict[str, Record] = field(default_factory=dict)
    maps: tuple[Path, ...] = ()
    detections: tuple[Detection, ...] = ()
    run: Path | None = None
    explanations: dict[str, pd.DataFrame] = field(default_factory=dict)
    reports: dict[str, Report] = field(default_factory=dict)
    arrows: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


def read_sources(results: Sequence[Path], projection: str = "") -> Sources:
    """Sort paths by kind and read them: data set, images, maps, run, explanations, reports, arrows.

    A folder with `localization.csv` is a run of `bench`, one with npz files holds maps; a CSV is
    recognised by its columns; everything else is a data set, an image, or a folder of images. A
    run brings its own folder `maps` (`bench --save-maps`) and, where no image is given, the data
    that it names. With a projection, only images of it are kept.

    Raises:
        CxrlocError: a path is none of these, there is no image, or none is of the projection.
    """
    found = Sources()
    for path in results:
        found = _with(found, path)
    if not found.records and found.run is not None:
        records = _scored_records(found.run)
        found = replace(found, records={record.image_id: record for record in records})
    if not found.records:
        raise UsageError("no radiograph among the results: name the data set or the images too")
    if projection:
        kept = of_projection(found.records.values(), projection)
        found = replace(found, records={record.image_id: record for record in kept})
    return found


def _with(found: Sources, path: Path) -> Sources:
    if path.is_dir() and (path / "localization.csv").is_file():
        boxes = tuple(read_detections(path / "detections.csv"))
        maps = [path / "maps"] if (path / "maps").is_dir() else []
        return replace(found, detections=boxes, run=path, maps=(*found.maps, *maps))
    if path.is_dir() and any(path.rglob("*.npz")):
        return replace(found, maps=(*found.maps, path))
    if path.suffix.lower() in {".csv", ".tsv"}:
        columns = set(next(table_rows(path), (1, []))[1])
        if columns >= set(EXPLANATION_COLUMNS):
            words = ("report_id", "finding", "phrase", "rule", "sentence")
            frame = frame_of(read_table(path, EXPLANATION_COLUMNS), words)
            for name in words:
                frame[name] = frame[name].map(from_csv)
            explained = {str(key): rows for key, rows in frame.groupby("report_id", sort=False)}
            return replace(found, explanations=found.explanations | explained)
        if columns >= set(ARROW_COLUMNS):
            return replace(found, arrows=_read_arrows(path))
        if columns & {"text", "report", "findings", "impression"}:
            return _with_reports(found, path)
    if path.suffix.lower() in {".txt", ".xml"}:
        return _with_reports(found, path)
    records = dict(found.records)
    for record in _records(path):
        records[record.image_id] = _joined(records.get(record.image_id), record)
    return replace(found, records=records)


def _scored_records(run: Path) -> list[Record]:
    """The data that a run of `bench` was scored on, with the tables that were joined to it."""
    card = run / "run.json"
    with expecting(card, "the run card of `cxrloc bench`"):
        scored = read_json(card)["data"]
        data = Path(scored["path"] or scored["name"])
    if not data.exists():
        raise CxrlocError(
            f"{run} was scored on {data}, which is not here: name its images too "
            "(embedded phantoms have no files; `cxrloc phantom` writes phantoms that can be scored)"
        )
    declared = {each.finding for each in read_detections(run / "detections.csv")}
    return read_images(data, options_of(scored), declared).records


def _joined(known: Record | None, record: Record) -> Record:
    """The record, completed by an earlier record of the same image."""
    if known is None:
        return record
    truth = record if record.annotations else known
    return replace(
        record,
        path=record.path or known.path,
        labels={**known.labels, **record.labels},
        annotations=truth.annotations,
        annotation_frame=truth.annotation_frame,
    )


def _with_reports(found: Sources, path: Path) -> Sources:
    reports = {each.report_id: each for each in read_reports(path) if isinstance(each, Report)}
    return replace(found, reports=found.reports | reports)


def _read_arrows(path: Path) -> dict[str, list[tuple[float, float]]]:
    arrows: dict[str, list[tuple[float, float]]] = {}
    for where, cells in rows_of(read_table(path, ARROW_COLUMNS)):
        point = (number_in(where, "x", cells["x"]), number_in(where, "y", cells["y"]))
        arrows.setdefault(cells["image"], []).append(point)
    return arrows


def _records(path: Path) -> list[Record]:
    try:
        return read_dataset(path)
    except CxrlocError:
        if path.is_file() and path.suffix.lower() in {".csv", ".json", ".xml"}:
            raise
        images = find_images([path])
        if not images:
            raise
        return [boxed_record(output_stem(image), [], path=image) for image in images]


def picture_of(sources: Sources, image_id: str) -> tuple[Float[np.ndarray, "row col"], Record]:
    """Grey levels of an image, and its record with the truth in these pixels.

    Raises:
        CxrlocError: the image is not among the sources or not on this disk, or cannot be read.
    """
    record = sources.records.get(image_id)
    if record is None:
        raise UsageError(f"--image {image_id}: the data have no image of this name")
    if record.path is None:
        raise CxrlocError(f"{image_id}: its image file is not on this disk")
    pixels = read_radiograph(record.path).pixels
    return pixels, annotations_in_image(record, *pixels.shape)


def maps_of(sources: Sources, image_id: str) -> tuple[Probabilities, Heatmaps] | None:
    """The probabilities and raw maps of an image; None if there are none."""
    for folder in sources.maps:
        for path in sorted(folder.rglob(f"{image_id}.npz")):
            return read_maps(path, image_id)
    return None


def report_key(known: Collection[str], record: Record) -> str | None:
    """The id of an image's report, which is that of the image or of its study; None without one."""
    return next((key for key in (record.image_id, record.study_id) if key in known), None)


def on_disk(sources: Sources) -> list[Record]:
    """Records whose image can be drawn, by name."""
    records = (sources.records[name] for name in sorted(sources.records))
    return [record for record in records if record.path is not None]
