"""Wang et al. 2017, tables 3 and 17: AUC per finding, with chance level at 0.5."""

import numpy as np
import pytest

from cxrloc.evaluation.classification.ranking import auc
from cxrloc.evaluation.published import published
from cxrloc.findings import CHESTXRAY8, CHESTXRAY14


def test_table_3_prints_the_weighted_loss_of_resnet_twice_with_the_same_numbers():
    frame = published("wang2017:3").pivot(index="finding", columns="setting", values="value")
    assert (frame["initialization ResNet-50"] == frame["loss W-CEL"]).all()
    assert set(frame.index) == set(CHESTXRAY8)


def test_table_17_has_the_14_findings_in_the_vocabulary_s_order():
    assert tuple(published("wang2017:17")["finding"]) == CHESTXRAY14


@pytest.mark.parametrize("prevalence", [0.01, 0.5])
def test_random_scores_have_an_auc_of_a_half_at_any_prevalence(prevalence):
    generator = np.random.default_rng(0)
    truth = generator.random(20_000) < prevalence
    assert auc(truth, generator.random(20_000)) == pytest.approx(0.5, abs=0.05)
