"""Codes of findings in public terminologies, as DICOM objects need them."""

from typing import NamedTuple

from cxrloc.findings import name_key, standard_finding


class FindingCode(NamedTuple):
    """A code of a finding in a public terminology.

    Attributes:
        value: the code.
        scheme: its coding scheme designator (PS3.16, section 8): SCT, DCM or RADLEX.
        meaning: the finding in the scheme's words.
        source: "PS3.16" where DICOM's own tables have it (checked in pydicom's), "public" where
            several public repositories agree.
    """

    value: str
    scheme: str
    meaning: str
    source: str


PRIVATE_SCHEME = "99CXRLOC"
"""Scheme of findings for which no code could be verified; the code is the finding's name."""

CODES: dict[str, tuple[FindingCode, ...]] = {
    "Atelectasis": (
        FindingCode("46621007", "SCT", "Atelectasis", "public"),
        FindingCode("RID28493", "RADLEX", "atelectasis", "public"),
    ),
    "Cardiomegaly": (FindingCode("8186001", "SCT", "Cardiomegaly", "public"),),
    "Effusion": (
        FindingCode("60046008", "SCT", "Pleural effusion", "PS3.16"),
        FindingCode("RID34539", "RADLEX", "pleural effusion", "public"),
    ),
    "Infiltration": (FindingCode("112121", "DCM", "Infiltrate", "PS3.16"),),
    "Mass": (
        FindingCode("4147007", "SCT", "Mass", "PS3.16"),
        FindingCode("RID3874", "RADLEX", "mass", "public"),
    ),
    "Nodule": (
        FindingCode("27925004", "SCT", "Nodule", "PS3.16"),
        FindingCode("RID50149", "RADLEX", "nodule", "public"),
    ),
    "Pneumonia": (
        FindingCode("233604007", "SCT", "Pneumonia", "public"),
        FindingCode("RID5350", "RADLEX", "pneumonia", "public"),
    ),
    "Pneumothorax": (
        FindingCode("36118008", "SCT", "Pneumothorax", "PS3.16"),
        FindingCode("RID5352", "RADLEX", "pneumothorax", "public"),
    ),
    "Consolidation": (
        FindingCode("95436008", "SCT", "Consolidation", "public"),
        FindingCode("RID43255", "RADLEX", "consolidation", "public"),
    ),
    "Edema": (
        FindingCode("19242006", "SCT", "Pulmonary edema", "PS3.16"),
        FindingCode("RID4866", "RADLEX", "edema", "public"),
    ),
    "Emphysema": (
        FindingCode("87433001", "SCT", "Pulmonary emphysema", "public"),
        FindingCode("RID4799", "RADLEX", "emphysema", "public"),
    ),
    "Fibrosis": (FindingCode("51615001", "SCT", "Pulmonary fibrosis", "public"),),
    "Pleural_Thickening": (FindingCode("RID28509", "RADLEX", "pleural thickening", "public"),),
    "Hernia": (FindingCode("84089009", "SCT", "Hiatal hernia", "public"),),
    "No Finding": (FindingCode("17621005", "SCT", "Normal", "PS3.16"),),
    "Lung Lesion": (FindingCode("52988006", "SCT", "Lesion", "PS3.16"),),
    "Lung Opacity": (
        FindingCode("112001", "DCM", "Opacity", "PS3.16"),
        FindingCode("RID28530", "RADLEX", "opacity", "public"),
    ),
    "Fracture": (
        FindingCode("125605004", "SCT", "Fracture", "public"),
        FindingCode("RID4650", "RADLEX", "fracture", "public"),
    ),
}
"""Codes by standard name, the preferred one first.

The label Hernia is broader than hiatal hernia. Lung Lesion needs the site Lung (39607008, SCT)
beside it. Enlarged Cardiomediastinum, Pleural Other and Support Devices have no verified code.
"""


def code_of(finding: str) -> FindingCode:
    """The preferred code of a finding; one of the private scheme where none is verified.

    >>> code_of("pleural effusion").value, code_of("Support Devices").scheme
    ('60046008', '99CXRLOC')
    """
    name = standard_finding(finding)
    if name in CODES:
        return CODES[name][0]
    # Short String (SH) of a code value has at most 16 characters (PS3.5, section 6.2).
    return FindingCode(name_key(name)[:16] or "finding", PRIVATE_SCHEME, name[:64], "private")
