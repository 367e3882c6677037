"""What a stage of training is judged by on the validation images."""

import numpy as np
import torch

from cxrloc.pipeline.train_stages import validation_labels, validation_scores

NAN = float("nan")
TREE = ("Enlarged Cardiomediastinum", "Cardiomegaly")
"""A parent and its child."""

LABELS = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0], [-1.0, 1.0]], dtype=np.float32)


def test_a_conditional_stage_is_not_judged_on_children_whose_parent_is_not_there() -> None:
    """They are left to chance: a network that is right wherever it learns has the best loss."""
    labels = validation_labels(LABELS, TREE, "parent", "cel")
    expected = [[1.0, 1.0], [1.0, 0.0], [0.0, NAN], [NAN, NAN]]
    np.testing.assert_array_equal(labels, expected)
    right = torch.tensor([[9.0, 9.0], [9.0, -9.0], [-9.0, 9.0], [0.0, -9.0]])
    scores = validation_scores(right, labels, "cel", TREE)
    assert scores["validation_loss"] < 0.001
    assert scores["Cardiomegaly"] == 1.0


def test_all_labels_count_without_a_condition_except_uncertain_ones() -> None:
    expected = [[1.0, 1.0], [1.0, 0.0], [0.0, 0.0], [NAN, 1.0]]
    np.testing.assert_array_equal(validation_labels(LABELS, TREE, "", "cel"), expected)


def test_softmax_is_judged_on_images_with_exactly_one_label() -> None:
    """Of images that it never learns, at zero logits three labels would cost 3 ln 4, none 0."""
    labels = np.eye(4, dtype=np.float32)[[1]].repeat(3, axis=0)
    labels[1, :3], labels[2] = 1, 0
    known = validation_labels(labels, tuple("abcd"), "", "softmax")
    assert known.isfinite().all(dim=1).tolist() == [True, False, False]
    loss = validation_scores(torch.zeros(3, 4), known, "softmax", tuple("abcd"))["validation_loss"]
    assert np.isclose(loss, np.log(4) / 4)  # per label


def test_no_finding_has_its_auc_and_no_part_in_the_mean() -> None:
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    logits = torch.tensor([[9.0, 9.0], [0.0, 0.0]])
    scores = validation_scores(logits, labels, "cel", ("Mass", "No Finding"))
    assert (scores["Mass"], scores["No Finding"], scores["mean_auc"]) == (1.0, 0.0, 1.0)


def test_without_a_known_label_there_is_no_score() -> None:
    assert validation_scores(torch.zeros(2, 1), torch.full((2, 1), NAN), "cel", ("Mass",)) == {}
