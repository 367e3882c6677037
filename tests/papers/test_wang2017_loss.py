"""Wang et al. 2017, Eq. 1 on batches that a hand can check."""

import math

import pytest
import torch

from cxrloc.training.losses import cel, w_cel

LN2 = math.log(2)


@pytest.mark.parametrize(
    ("labels", "beta_p", "beta_n"),
    [
        pytest.param([[1, 0], [0, 0]], 4, 4 / 3, id="one label of four is positive"),
        pytest.param([[1, 0], [1, 0]], 2, 2, id="balanced: as CEL, twice"),
        pytest.param([[1, 1], [0, 0]], 2, 2, id="counted over the batch, not per image"),
        pytest.param([[1, 1], [1, 0]], 4 / 3, 4, id="more positive than negative"),
    ],
)
def test_both_kinds_of_label_weigh_the_same_in_a_batch(labels, beta_p, beta_n):
    """At a logit of 0 each label costs ln 2; the weights differ."""
    labels = torch.tensor(labels, dtype=torch.float32)
    positives = int(labels.sum())
    expected = beta_p * positives * LN2 + beta_n * (4 - positives) * LN2
    assert w_cel(torch.zeros(2, 2), labels).item() == pytest.approx(expected)
    assert expected == pytest.approx(8 * LN2)


@pytest.mark.parametrize("label", [0.0, 1.0], ids=["no positives", "no negatives"])
def test_a_batch_of_one_kind_loses_the_other_term_and_stays_finite(label):
    logits = torch.zeros(2, 2, requires_grad=True)
    loss = w_cel(logits, torch.full((2, 2), label))
    loss.backward()
    assert loss.item() == pytest.approx(4 * LN2)  # its own beta is (4 + 0) / 4 = 1
    assert logits.grad.isfinite().all()


def test_the_terms_are_minus_the_logarithms_of_the_probabilities():
    probability = torch.tensor([[0.9, 0.2]])
    labels = torch.tensor([[1.0, 0.0]])
    expected = -math.log(0.9) - math.log(1 - 0.2)
    assert cel(probability.logit(), labels).item() == pytest.approx(expected, rel=1e-5)
    assert w_cel(probability.logit(), labels).item() == pytest.approx(2 * expected, rel=1e-5)
