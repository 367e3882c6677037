"""Vocabularies: the findings that data sets label, in the order of their papers' tables."""

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
