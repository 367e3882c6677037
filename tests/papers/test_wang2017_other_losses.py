"""Wang et al. 2017, section 3.1: hinge and Euclidean loss, checked by hand."""

import pytest
import torch

from cxrloc.training.losses import euclidean, hinge


@pytest.mark.parametrize(
    ("logit", "label", "cost"),
    [
        pytest.param(2.0, 1.0, 0.0, id="right by more than the margin costs nothing"),
        pytest.param(1.0, 1.0, 0.0, id="at the margin"),
        pytest.param(0.5, 1.0, 0.5, id="right, within the margin"),
        pytest.param(-1.0, 1.0, 2.0, id="wrong"),
        pytest.param(-1.0, 0.0, 0.0, id="negative labels are -1"),
        pytest.param(0.5, 0.0, 1.5, id="a positive logit of one is wrong"),
    ],
)
def test_hinge_loss(logit, label, cost):
    assert hinge(torch.tensor([[logit]]), torch.tensor([[label]])).item() == pytest.approx(cost)


def test_euclidean_loss_is_half_the_squared_distance_of_the_probabilities():
    """Half of .1^2 + .8^2."""
    logits = torch.tensor([[0.9, 0.8]]).logit()
    assert euclidean(logits, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(0.325)
