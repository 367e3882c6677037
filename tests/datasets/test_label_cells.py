import pytest

from cxrloc.datasets.label_cells import finding_labels
from cxrloc.errors import CxrlocError


@pytest.mark.parametrize(
    "text",
    [
        "Effusion|Pleural_Thickening",
        "Effusion,Pleural_Thickening",
        "effusion ; PT",
        "['Effusion', 'Pleural_Thickening']",
        '["Effusion", "Pleural Thickening"]',
        "{Effusion|Pleural_Thickening|Effusion}",
        "Pleural effusion\nPleural thickening",
    ],
)
def test_one_list_of_findings_in_many_writings(text: str) -> None:
    assert finding_labels("row 2", text) == ("Effusion", "Pleural_Thickening")


@pytest.mark.parametrize("text", ["No Finding", "No finding", "normal", "['No Finding']"])
def test_no_finding_in_any_spelling_is_no_finding_of_its_own(text: str) -> None:
    assert finding_labels("row 2", text) == ()


@pytest.mark.parametrize("text", ["", " ", "[]", "|", "NA", "nan", "N/A"])
def test_a_blank_cell_is_unknown_which_is_not_negative(text: str) -> None:
    assert finding_labels("row 2", text) is None


@pytest.mark.parametrize("text", ["He", "Effusion|Rib lesion", "Mass|nan", "1", "Effusion Mass"])
def test_a_word_that_is_no_finding_is_an_error_with_its_row(text: str) -> None:
    with pytest.raises(CxrlocError, match=r"row 2: .* is no known finding"):
        finding_labels("row 2", text)


def test_a_declared_word_is_a_finding() -> None:
    assert finding_labels("row 2", "rib_lesion|Mass", ["Rib lesion"]) == ("Rib lesion", "Mass")


def test_no_finding_beside_a_finding_is_a_contradiction() -> None:
    with pytest.raises(CxrlocError, match="No Finding and names a finding"):
        finding_labels("row 2", "No Finding|Mass")
