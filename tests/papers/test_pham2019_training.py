"""Pham et al. 2019: labels of the tree, uncertain labels and products, checked by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cxrloc.findings import CHEXPERT14, CHEXPERT_PARENTS
from cxrloc.inference.hierarchy import unconditional
from cxrloc.training.conditional import given_all_parents, given_parent
from cxrloc.training.uncertainty import POLICIES

FIGURE_3 = {"B": "A", "C": "B", "D": "B"}
UNKNOWN = 9.0


def test_products_along_the_tree_of_figure_3():
    """Eq. 3 and 4: p(C) = .5 x .5 x .2 and p(D) = .5 x .5 x .8, in whatever order they come."""
    conditional = np.array([[0.2, 0.8, 0.5, 0.5]])
    products = unconditional(conditional, ("C", "D", "A", "B"), FIGURE_3)
    assert products[0].tolist() == pytest.approx([0.05, 0.2, 0.5, 0.25])


@given(st.lists(st.floats(0, 1), min_size=14, max_size=14))
def test_a_child_is_never_above_its_parent(probabilities):
    products = unconditional(np.array([probabilities]), CHEXPERT14, CHEXPERT_PARENTS)[0]
    of = dict(zip(CHEXPERT14, products, strict=True))
    assert all(of[child] <= of[parent] for child, parent in CHEXPERT_PARENTS.items())


def test_roots_stay_and_the_longest_path_has_three_findings():
    products = unconditional(np.full((1, 14), 0.5), CHEXPERT14, CHEXPERT_PARENTS)[0]
    of = dict(zip(CHEXPERT14, products, strict=True))
    assert of["Pneumonia"] == 0.125
    assert {name for name, value in of.items() if value == 0.5} == set(CHEXPERT14) - set(
        CHEXPERT_PARENTS
    )


@pytest.mark.parametrize(
    ("policy", "low", "high"), [("ones_lsr", 0.55, 0.85), ("zeros_lsr", 0, 0.3)]
)
def test_smoothed_labels_fill_the_interval_of_section_4_3(policy, low, high):
    uncertain = torch.full((100, 20), -1.0)
    drawn = POLICIES[policy](uncertain, torch.Generator().manual_seed(0))
    assert low <= drawn.min() < low + 0.01
    assert high - 0.01 < drawn.max() <= high
    assert drawn.mean() == pytest.approx((low + high) / 2, abs=0.01)


@pytest.mark.parametrize(("policy", "taught"), [("ignore", UNKNOWN), ("zeros", 0.0), ("ones", 1.0)])
def test_an_uncertain_label_is_left_out_or_taken_for_one_side(policy, taught):
    mapped = POLICIES[policy](torch.tensor([[1.0, -1.0, 0.0]]), torch.Generator())
    assert mapped.nan_to_num(UNKNOWN).tolist() == [[1.0, taught, 0.0]]


FIGURE_2 = ("Lung Opacity", "Consolidation", "Pneumonia", "Edema", "Fracture")
"""Rows below: image, columns: these findings; 9 is unknown."""


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        pytest.param(
            given_parent,
            [[1, 1, 0, 1, 0], [1, 0, 9, 1, 1], [0, 9, 9, 9, 1]],
            id="each child where its own parent is positive",
        ),
        pytest.param(
            given_all_parents,
            [[9, 9, 0, 1, 0], [9, 9, 9, 9, 9], [9, 9, 9, 9, 9]],
            id="leaves where Lung Opacity and Consolidation are both positive",
        ),
    ],
)
def test_what_is_learned_in_the_conditional_stage(condition, expected):
    labels = torch.tensor([[1.0, 1, 0, 1, 0], [1, 0, 1, 1, 1], [0, 0, 0, 0, 1]])
    tree = {child: parent for child, parent in CHEXPERT_PARENTS.items() if parent in FIGURE_2}
    assert condition(labels, FIGURE_2, tree).nan_to_num(UNKNOWN).tolist() == expected
