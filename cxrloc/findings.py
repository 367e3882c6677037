"""Findings: the vocabularies of data sets, and one spelling for each finding.

This is the only place where names of findings are reconciled: everything that reads a name from a
file or an option passes it through `standard_finding`.
"""

import re
import unicodedata
from collections.abc import Iterable

from cxrloc.errors import CxrlocError

NO_FINDING = "No Finding"
"""What stands for "none of the findings"; it is no finding of its own."""

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
    NO_FINDING,
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

VINDR = (
    "Aortic enlargement",
    "Calcification",
    "Clavicle fracture",
    "COPD",
    "Enlarged PA",
    "ILD",
    "Lung cavity",
    "Lung cyst",
    "Lung tumor",
    "Mediastinal shift",
    "Nodule/Mass",
    "Other disease",
    "Other lesion",
    "Rib fracture",
    "Tuberculosis",
)
"""The classes of VinDr-CXR (Nguyen et al. 2022) that the other vocabularies do not have."""

CHESTX_DET = ("Diffuse Nodule",)
"""The class of ChestX-Det (Lian et al. 2021) that the other vocabularies do not have."""

OTHER_OUTPUTS = ("View AP", "Sex M")
"""Outputs of networks that are no finding but are judged like one (Baltruschat et al. 2019)."""

SYNONYMS = {
    "PT": "Pleural_Thickening",
    "PTX": "Pneumothorax",
    "Pneumothoraces": "Pneumothorax",
    "Pleural Effusion": "Effusion",
    "Infiltrate": "Infiltration",
    "Pulmonary fibrosis": "Fibrosis",
    "Lung fibrosis": "Fibrosis",
    "Pulmonary edema": "Edema",
    "Pulmonary oedema": "Edema",
    "Oedema": "Edema",
    "Pulmonary emphysema": "Emphysema",
    "Pulmonary consolidation": "Consolidation",
    "Lung mass": "Mass",
    "Pulmonary mass": "Mass",
    "Lung nodule": "Nodule",
    "Pulmonary nodule": "Nodule",
    "Atelectases": "Atelectasis",
    "Hiatal hernia": "Hernia",
    "Hiatus hernia": "Hernia",
    "Airspace Opacity": "Lung Opacity",
    "Airspace Opacities": "Lung Opacity",
    "Lung Opacities": "Lung Opacity",
    "Pulmonary opacity": "Lung Opacity",
    "Pleural others": "Pleural Other",
    "Normal": NO_FINDING,
}
"""Other names in published files and papers, any case and spacing, and the name used here.

`Infiltrate` stands in ChestX-ray14's own box list; `PT` in tables of papers; `Airspace Opacity` in
CheXlocalize; `Normal` in Wang et al. 2017, table 2, and in Dong et al. 2017.
"""


def name_key(name: str) -> str:
    """Letters and digits alone, in lower case: what spellings of one name share."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).lower())


_BY_KEY = {
    **{
        name_key(name): name
        for name in (*OTHER_OUTPUTS, *VINDR, *CHESTX_DET, *CHEXPERT14, *CHESTXRAY14)
    },
    **{name_key(name): standard for name, standard in SYNONYMS.items()},
}


def standard_finding(name: str) -> str:
    """The one spelling of a finding; an unknown name comes back with single blanks.

    Case, blanks, underscores, hyphens and a plural s play no part.

    >>> [standard_finding(name) for name in ("Infiltrates", "pleural_effusion ", "No finding")]
    ['Infiltration', 'Effusion', 'No Finding']
    >>> standard_finding("Coin  lesion")
    'Coin lesion'
    """
    key = name_key(name)
    for each in (key, key.removesuffix("s"), key.removesuffix("es")):
        if each in _BY_KEY:
            return _BY_KEY[each]
    return " ".join(name.split())


def standard_findings(names: Iterable[str]) -> tuple[str, ...]:
    """The standard names of a model's outputs, in the order of its outputs.

    >>> standard_findings(["Pleural Effusion", "PT", "coin lesion"])
    ('Effusion', 'Pleural_Thickening', 'coin lesion')

    Raises:
        CxrlocError: two names are of one finding.
    """
    written: dict[str, str] = {}
    for name in names:
        finding = standard_finding(name)
        if finding in written:
            both = f"{finding} twice"
            if {written[finding], name} != {finding}:
                both += f", as {written[finding]!r} and as {name!r}"
            raise CxrlocError(f"its findings name {both}: name it once")
        written[finding] = name
    return tuple(written)


def is_known(name: str, declared: Iterable[str] = ()) -> bool:
    """Whether a name is that of a known finding, of No Finding, or of one that was declared.

    >>> is_known("infiltrate"), is_known("Patient ID"), is_known("Coin lesion", ["coin lesion"])
    (True, False, True)
    """
    standard = standard_finding(name)
    return standard in _STANDARD or name_key(standard) in {name_key(each) for each in declared}


def spelled_as(name: str, known: Iterable[str]) -> str:
    """The standard name, or for a finding of one's own the spelling among the known names.

    >>> spelled_as("coin_lesion", ["Coin lesion"]), spelled_as("mass", [])
    ('Coin lesion', 'Mass')
    """
    standard = standard_finding(name)
    if standard in _STANDARD:
        return standard
    return next((each for each in known if name_key(each) == name_key(standard)), standard)


def finding_columns(
    names: Iterable[str], declared: Iterable[str] = ()
) -> tuple[dict[str, str], list[str]]:
    """The columns of a table that hold findings, and the others (an index, ids, flags).

    A column holds a finding where its name is one of the vocabularies in any spelling, or is
    declared: by the data set's labels, the model's card or `--finding`.

    Returns:
        The finding of each column that has one, by the column's name; names of the other columns.

    >>> finding_columns(["Patient ID", "mass", "coin_lesion", "0"], declared=["Coin lesion"])
    ({'mass': 'Mass', 'coin_lesion': 'Coin lesion'}, ['Patient ID', '0'])
    """
    columns, declared_names = list(names), list(declared)
    kept = {
        name: spelled_as(name, declared_names) for name in columns if is_known(name, declared_names)
    }
    return kept, [name for name in columns if name not in kept]


_STANDARD = frozenset(_BY_KEY.values())
