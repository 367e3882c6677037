import pytest
from pydicom.sr._concepts_dict import concepts

from cxrloc.findings import (
    CHESTXRAY14,
    CHEXPERT14,
    CHEXPERT_PARENTS,
    CODES,
    PRIVATE_SCHEME,
    SYNONYMS,
    code_of,
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


def test_codes_said_to_be_of_the_standard_are_in_its_tables_with_their_meaning() -> None:
    meanings = {
        (scheme, value): meaning
        for scheme, names in concepts.items()
        for codes in names.values()
        for value, (meaning, _) in codes.items()
    }
    for codes in CODES.values():
        for code in codes:
            if code.source == "PS3.16":
                assert meanings[code.scheme, code.value] == code.meaning


def test_a_finding_without_a_verified_code_gets_a_private_one_of_legal_length() -> None:
    code = code_of("Enlarged Cardiomediastinum")
    assert code.scheme == PRIVATE_SCHEME
    assert 0 < len(code.value) <= 16
