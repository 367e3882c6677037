"""Dong et al. 2017: the loss of the single-label task, on numbers of a hand."""

import math

import pytest
import torch

from cxrloc.training.losses import softmax


def test_ten_equal_logits_cost_ln_10():
    labels = torch.eye(10)[[0, 3]]
    assert softmax(torch.zeros(2, 10), labels).item() == pytest.approx(2 * math.log(10), rel=1e-6)


def test_only_the_probability_of_the_label_counts():
    """p = 1 / (1 + 1 + 2)."""
    logits = torch.tensor([[0.0, 0.0, math.log(2)]])
    assert softmax(logits, torch.tensor([[1.0, 0.0, 0.0]])).item() == pytest.approx(math.log(4))
