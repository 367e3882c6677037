"""The claims to be scored: boxes and maps of models, of map files or of box lists."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cxrloc.datasets.boxes import read_detections
from cxrloc.datasets.dicom_regions import detections_in_objects, object_files
from cxrloc.datasets.records import annotations_in_image
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.evaluation.localization.claim_checks import (
    check_size,
    compare_findings,
    compare_images,
    compare_places,
    find_broken_maps,
    find_repeated,
)
from cxrloc.files.journal import Journal
from cxrloc.files.part_tables import holds_parts
from cxrloc.findings import is_known, spelled_as
from cxrloc.images.size import image_size
from cxrloc.inference.localized import Localized
from cxrloc.inference.map_files import Probabilities, maps_in_parts, read_maps
from cxrloc.inference.prepared import Failure, Image, InferenceSettings
from cxrloc.inference.resumed import localize_on
from cxrloc.inference.suitability import Suitability
from cxrloc.inference.threads import Counted
from cxrloc.localization.boxes import detections_from_heatmaps
from cxrloc.models.model import Model
from cxrloc.models.provenance import (
    above_operating_point,
    contamination_warnings,
    selection_warnings,
)
from cxrloc.text import warnings_with_counts
from cxrloc.types import Detection, Heatmaps, Record

Watch = Callable[[Iterable[Localized | Failure]], Iterable[Localized | Failure]]
"""A function that passes results on unchanged and may show progress."""


@dataclass(frozen=True, slots=True, eq=False)
class Claims:
    """Everything that a model or a file claims about the images of a benchmark.

    Attributes:
        records: the records that are scored, with boxes in the pixels of their images.
        detections: the boxes to score.
        heatmaps: the maps behind them, image by image; empty where there are none.
        probabilities: of each (image_id, finding) with a map.
        predicted: (image_id, finding) at or above the operating point; empty without a model.
        failures: images that could not be read, and why.
        warnings: what the reader of any result should know, with the number of images.
        suitability: of each image that models computed; empty without a model.
        without_map: images for which the folder of maps has no file; they are not scored.
    """

    records: Sequence[Record]
    detections: Sequence[Detection]
    heatmaps: Sequence[Heatmaps] = ()
    probabilities: Mapping[tuple[str, str], float] = field(default_factory=dict)
    predicted: frozenset[tuple[str, str]] = frozenset()
    failures: Sequence[Failure] = ()
    warnings: Mapping[str, int] = field(default_factory=dict)
    without_map: Sequence[str] = ()
    suitability: Mapping[str, Suitability] = field(default_factory=dict)


def warning_lines(claims: Claims) -> list[str]:
    """Every warning with the number of its images, as outputs show them."""
    return [f"Warning: {line}" for line in warnings_with_counts(claims.warnings)]


def claims_of_models(
    records: Sequence[Record],
    images: Sequence[Image],
    models: Sequence[Model],
    thresholds: Sequence[float],
    inference: InferenceSettings,
    watch: Watch,
    journal: Journal | None = None,
) -> Claims:
    """The claims of models about the images; an image that cannot be read becomes a failure.

    Raises:
        CxrlocError: there is no image.
    """
    if not images:
        raise CxrlocError("none of the boxed images is on this disk")
    found: list[tuple[Probabilities, Heatmaps]] = []
    failures = []
    fitting: dict[str, Suitability] = {}
    warnings: Counter[str] = Counter()
    results = Counted(localize_on(models, images, inference, journal), len(images))
    for result in watch(results):
        if isinstance(result, Failure):
            failures.append(result)
            continue
        found.append((result.probabilities, result.heatmaps))
        suitability = result.suitability
        fitting[result.heatmaps.image_id] = suitability
        warnings.update(dict.fromkeys([*result.radiograph.warnings, *suitability.reasons]).keys())
        warnings.update(contamination_warnings(models, result.heatmaps.image_id))
    read = {heatmaps.image_id for _, heatmaps in found}
    warnings.update(selection_warnings(models, [r for r in records if r.image_id in read]))
    predicted = frozenset(
        (heatmaps.image_id, finding)
        for probabilities, heatmaps in found
        for finding, probability in zip(heatmaps.findings, probabilities.tolist(), strict=True)
        if above_operating_point(models, finding, probability)
    )
    claims = _claims(records, found, thresholds, predicted, failures, warnings)
    return replace(claims, suitability=fitting)


def claims_of_maps(records: Sequence[Record], folder: Path, thresholds: Sequence[float]) -> Claims:
    """The claims of maps of any tool, one file `<image_id>.npz` per image, or of an archive.

    An image without a file is counted and not scored; a file that cannot be used is a failure.

    Raises:
        CxrlocError: no file is of one of these images.
    """
    if holds_parts(folder):
        return _claims_of_archive(records, folder, thresholds)
    files = {path.stem: path for path in folder.glob("*.npz")}
    mapped = [record for record in records if record.image_id in files]
    warnings = compare_images(folder, files, records, "map")
    known = {each.finding for record in records for each in record.annotations}
    found, failures = [], []
    for record in mapped:
        path = files[record.image_id]
        try:
            probabilities, heatmaps = read_maps(path, record.image_id)
            findings = tuple(spelled_as(finding, known) for finding in heatmaps.findings)
            heatmaps = replace(heatmaps, findings=findings)
            check_size(path, heatmaps, record)
            found.append((probabilities, heatmaps))
        except CxrlocError as error:
            failures.append(Failure(record.image_id, str(error)))
    warnings |= _compare_map_findings(folder, found, records)
    claims = _claims(records, found, thresholds, frozenset(), failures, warnings)
    without = tuple(r.image_id for r in records if r.image_id not in files)
    return replace(claims, without_map=without)


def _compare_map_findings(
    folder: Path, found: Sequence[tuple[Probabilities, Heatmaps]], records: Sequence[Record]
) -> dict[str, int]:
    """A warning about maps of findings that no vocabulary has and the data has no box of.

    Maps are usually of all findings of a model, so known findings without a box are not named.

    Raises:
        CxrlocError: no map is of a finding that the data has a box of.
    """
    claimed = [(each.image_id, finding) for _, each in found for finding in each.findings]
    ours = {annotation.finding for record in records for annotation in record.annotations}
    named = [pair for pair in claimed if pair[1] in ours or not is_known(pair[1])]
    return compare_findings(folder, named or claimed, records, "maps")


def _claims_of_archive(
    records: Sequence[Record], folder: Path, thresholds: Sequence[float]
) -> Claims:
    """The claims of the maps in the results of `cxrloc archive`."""
    record_of = {record.image_id: record for record in records}
    named, found, failures = [], {}, []
    for probabilities, heatmaps in maps_in_parts(folder):
        named.append(heatmaps.image_id)
        if heatmaps.image_id in record_of:
            found[heatmaps.image_id] = (probabilities, heatmaps)
    warnings = compare_images(folder, named, records, "map")
    for image_id, (_, heatmaps) in [*found.items()]:
        try:
            check_size(folder, heatmaps, record_of[image_id])
        except CxrlocError as error:
            failures.append(Failure(image_id, str(error)))
            del found[image_id]
    ordered = [found[image_id] for image_id in record_of if image_id in found]
    warnings |= _compare_map_findings(folder, ordered, records)
    claims = _claims(records, ordered, thresholds, frozenset(), failures, warnings)
    without = {*record_of} - {*named}
    return replace(claims, without_map=tuple(each for each in record_of if each in without))


def claims_of_detections(records: Sequence[Record], path: Path) -> Claims:
    """The claims of boxes of any tool, in pixels of the image file.

    If an image is not on this disk, its boxes are assumed to use the same pixel grid as the
    expert's boxes (1024 x 1024 for ChestX-ray14).

    Raises:
        CxrlocError: no box is of one of these images, or of a finding that they have a box of.
    """
    known = {each.finding for record in records for each in record.annotations}
    if not holds_parts(path) and (path.is_dir() or object_files(path)):
        found = detections_in_objects(path, records)
    else:
        found = read_detections(path, {record.image_id: record.path for record in records})
    detections = [replace(each, finding=spelled_as(each.finding, known)) for each in found]
    placed, failures = [], []
    for record in records:
        try:
            if record.path is not None:
                record = annotations_in_image(record, *image_size(record.path))
            placed.append(record)
        except CxrlocError as error:
            failures.append(Failure(record.image_id, str(error)))
    if failures and not placed:
        raise CxrlocError(f"no image could be scored; the first: {failures[0].reason}")
    images = [detection.image_id for detection in detections]
    none = {f"{path}: it has no box, so every expert's box is missed": len(records)}
    warnings = compare_images(path, images, records, "box") if detections else none
    claimed = [(each.image_id, each.finding) for each in detections]
    warnings |= compare_findings(path, claimed, records, "boxes")
    warnings |= compare_places(path, detections, placed)
    warnings |= find_repeated(path, detections)
    return Claims(placed, detections, failures=failures, warnings=warnings)


def check_operating_points(models: Sequence[Model]) -> None:
    """Raise an error for the population "predicted" if models have no operating points.

    Raises:
        UsageError: a finding of a model has no operating point.
    """
    for model in models:
        if missing := set(model.card.findings) - model.card.operating_points.keys():
            raise UsageError(
                f"--boxes-for predicted: {model.card.name} has no operating point for "
                f"{', '.join(sorted(missing))}"
            )


def _claims(
    records: Sequence[Record],
    found: Sequence[tuple[Probabilities, Heatmaps]],
    thresholds: Sequence[float],
    predicted: frozenset[tuple[str, str]],
    failures: Sequence[Failure],
    warnings: Mapping[str, int],
) -> Claims:
    """Claims with boxes made from maps, and with records in the pixels of the mapped images.

    Raises:
        CxrlocError: no image could be read.
    """
    if failures and not found:
        raise CxrlocError(f"no image could be read; the first: {failures[0].reason}")
    record_of = {record.image_id: record for record in records}
    placed = [
        annotations_in_image(record_of[each.image_id], each.image_rows, each.image_columns)
        for _, each in found
    ]
    return Claims(
        records=placed,
        detections=[
            detection
            for probabilities, each in found
            for detection in detections_from_heatmaps(each, probabilities.tolist(), thresholds)
        ],
        heatmaps=[each for _, each in found],
        probabilities={
            (each.image_id, finding): probability
            for probabilities, each in found
            for finding, probability in zip(each.findings, probabilities.tolist(), strict=True)
        },
        predicted=predicted,
        failures=failures,
        warnings={**warnings, **find_broken_maps(each for _, each in found)},
    )
