import pytest
import torch

from cxrloc.findings import CHEXPERT14, CHEXPERT_PARENTS
from cxrloc.training.conditional import CONDITIONS, given_parent
from cxrloc.training.losses import cel

NAN = float("nan")


def test_an_unknown_parent_is_not_positive():
    labels = torch.tensor([[NAN, 1.0]])
    masked = given_parent(labels, ("Lung Opacity", "Edema"), CHEXPERT_PARENTS)
    assert masked[0, 1].isnan()


def test_a_smoothed_parent_is_positive_from_a_half_on():
    labels = torch.tensor([[0.5, 1.0], [0.49, 1.0]])
    masked = given_parent(labels, ("Lung Opacity", "Edema"), CHEXPERT_PARENTS)
    assert masked[:, 1].isnan().tolist() == [False, True]


def test_a_child_whose_parent_is_no_output_is_learned_everywhere():
    labels = torch.tensor([[0.0], [1.0]])
    assert torch.equal(given_parent(labels, ("Edema",), CHEXPERT_PARENTS), labels)


def test_masked_labels_teach_nothing_and_the_callers_stay_as_they_were():
    labels = torch.zeros(1, len(CHEXPERT14))
    for condition in CONDITIONS.values():
        logits = torch.zeros(1, len(CHEXPERT14), requires_grad=True)
        masked = condition(labels, CHEXPERT14, CHEXPERT_PARENTS)
        cel(logits, masked).backward()
        assert ((logits.grad == 0) == masked.isnan()).all()
    assert (labels == 0).all()


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_a_parent_of_one_half_is_positive(condition) -> None:
    """Smoothed uncertain labels may be 0.5, which counts as positive in both conditions."""
    labels = torch.tensor([[0.5, 1.0], [0.49, 1.0]])
    kept = condition(labels, ("parent", "child"), {"child": "parent"})
    assert kept[0, 1] == 1
    assert kept[1, 1].isnan()
