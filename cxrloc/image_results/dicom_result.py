"""Converts the result of one image to the form that DICOM objects are made from."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

from cxrloc.dicom_objects.result import Algorithm, DicomResult, FindingResult
from cxrloc.dicom_objects.source import moment_of, read_source
from cxrloc.image_results.report import ImageResult, boxed_findings
from cxrloc.inference.suitability import Status


def with_header(image: ImageResult, file: Path) -> ImageResult:
    """The result with what DICOM objects inherit from the image's file, and with warnings about it.

    Raises:
        CxrlocError: the file is no DICOM file, or lacks an identifier that results refer to.
    """
    header, warnings = read_source(file)
    report = {**image.report, "warnings": [*image.report["warnings"], *warnings]}
    return image._replace(report=report, header=header)


def dicom_result(image: ImageResult) -> DicomResult:
    """The result of one image that has a header (`with_header`).

    All reported findings have a probability; those of `boxed_findings` have boxes and maps. The
    result of an image outside holds neither findings nor maps, unless the settings force them.
    """
    report, header = image.report, image.header
    assert header is not None
    claimed = report["status"] == Status.OK or image.settings.force
    rows = report["findings"] if claimed else []
    boxed = [row["finding"] for row in boxed_findings(report, image.settings.top)]
    findings = tuple(
        FindingResult(
            finding=row["finding"],
            probability=row["probability"],
            above_operating_point=row["above_operating_point"],
            detections=tuple(
                box
                for box in image.detections
                if box.finding == row["finding"] and row["finding"] in boxed
            ),
        )
        for row in rows
    )
    heatmaps = image.localized.heatmaps
    columns = [heatmaps.findings.index(finding) for finding in boxed]
    return DicomResult(
        source=header,
        algorithm=Algorithm(
            name=image.model["name"],
            version=report["cxrloc"],
            sha256=image.model["sha256"],
            parameters=_parameters(image, boxed),
        ),
        findings=findings,
        heatmaps=replace(heatmaps, findings=tuple(boxed), scores=heatmaps.scores[columns])
        if claimed
        else None,
        # The objects have the time of the image, so that a second run gives the same bytes.
        moment=image.settings.object_date
        or moment_of(header)
        or datetime.now().replace(microsecond=0),
    )


def _parameters(image: ImageResult, boxed: Sequence[str]) -> dict[str, object]:
    """Every setting that changes an object's content, in the words of the report.

    The findings with boxes belong to them: UIDs are derived from the parameters, and an object with
    the boxes of other findings must not have the same UID (PS3.5, section 9).
    """
    report = image.report
    settings = asdict(image.settings)
    # These change the content of no object but its dates.
    for name in ("uids", "strict", "object_date"):
        del settings[name]
    return {
        "method": report["method"],
        "versions": report["versions"],
        "findings": [row["finding"] for row in report["findings"]],
        "boxed": sorted(boxed),
        "products": report["products_along_tree"],
        **settings,
    }
