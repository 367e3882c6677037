"""Codes of findings agree with the tables of the standard."""

from pydicom.sr._concepts_dict import concepts

from cxrloc.finding_codes import CODES, PRIVATE_SCHEME, code_of


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
