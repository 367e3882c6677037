"""Findings are recognised by all names that reports use for them, and by no other words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrloc.findings import CHESTXRAY14, CHEXPERT14
from cxrloc.reports import phrases
from cxrloc.reports.labels import FINDINGS, label_report
from cxrloc.reports.mentions import concepts, find_mentions
from cxrloc.reports.read import Report


def positive(text: str, vocabulary: str = "chestxray14") -> set[str]:
    found = label_report(Report("1", text), vocabulary).labels
    return {finding for finding, label in found.items() if label == 1} - {"No Finding"}


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("Bibasilar atelectatic changes", "Atelectasis"),  # adjective
        ("Right upper lobe collapse", "Atelectasis"),  # another word
        ("Bibasilar atelectases", "Atelectasis"),  # plural
        ("Basilar atelectsis", "Atelectasis"),  # typo
        ("The heart is mildly to moderately enlarged", "Cardiomegaly"),
        ("Enlargement of the cardiac silhouette", "Cardiomegaly"),
        ("Small pleural XXXX effusions", "Effusion"),  # de-identification mark inside
        ("Layering pleural fluid", "Effusion"),
        ("Tiny pericardial effusion", "Effusion"),  # table 5 of the paper
        ("Bilateral infilrates", "Infiltration"),
        ("Bilateral nodular infiltrates", "Infiltration"),
        ("A mass-like opacity", "Mass"),
        ("Multiple micronodules", "Nodule"),
        ("Bronchopneumonia", "Pneumonia"),
        ("Apical pnuemothorax", "Pneumothorax"),
        ("A small apical ptx", "Pneumothorax"),
        ("Large hydropneumothorax", "Pneumothorax"),
        ("Consolidative opacity", "Consolidation"),
        ("Pulmonary oedema", "Edema"),
        ("Emphysematous lungs", "Emphysema"),
        ("Fibrotic change", "Fibrosis"),
        ("Apical capping", "Pleural_Thickening"),
        ("Hiatus hernia", "Hernia"),
    ],
)
def test_a_finding_has_many_names(text: str, finding: str) -> None:
    assert finding in positive(text)


@pytest.mark.parametrize(
    "text",
    [
        "Mass effect on the trachea",
        "Subcutaneous emphysema of the neck",
        "Soft tissue edema",
        "Inguinal hernia",
        "Calcified granuloma",
        "The lungs are normally inflated",  # not an infiltrate
        "A 9 mm nodular opacity",
        "Nodular opacity which represents a nipple shadow",
        "Knee joint effusion",
        "History of pneumonia",
        "Borderline heart size",
    ],
)
def test_anatomy_and_context_change_the_meaning(text: str) -> None:
    assert positive(text) == set()


def test_pericardial_effusion_is_no_pleural_effusion() -> None:
    assert positive("Pericardial effusion", "chexpert") == set()


def test_a_nodular_opacity_is_a_lung_lesion_and_abnormal_though_no_nodule() -> None:
    assert "Lung Lesion" in positive("A 9 mm nodular opacity", "chexpert")
    assert label_report(Report("1", "A 9 mm nodular opacity")).normal is False


def test_every_concept_belongs_to_the_vocabularies_and_all_findings_have_one() -> None:
    named = [{c.findings[column] for c in concepts()} - {None} for column in (0, 1)]
    assert named[0] == set(CHESTXRAY14)
    assert named[1] == set(CHEXPERT14) - {"No Finding"}
    assert FINDINGS["chestxray14"] == CHESTXRAY14


@given(st.text(max_size=200))
def test_mentions_lie_inside_the_sentence(sentence: str) -> None:
    lowered = phrases.lower(sentence)
    assert len(lowered) == len(sentence)
    assert all(0 <= m.start < m.end <= len(sentence) for m in find_mentions(lowered))
