import pytest
import torch

from cxrloc.training.uncertainty import POLICIES

NAN = float("nan")
LABELS = torch.tensor([[1.0, 0.0, -1.0, NAN], [-1.0, -1.0, 1.0, 0.0]])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", POLICIES)
def test_what_is_certain_or_unknown_stays_and_nothing_uncertain_is_left(name):
    before = LABELS.clone()
    mapped = POLICIES[name](LABELS, seeded())
    certain = LABELS != -1
    assert torch.equal(mapped[certain].nan_to_num(9), LABELS[certain].nan_to_num(9))
    assert not (mapped == -1).any()
    assert torch.equal(LABELS.nan_to_num(9), before.nan_to_num(9))


@pytest.mark.parametrize("name", ["zeros_lsr", "ones_lsr"])
def test_smoothed_labels_are_drawn_anew_and_follow_the_seed(name):
    generator = seeded(3)
    first, second = (POLICIES[name](LABELS, generator) for _ in range(2))
    uncertain = LABELS == -1
    assert (first[uncertain] != second[uncertain]).all()
    assert first[uncertain].unique().numel() == uncertain.sum()
    again = POLICIES[name](LABELS, seeded(3))
    assert torch.equal(again[uncertain], first[uncertain])
