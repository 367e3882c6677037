import pytest

from cxrloc.datasets.identifiers import (
    checked_id,
    patient_in,
    patient_key,
    refuse_equal_patients,
)
from cxrloc.errors import CxrlocError


@pytest.mark.parametrize(
    "written",
    [
        *("12", "12.0", "0012", " 12 ", "patient12", "p12", "P0012", "patient_12", "12.00"),
        *(
            "sub-012",
            "PAT0012",
            "ID 12",
            "No. 12",
            "#12",
            "'0012",
            "\ufeff12",
            "12\u00a0",
            "\uff11\uff12",
        ),
    ],
)
def test_one_patient_written_in_many_ways_has_one_key(written: str) -> None:
    assert patient_key(written) == "12"


@pytest.mark.parametrize(
    ("one", "other"), [("12", "120"), ("12", "1.2"), ("A12", "12"), ("12", "12.5"), ("a", "A")]
)
def test_different_patients_keep_different_keys(one: str, other: str) -> None:
    assert patient_key(one) != patient_key(other)


def test_powers_of_ten_that_a_spreadsheet_writes_are_whole_numbers() -> None:
    assert patient_key("1.0000032e+07") == patient_key("10000032")


def test_two_spellings_in_one_table_are_an_error() -> None:
    refuse_equal_patients("a.csv", ["12", "13", "12"])
    with pytest.raises(CxrlocError, match="'12' and '0012'"):
        refuse_equal_patients("a.csv", ["12", "0012"])


@pytest.mark.parametrize("written", ["1.23457E+11", "1.23457e+11", "1.23E+11", "1.2E+07"])
def test_a_number_that_a_spreadsheet_rounded_is_no_id(written: str) -> None:
    all_digits = ["1e+07", "1.2e+08", "1E+11", "1.0000032e+07", "1.0000033E+07"]
    refuse_equal_patients("a.csv", all_digits)
    with pytest.raises(CxrlocError, match="is a number that a spreadsheet rounded") as error:
        refuse_equal_patients("a.csv", [written])
    assert repr(written) in str(error.value)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a", "a/b", "a\\b", "a\0", "a\nb", "a\x1b[2J", "x" * 201, "é" * 150]
)
def test_a_name_that_could_leave_its_folder_or_break_a_line_is_refused(name: str) -> None:
    with pytest.raises(CxrlocError, match="cannot name an image") as error:
        checked_id("row 2", name)
    assert str(error.value).isprintable()


def test_only_names_with_a_number_in_front_tell_the_patient() -> None:
    assert [patient_in(name) for name in ("00000013_005", "x_1", "\uff11_2")] == ["13", None, None]
