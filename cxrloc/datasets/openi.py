"""Open-i, the Indiana collection (Demner-Fushman et al. 2016): reports, and images where present.

`NLMCXR_reports.tgz`, or the folder `ecgen-radiology` that it holds; images `CXR*.png` anywhere
below the folder. Tables 1, 2 and 18 of Wang et al. 2017 use its reports as the reference standard.
"""

from pathlib import Path

from cxrloc.datasets.image_files import find_image_files_below
from cxrloc.errors import CxrlocError
from cxrloc.findings import CHESTXRAY14
from cxrloc.reports.labels import label_report
from cxrloc.reports.read import UnreadableReport, read_reports
from cxrloc.types import Record

REPORTS = ("NLMCXR_reports.tgz", "ecgen-radiology")
"""Names of the archive and of the folder that may hold the reports."""


def read_openi(folder: Path) -> list[Record]:
    """One record per image that a report names, labelled by this package's report labeler.

    The labels are the 14 findings of ChestX-ray14, taken from the sections findings and impression
    of the report. A finding that the report does not mention has no label, and the images of a
    report without text are not labelled. Each report counts as a patient, because the collection
    has one report per patient. The collection does not publish the view of an image, so the view is
    unknown, and the records contain frontal and lateral images.

    Raises:
        CxrlocError: there are no reports, one cannot be read, or two images have one name.
    """
    source = next((folder / name for name in REPORTS if (folder / name).exists()), None)
    if source is None:
        raise CxrlocError(f"{folder} holds neither {' nor '.join(REPORTS)}")
    files = find_image_files_below([folder])
    records = []
    for report in read_reports(source):
        if isinstance(report, UnreadableReport):
            raise CxrlocError(f"{source}, {report.report_id}: {report.reason}")
        labelled = label_report(report)
        labels = {name: label for name, label in labelled.labels.items() if name in CHESTXRAY14}
        records += [
            Record(
                image_id,
                report.report_id,
                report.report_id,
                files.get(image_id),
                labels=labels,
                labelled=labelled.normal is not None,
            )
            for image_id in report.image_ids
        ]
    return records
