"""The result of a model on one radiograph, from which every DICOM object is made."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydicom import Dataset

from cxrloc.types import Detection, Heatmaps

NOT_FOR_DIAGNOSIS = "Research only, not for diagnosis"
"""Note that is written in every object that a person reads."""

# The name space of all identifiers that this package derives (RFC 4122, section 4.3).
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "cxrloc")


@dataclass(frozen=True, slots=True)
class Algorithm:
    """The program and model behind a result (PS3.16, TID 4019 Algorithm Identification).

    Attributes:
        name: the model's name.
        version: the package's version.
        sha256: of the model file, in hexadecimal.
        parameters: every setting that changes the result, by name.
    """

    name: str
    version: str
    sha256: str
    parameters: Mapping[str, object]

    def __post_init__(self) -> None:
        json.dumps(dict(self.parameters))  # settings must have a canonical text


@dataclass(frozen=True, slots=True)
class FindingResult:
    """One finding of an image, with the boxes of its heatmap.

    Attributes:
        finding: the finding's standard name.
        probability: in [0, 1].
        above_operating_point: None if the model has no operating point for the finding.
        detections: boxes in pixels of the source image.
    """

    finding: str
    probability: float
    above_operating_point: bool | None
    detections: tuple[Detection, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class DicomResult:
    """A model's result on one DICOM image.

    Attributes:
        source: the image's header, as `source.read_source` returns it.
        algorithm: the program and model that made the result.
        findings: in the order in which they are reported.
        heatmaps: the maps of these findings; None if no object needs them.
        moment: date and time that are written in the objects.
    """

    source: Dataset
    algorithm: Algorithm
    findings: tuple[FindingResult, ...]
    heatmaps: Heatmaps | None
    moment: datetime


@dataclass(frozen=True, slots=True)
class Identity:
    """The identifiers of one object: the same result always gets the same ones.

    Attributes:
        series_instance_uid: Series Instance UID (0020,000E).
        sop_instance_uid: SOP Instance UID (0008,0018).
    """

    series_instance_uid: str
    sop_instance_uid: str


def identity_of(result: DicomResult, kind: str) -> Identity:
    """The identifiers of the object of one kind that is made from a result.

    The identifiers are derived from the source's SOP instance UID, the model's hash, the kind of
    object and every setting that changes the content. A second run therefore makes the same object,
    and an archive does not store it twice.
    """
    return Identity(
        series_instance_uid=derived_uid(result, kind, "series"),
        sop_instance_uid=derived_uid(result, kind, "instance"),
    )


def derived_uid(result: DicomResult, *names: str) -> str:
    """A UID that is derived from a result and further names (PS3.5, section B.2: 2.25.UUID)."""
    algorithm = result.algorithm
    parts = (
        str(result.source.SOPInstanceUID),
        algorithm.name,
        algorithm.version,
        algorithm.sha256,
        json.dumps(dict(algorithm.parameters), sort_keys=True),
        *names,
    )
    return f"2.25.{uuid.uuid5(_NAMESPACE, json.dumps(parts)).int}"


def region_names(result: DicomResult) -> list[tuple[FindingResult, Detection, str, str]]:
    """Every box with its finding, tracking identifier and tracking UID.

    The report, the presentation state and the segmentation of a result use the same names for the
    same region.
    """
    named = []
    for each in result.findings:
        for number, detection in enumerate(each.detections, 1):
            identifier = f"{each.finding} {number}"
            named.append((each, detection, identifier, derived_uid(result, "region", identifier)))
    return named
