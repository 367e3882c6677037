"""Two structured reports of one result: its regions, and its findings on the whole image.

Both are Comprehensive 3D SR of TID 1500 Measurement Report (PS3.16, annex A). There are two reports
because OHIF shows no box of a report if any group in the report has no region.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID

from cxrloc.dicom_objects.codes import coded_finding, private_code
from cxrloc.dicom_objects.result import (
    NOT_FOR_DIAGNOSIS,
    DicomResult,
    FindingResult,
    derived_uid,
    identity_of,
    region_names,
)
from cxrloc.dicom_objects.stamp import MANUFACTURER, SERIES_NUMBERS, equipment_of
from cxrloc.types import Box, Detection


def region_report(result: DicomResult) -> Dataset | None:
    """The report of the boxes (TID 1410 groups); None if the result has no box.

    Each group holds the finding, the box as a closed polyline of five points, and one number: the
    finding's probability. The box is stored in the group, as TID 1410 requires, and again in the
    number, where OHIF looks for it.
    """
    named = region_names(result)
    # Groups share the items that describe the algorithm, since these take long to make.
    algorithms = {box.threshold: _algorithm(result, box.threshold) for _, box, _, _ in named}
    groups = [
        _region_group(result, each, box, (identifier, uid), algorithms[box.threshold])
        for each, box, identifier, uid in named
    ]
    return _report(result, groups, "sr-regions", "cxrloc: regions") if groups else None


def finding_report(result: DicomResult) -> Dataset | None:
    """The report of all findings on the whole image (TID 1501 groups), with probabilities.

    None if the result has no findings, as that of an image outside.
    """
    algorithm = _algorithm(result)
    groups = [_finding_group(result, each, algorithm) for each in result.findings]
    return _report(result, groups, "sr-findings", "cxrloc: findings") if groups else None


def _region_group(
    result: DicomResult,
    each: FindingResult,
    detection: Detection,
    names: tuple[str, str],
    algorithm: Any,
) -> Any:
    identifier, uid = names
    points = corners(detection.box)
    source = sr.SourceImageForRegion(result.source.SOPClassUID, result.source.SOPInstanceUID)
    probability = _probability(each)
    group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(UID(uid), identifier),
        referenced_region=sr.ImageRegion(sr.GraphicTypeValues.POLYLINE, points, source),
        finding_type=coded_finding(each.finding),
        method=codes.DCM.ClassActivation,
        algorithm_id=algorithm,
        measurements=[probability],
    )
    # The box is added to the number after the group is made, because highdicom refuses coordinates
    # in a number of this template, although TID 300 Measurement allows them. This works because the
    # group refers to the number's item and does not copy it.
    probability[0].ContentSequence.append(_box_of_number(result, points))
    return group


def _box_of_number(result: DicomResult, points: np.ndarray) -> Any:
    """The box from which a number was inferred (TID 320 Image or Spatial Coordinates)."""
    image = sr.SourceImageForRegion(result.source.SOPClassUID, result.source.SOPInstanceUID)
    return sr.CoordinatesForMeasurement(sr.GraphicTypeValues.POLYLINE, points, source_image=image)


def _finding_group(result: DicomResult, each: FindingResult, algorithm: Any) -> Any:
    evaluations = []
    if each.above_operating_point is not None:
        present = codes.SCT.Present if each.above_operating_point else codes.SCT.Absent
        name = private_code("operating-point", "Above the model's operating point")
        evaluations.append(sr.QualitativeEvaluation(name, present))
    identifier = f"{each.finding} on the image"
    uid = derived_uid(result, "image", each.finding)
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(UID(uid), identifier),
        finding_type=coded_finding(each.finding),
        algorithm_id=algorithm,
        measurements=[_probability(each)],
        qualitative_evaluations=evaluations,
        source_images=[
            sr.SourceImageForMeasurementGroup(
                result.source.SOPClassUID, result.source.SOPInstanceUID
            )
        ],
    )


def _probability(each: FindingResult) -> Any:
    """A number whose name contains the finding, because OHIF shows only the name of the number."""
    return sr.Measurement(
        name=private_code("probability", f"{each.finding} probability"),
        value=round(each.probability, 6),
        unit=codes.UCUM.NoUnits,
        derivation=codes.DCM.Probability,
    )


def _algorithm(result: DicomResult, threshold: float | None = None) -> Any:
    settings = "; ".join(f"{key}={value}" for key, value in result.algorithm.parameters.items())
    parameters = [] if threshold is None else [f"threshold={threshold:g}"]
    return sr.AlgorithmIdentification(
        name=result.algorithm.name,
        version=result.algorithm.version,
        family=codes.DCM.ArtificialIntelligence,
        parameters=[f"model sha256={result.algorithm.sha256}", settings, *parameters],
    )


def _report(result: DicomResult, groups: Sequence[Any], kind: str, description: str) -> Dataset:
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=UID(derived_uid(result, "device")),
        name=result.algorithm.name,
        manufacturer_name=MANUFACTURER,
        model_name=NOT_FOR_DIAGNOSIS,
    )
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(
            observer_device_context=sr.ObserverContext(codes.DCM.Device, device)
        ),
        procedure_reported=codes.SCT.ChestImaging,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    _insert_image_library(content[0], result.source)
    # highdicom copies its content twice and searches it several times, which takes longer than all
    # other steps of a result together; the measurements are added after that.
    measurements = content[0].ContentSequence.pop()
    identity = identity_of(result, kind)
    report = sr.Comprehensive3DSR(
        evidence=[result.source],
        content=content[0],
        series_instance_uid=identity.series_instance_uid,
        series_number=SERIES_NUMBERS[kind],
        sop_instance_uid=identity.sop_instance_uid,
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
    )
    report.ContentSequence.append(measurements)
    report.SeriesDescription = f"{description} ({NOT_FOR_DIAGNOSIS.lower()})"
    device_of_file = equipment_of(result.algorithm)
    report.ManufacturerModelName = device_of_file["manufacturer_model_name"]
    report.SoftwareVersions = device_of_file["software_versions"]
    report.DeviceSerialNumber = device_of_file["device_serial_number"]
    return report


def _insert_image_library(root: Dataset, source: Dataset) -> None:
    """Add TID 1600 Image Library before the measurements.

    highdicom's own image library requires Imager Pixel Spacing and Patient Orientation, which many
    images lack.
    """
    image = sr.ImageContentItem(
        name=codes.SCT.Source,
        referenced_sop_class_uid=source.SOPClassUID,
        referenced_sop_instance_uid=source.SOPInstanceUID,
        relationship_type=sr.RelationshipTypeValues.CONTAINS,
    )
    group = sr.ContainerContentItem(
        name=codes.DCM.ImageLibraryGroup, relationship_type=sr.RelationshipTypeValues.CONTAINS
    )
    group.ContentSequence = sr.ContentSequence([image])
    library = sr.ContainerContentItem(
        name=codes.DCM.ImageLibrary, relationship_type=sr.RelationshipTypeValues.CONTAINS
    )
    library.ContentSequence = sr.ContentSequence([group])
    root.ContentSequence.insert(len(root.ContentSequence) - 1, library)


def corners(box: Box) -> np.ndarray:
    """A box as a closed polyline of (column, row), from its upper left corner, clockwise.

    SCOORD coordinates count from the upper left corner of the upper left pixel, as boxes do
    (PS3.3, C.18.6.1.1).
    """
    x_min, y_min, x_max, y_max = box.x_min, box.y_min, box.x_max, box.y_max
    return np.array(
        [[x_min, y_min], [x_max, y_min], [x_max, y_max], [x_min, y_max], [x_min, y_min]]
    )
