"""Two structured reports of one result: its regions, and its findings on the whole image.

Both are Comprehensive 3D SR of TID 1500 Measurement Report (PS3.16, annex A). There are two reports
because OHIF shows no box of a report if any group in the report has no region.
"""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from highdicom import sr
from pydicom import Dataset
from pydicom.charset import convert_encodings, default_encoding
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
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
from cxrloc.dicom_objects.stamp import (
    MANUFACTURER,
    SERIES_NUMBERS,
    STAND_IN_CLASS,
    correct_references,
    equipment_of,
    stand_in,
)
from cxrloc.types import Box, Detection

UTF_8 = "ISO_IR 192"  # the character set of all objects (PS3.3, C.12.1.1.2)


def region_report(result: DicomResult) -> Dataset | None:
    """The report of the boxes (TID 1410 groups); None if the result has no box.

    Each group holds the finding, the box as a closed polyline of five points, and one number: the
    finding's probability. The box is stored in the group, as TID 1410 requires, and again in the
    number, where OHIF looks for it.
    """
    named = region_names(result)
    if not named:
        return None
    made: dict[tuple[str, float | None], Any] = {}
    for each, box, identifier, uid in named:
        if (each.finding, box.threshold) not in made:
            group = _region_group(result, each, box, (identifier, uid))
            correct_references(group[0], result.source)
            made[each.finding, box.threshold] = group
    encoded = {of: _encoded(group[0]) for of, group in made.items()}
    groups = [
        _region_copy(encoded[each.finding, box.threshold], box.box, identifier, uid)
        for each, box, identifier, uid in named
    ]
    first = next(iter(made.values()))
    return _report(result, first, groups, "sr-regions", "cxrloc: regions")


def finding_report(result: DicomResult) -> Dataset | None:
    """The report of all findings on the whole image (TID 1501 groups), with probabilities.

    None if the result has no findings, as that of an image outside.
    """
    if not result.findings:
        return None
    algorithm = _algorithm(result)
    made = [_finding_group(result, each, algorithm) for each in result.findings]
    groups = [group[0] for group in made]
    return _report(result, made[0], groups, "sr-findings", "cxrloc: findings")


def _region_group(
    result: DicomResult,
    each: FindingResult,
    detection: Detection,
    names: tuple[str, str],
) -> Any:
    identifier, uid = names
    points = corners(detection.box)
    source = sr.SourceImageForRegion(STAND_IN_CLASS, result.source.SOPInstanceUID)
    probability = _probability(each)
    group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(UID(uid), identifier),
        referenced_region=sr.ImageRegion(sr.GraphicTypeValues.POLYLINE, points, source),
        finding_type=coded_finding(each.finding),
        method=codes.DCM.ClassActivation,
        algorithm_id=_algorithm(result, detection.threshold),
        measurements=[probability],
    )
    # The box is added to the number after the group is made, because highdicom refuses coordinates
    # in a number of this template, although TID 300 Measurement allows them. This works because the
    # group refers to the number's item and does not copy it.
    probability[0].ContentSequence.append(_box_of_number(result, points))
    return group


def _encoded(group: Dataset) -> bytes:
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = False, True
    write_dataset(stream, group, UTF_8)
    return stream.getvalue()


def _region_copy(encoded: bytes, box: Box, identifier: str, uid: str) -> Dataset:
    """The group of another box of the same finding and threshold as an encoded group.

    highdicom takes 10 milliseconds to make a group and pydicom to write it. Of a copy, only the
    elements that differ are decoded, and the others are written as they are.
    """
    group = read_dataset(BytesIO(encoded), False, True, parent_encoding=convert_encodings(UTF_8))
    points = corners(box).ravel().tolist()
    for item in group.ContentSequence:
        match item.ValueType:
            case "TEXT" if item.RelationshipType == "HAS OBS CONTEXT":
                item.TextValue = identifier
            case "UIDREF":
                item.UID = uid
            case "SCOORD":
                item.GraphicData = points
            case "NUM":  # the box is the last item of a number (`_region_group`)
                item.ContentSequence[-1].GraphicData = points
    return group


def _box_of_number(result: DicomResult, points: np.ndarray) -> Any:
    """The box from which a number was inferred (TID 320 Image or Spatial Coordinates)."""
    image = sr.SourceImageForRegion(STAND_IN_CLASS, result.source.SOPInstanceUID)
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
            sr.SourceImageForMeasurementGroup(STAND_IN_CLASS, result.source.SOPInstanceUID)
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


def _report(
    result: DicomResult, first: Any, groups: Sequence[Dataset], kind: str, description: str
) -> Dataset:
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
        imaging_measurements=[first],
        title=codes.DCM.ImagingMeasurementReport,
    )
    _insert_image_library(content[0], result.source)
    # highdicom copies its content twice and searches it several times, which takes longer than all
    # other steps of a result together; the measurements are added after that.
    measurements = content[0].ContentSequence.pop()
    measurements["ContentSequence"].value = list(groups)
    identity = identity_of(result, kind)
    report = sr.Comprehensive3DSR(
        evidence=[stand_in(result.source)],
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
    # pydicom writes copied groups without decoding them if it knows the encoding around them.
    measurements.set_original_encoding(False, True, default_encoding)
    report.set_original_encoding(False, True, convert_encodings(UTF_8))
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
