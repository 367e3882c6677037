"""Vocabularies: the findings that data sets label, in the order of their papers' tables."""

from collections.abc import Iterable

CHESTXRAY8 = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
)
"""The eight findings of Wang et al. 2017, table 1; those with expert boxes."""

CHESTXRAY14 = (
    *CHESTXRAY8,
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
)
"""The 14 findings of ChestX-ray14 (Wang et al. 2017, table 16), spelled as in its label file."""

CHEXPERT14 = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Lesion",
    "Lung Opacity",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
"""The 14 observations of CheXpert (Irvin et al. 2019), in the order of its labeler's output."""

CHEXPERT_PARENTS = {
    "Cardiomegaly": "Enlarged Cardiomediastinum",
    "Lung Lesion": "Lung Opacity",
    "Edema": "Lung Opacity",
    "Consolidation": "Lung Opacity",
    "Pneumonia": "Consolidation",
    "Atelectasis": "Lung Opacity",
}
"""The tree of CheXpert's observations, child -> parent (Irvin et al. 2019, Fig. 1); others are
roots."""

SYNONYMS = {
    "infiltrate": "Infiltration",
    "pleural effusion": "Effusion",
    "pleural thickening": "Pleural_Thickening",
}
"""Other spellings in published files, in lower case: the box list says `Infiltrate`."""

_BY_LOWER_CASE = {name.lower(): name for name in CHESTXRAY14} | SYNONYMS


def standard_finding(name: str) -> str:
    """The vocabulary's spelling of a finding; a name outside it comes back as it is.

    >>> standard_finding("Infiltrate"), standard_finding("mass"), standard_finding("Rib fracture")
    ('Infiltration', 'Mass', 'Rib fracture')
    """
    return _BY_LOWER_CASE.get(name.strip().lower(), name.strip())


OTHER_OUTPUTS = ("View AP", "Sex M")
"""Outputs of networks that are no finding but are judged like one (Baltruschat et al. 2019)."""


def finding_columns(
    names: Iterable[str], declared: Iterable[str] = ()
) -> tuple[dict[str, str], list[str]]:
    """The columns of a table that hold findings, and the others (an index, ids, flags).

    A column holds a finding where its name is one of the vocabularies in any spelling, or is
    declared: by the data set's labels, the model's card or `--finding`.

    Returns:
        The finding of each column that has one, by the column's name; names of the other columns.

    >>> finding_columns(["Patient ID", "mass", "Rib fracture", "0"], declared=["Rib fracture"])
    ({'mass': 'Mass', 'Rib fracture': 'Rib fracture'}, ['Patient ID', '0'])
    """
    known = {*map(standard_finding, (*CHESTXRAY14, *CHEXPERT14, *declared)), *OTHER_OUTPUTS}
    standard = {name: standard_finding(name) for name in names}
    kept = {name: finding for name, finding in standard.items() if finding in known}
    return kept, [name for name in standard if name not in kept]
