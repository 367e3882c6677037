import pytest

from cxrloc.finding_codes import CODES
from cxrloc.findings import (
    CHESTXRAY14,
    CHEXPERT14,
    CHEXPERT_PARENTS,
    SYNONYMS,
    is_known,
    spelled_as,
    standard_finding,
)


@pytest.mark.parametrize(
    ("written", "standard"),
    [
        ("Pleural_Effusion", "Effusion"),
        ("Pleural Effusion", "Effusion"),
        ("pleural effusions", "Effusion"),
        ("PT", "Pleural_Thickening"),
        ("PleuralThickening", "Pleural_Thickening"),
        ("Infiltrates", "Infiltration"),
        ("Pulmonary fibrosis", "Fibrosis"),
        ("Airspace Opacity", "Lung Opacity"),
        (" Mass \t", "Mass"),
        ("MASSES", "Mass"),
        ("No finding", "No Finding"),
        ("no_finding", "No Finding"),
        ("Normal", "No Finding"),
        ("Nodule/Mass", "Nodule/Mass"),
        ("Coin  lesion ", "Coin lesion"),
        ("肺炎", "肺炎"),
        ("", ""),
    ],
)
def test_each_finding_has_one_spelling(written: str, standard: str) -> None:
    assert standard_finding(written) == standard


def test_a_standard_name_is_its_own_standard() -> None:
    for name in (*CHESTXRAY14, *SYNONYMS.values(), *CODES):
        assert standard_finding(name) == name
    assert standard_finding("Pleural Effusion") == "Effusion"
    assert {standard_finding(name) for name in CHEXPERT14} - {"Effusion"} < set(CHEXPERT14)


def test_a_word_that_is_neither_known_nor_declared_is_told() -> None:
    assert not is_known("He")  # the beginning of Hernia, in a file that was cut
    assert not is_known("0")
    assert is_known("normal")
    assert is_known("coin_lesion", declared=["Coin lesion"])


def test_a_finding_of_one_s_own_gets_the_spelling_that_is_there() -> None:
    assert spelled_as("COIN-LESION", ["Coin lesion"]) == "Coin lesion"
    assert spelled_as("infiltrate", ["infiltrate"]) == "Infiltration"


def test_the_tree_is_that_of_chexpert() -> None:
    assert {*CHEXPERT_PARENTS, *CHEXPERT_PARENTS.values()} < set(CHEXPERT14)
