"""Whether a sentence affirms, negates or doubts the findings that it names, by the scope rules."""

import pytest

from cxrloc.reports.labels import label_report
from cxrloc.reports.read import Report


def labels(sentence: str, vocabulary: str = "chestxray14") -> dict[str, int]:
    found = label_report(Report("1", sentence), vocabulary).labels
    return {finding: int(label) for finding, label in found.items() if finding != "No Finding"}


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        # a list carries its negation to the last member, whatever joins it
        ("No effusion, edema or mass.", {"Effusion": 0, "Edema": 0, "Mass": 0}),
        ("There is neither effusion nor pneumothorax.", {"Effusion": 0, "Pneumothorax": 0}),
        ("The lungs are clear of mass, nodule, or infiltrate.",
         {"Mass": 0, "Nodule": 0, "Infiltration": 0}),
        # ... and what follows the list does not take it
        ("No pneumothorax, small left effusion.", {"Pneumothorax": 0, "Effusion": 1}),
        ("No edema but there is atelectasis.", {"Edema": 0, "Atelectasis": 1}),
        ("Clear of infiltrate and left effusion is small.", {"Infiltration": 0, "Effusion": 1}),
        ("Small effusion without pneumothorax.", {"Effusion": 1, "Pneumothorax": 0}),
        # negation behind the mention
        ("Effusion and pneumothorax are not seen.", {"Effusion": 0, "Pneumothorax": 0}),
        ("Stable cardiomegaly, the effusion has resolved.", {"Cardiomegaly": 1, "Effusion": 0}),
        ("Pneumothorax: none.", {"Pneumothorax": 0}),
        # words that only look like negation
        ("No change in the large effusion.", {"Effusion": 1}),
        ("Without interval change of the nodule.", {"Nodule": 1}),
        ("Near complete resolution of the pneumothorax.", {"Pneumothorax": 1}),
        ("The nodule is not calcified.", {"Nodule": 1}),
        # doubt, before and behind; denial wins where both reach
        ("May represent atelectasis or pneumonia.", {"Atelectasis": -1, "Pneumonia": -1}),
        ("Pneumonia cannot be excluded.", {"Pneumonia": -1}),
        ("Interstitial infiltrates difficult to exclude.", {"Infiltration": -1}),
        ("Nodules suggesting metastases.", {"Nodule": 1}),
        ("Hyperinflation suggesting emphysema.", {"Emphysema": -1}),
        ("No opacity to suggest pneumonia.", {"Pneumonia": 0}),
        ("Recommend CT to exclude an underlying mass.", {"Mass": -1}),
        ("Concerning for edema, no effusion.", {"Edema": -1, "Effusion": 0}),
        # a statement is not a doubt
        ("Opacity consistent with pneumonia.", {"Pneumonia": 1}),
        ("Patchy opacity, likely atelectasis.", {"Atelectasis": 1}),
    ],
)  # fmt: skip
def test_scope(sentence: str, expected: dict[str, int]) -> None:
    assert labels(sentence) == expected


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        # what is over, and what is not quite
        ("1. Resolved pneumonia.", {"Pneumonia": 0}),
        ("Effusion resolved, pneumonia persists.", {"Effusion": 0, "Pneumonia": 1}),
        ("The effusion has not resolved.", {"Effusion": 1}),
        ("Status post chemotherapy for lung mass, which is larger.", {"Mass": 1}),
        ("History of pneumonia, which has resolved.", {"Pneumonia": 0}),
        # a shadow that the way of imaging makes
        ("The heart is larger due to AP technique.", {"Cardiomegaly": -1}),
        ("Enlarged heart, likely related to portable AP technique.", {"Cardiomegaly": -1}),
        ("Effusion secondary to pneumonia.", {"Effusion": 1, "Pneumonia": 1}),
        ("Smaller effusion without complete resolution.", {"Effusion": 1}),
        ("The pneumothorax has not recurred.", {"Pneumothorax": 0}),
        # what was there before; an earlier examination is something else
        ("Scarring from prior pneumonia.", {"Pneumonia": 0}),
        ("Consistent with old infection and a new nodule.", {"Nodule": 1}),
        ("Worsened from prior study with new infiltrate.", {"Infiltration": 1}),
        ("Status post treatment for pneumonia.", {"Pneumonia": 0}),
        # unlikely, and only less likely than another
        ("Pneumonia unlikely, atelectasis likely.", {"Pneumonia": 0, "Atelectasis": 1}),
        ("It is unlikely that this represents pneumonia.", {"Pneumonia": 0}),
        ("Atelectasis is favored over pneumonia.", {"Atelectasis": 1, "Pneumonia": -1}),
        # ruled out, or not
        ("Pneumonia has been ruled out.", {"Pneumonia": 0}),
        ("Superimposed pneumonia is not ruled out.", {"Pneumonia": -1}),
        ("Pneumonia must be considered.", {"Pneumonia": -1}),
        ("Small effusion, if any.", {"Effusion": -1}),
        # other ways to say no
        ("Nothing to suggest pneumonia.", {"Pneumonia": 0}),
        ("Findings argue against pneumonia.", {"Pneumonia": 0}),
        ("Pleural effusion: no.", {"Effusion": 0}),
        ("Pneumothorax - none.", {"Pneumothorax": 0}),
        ("None of the nodules has grown.", {"Nodule": 1}),
    ],
)
def test_scope_over_time_and_in_degrees(sentence: str, expected: dict[str, int]) -> None:
    assert labels(sentence) == expected


def test_an_alternative_is_stated_for_one_vocabulary_and_open_for_the_other() -> None:
    sentence = "Mild cardiomegaly with atelectasis versus pneumonia."
    assert labels(sentence) == {"Cardiomegaly": 1, "Atelectasis": 1, "Pneumonia": 1}
    assert labels(sentence, "chexpert") == {"Cardiomegaly": 1, "Atelectasis": -1, "Pneumonia": -1}


def test_a_colon_ends_what_came_before() -> None:
    text = "Negative for pneumothorax: mild atelectasis."
    assert labels(text) == {"Pneumothorax": 0, "Atelectasis": 1}
