"""Only findings and impression of a report are read, whatever the style of the headings."""

import pytest

from cxrloc.reports.plain_text import clean
from cxrloc.reports.sections import relevant_parts, relevant_text


def test_a_heading_inside_findings_ends_them_only_in_capitals_or_at_a_line() -> None:
    assert relevant_text("FINDINGS: Comparison: a nodule.") == "Comparison: a nodule."
    assert relevant_text("FINDINGS: a HISTORY: b IMPRESSION: c") == "a \nc"


@pytest.mark.parametrize(
    "report",
    [
        "INDICATION: mass\nFINDINGS: Edema",
        "INDICATION - mass\nFINDINGS - Edema",
        "INDICATION\nmass\nFINDINGS\nEdema",  # alone on a line
        "Indication \u2013 mass\nFindings \u2013 Edema",
        "INDICATION Cough and mass. FINDINGS Edema of the lungs.",  # in capitals alone
        "**Indication:** mass\n**Findings:** Edema",
        "# Indication\nmass\n# Findings\nEdema",
        "<b>INDICATION</b>: mass<br><b>FINDINGS</b>: Edema",
        "FINDINGS: Edema\nRECOMMENDATION: CT to rule out mass",
        "FINDINGS: Edema. COMPARISON: A mass.",
        "DIAGNOSIS: mass\nFINDINGS: Edema",  # the reason for the examination
        "HISTORY: mass\nDIAGNOSIS: Edema",  # the conclusion
        "WET READ: mass\nFINAL REPORT: Edema",
        # neither findings nor impression: all but the rest
        "HISTORY: mass.\n\nEdema",
        "REASON FOR EXAM: mass.\nEdema",
        "REASON FOR EXAM: mass. Edema",
        "HISTORY OF PRESENT ILLNESS: mass\nEdema",
        "CLINICAL INFORMATION:\nmass\n\nEdema",
        "Edema",
    ],
)
def test_what_an_examination_is_for_is_left_out(report: str) -> None:
    text = relevant_text(clean(report))
    assert "Edema" in text
    assert "mass" not in text


@pytest.mark.parametrize(
    "report",
    [
        "Findings are normal. No mass.",
        "NO ACUTE FINDINGS. MASS.",
        "Heart normal. NO ACUTE FINDINGS. No mass.",
        "The patient has a history of mass.",
        "IMPRESSION: NO ACUTE FINDINGS. MASS.",
    ],
)
def test_a_word_is_no_heading_because_headings_use_it(report: str) -> None:
    assert "mass" in relevant_text(report).lower()


def test_addenda_stand_apart_as_they_correct_the_rest() -> None:
    report = "IMPRESSION: No mass.\nADDENDUM: There is a mass."
    assert relevant_parts(report) == ("No mass.\n", "There is a mass.")


@pytest.mark.parametrize(
    ("report", "headings", "text"),
    [
        ("FINDINGS: A. IMPRESSION: B.", ["impression"], "B."),
        ("FINDINGS: A.", ["impression"], ""),  # it has headings, but not this one
        ("A.", ["impression"], "A."),
        ("Befund: A.\nBeurteilung: B.\nEmpfehlung: C.", ["Beurteilung"], "B."),
    ],
)
def test_headings_of_any_language_can_be_named(report: str, headings: list, text: str) -> None:
    assert relevant_text(report, headings) == text
