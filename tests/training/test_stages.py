"""The score by which a training stage is judged on validation images, and the second stage."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from cxrloc.datasets.batches import ImageSet
from cxrloc.errors import CxrlocError
from cxrloc.recipe import read_recipe
from cxrloc.training.data import TrainingData, training_data
from cxrloc.training.feeding import images_learned
from cxrloc.training.fit import Moment, Run
from cxrloc.training.recipe_config import Recipe
from cxrloc.training.stages import Trained, build, train_stages
from cxrloc.training.validation import validation_labels, validation_scores
from tests.pipeline.phantom_layouts import chexpert

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
    assert np.isclose(loss, np.log(4))  # one term per image


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        pytest.param("cel", np.log(2), id="a mean over labels"),
        pytest.param("class_averaged", np.log(2), id="already a mean over the labels of an image"),
        pytest.param("softmax", np.log(4), id="one term per image"),
    ],
)
def test_the_validation_loss_of_equal_logits_is_divided_once(loss: str, expected: float) -> None:
    labels = torch.eye(4)[[0, 3, 3]]
    scores = validation_scores(torch.zeros(3, 4), labels, loss, tuple("abcd"))
    assert np.isclose(scores["validation_loss"], expected)


def test_no_finding_has_its_auc_and_no_part_in_the_mean() -> None:
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    logits = torch.tensor([[9.0, 9.0], [0.0, 0.0]])
    scores = validation_scores(logits, labels, "cel", ("Mass", "No Finding"))
    assert (scores["Mass"], scores["No Finding"], scores["mean_auc"]) == (1.0, 0.0, 1.0)


def test_without_a_known_label_there_is_no_score() -> None:
    assert validation_scores(torch.zeros(2, 1), torch.full((2, 1), NAN), "cel", ("Mass",)) == {}


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        pytest.param("", [0, 1, 2, 3], id="all images without a condition"),
        pytest.param("parent", [0, 1, 2, 3], id="roots are learned from every image"),
        pytest.param("all_parents", [0, 1, 3], id="where the parent is positive, or uncertain=1"),
    ],
)
def test_a_conditional_stage_has_epochs_of_the_images_that_it_learns_from(
    condition: str, rows: list[int]
) -> None:
    """Pham et al. 2019, section 3.2: "a training set where all parent labels are positive"."""
    pham = read_recipe("pham2019_ones")
    recipe = replace(pham, network=replace(pham.network, findings=TREE))
    slots = np.arange(4)[:, None]
    images = ImageSet(
        np.zeros((4, 1, 1), np.uint8), slots, LABELS, values=torch.arange(4.0)[:, None]
    )
    kept = images_learned(images, recipe, condition)
    assert kept.slots[:, 0].tolist() == rows
    assert np.array_equal(kept.labels, LABELS[rows])
    assert kept.values is not None
    assert kept.values[:, 0].tolist() == rows


def test_a_condition_that_no_image_meets_is_refused() -> None:
    recipe = read_recipe("pham2019_ones")
    count = len(recipe.network.findings)
    images = ImageSet(
        np.zeros((2, 1, 1), np.uint8), np.zeros((2, 1), int), np.zeros((2, count), np.float32)
    )
    with pytest.raises(CxrlocError, match="none of the 2 training images meets it"):
        images_learned(images, recipe, "all_parents")


CPU = torch.device("cpu")
STEPS, HEAD_STEPS = 4, 6
TWO_STAGES = f"""
extends = "pham2019_ones_ct"
start = "scratch"
[preprocessing]
size = 32
fit = "squash"
[network]
backbone = "small_resnet"
findings = ["Lung Opacity", "Edema"]
[fit]
batch_size = 6
epochs = 0
steps = {STEPS}
validate_every = 2
[head]
batch_size = 6
epochs = 0
steps = {HEAD_STEPS}
validate_every = 2
"""
"""Pham's conditional training of a parent and its child, then of the head; both at small size."""


class TwoStages(NamedTuple):
    """A recipe, its data, and where and to what it was trained without a break."""

    recipe: Recipe
    data: TrainingData
    out: Path
    trained: Trained


def without_parents(data: TrainingData) -> TrainingData:
    """Nobody has the parent, every other image has the child."""

    def labels(count: int) -> np.ndarray:
        return np.stack([np.zeros(count), np.arange(count) % 2], axis=1).astype(np.float32)

    return replace(
        data,
        train=replace(data.train, labels=labels(len(data.train.slots))),
        validation=replace(data.validation, labels=labels(len(data.validation.slots))),
    )


@pytest.fixture(scope="module")
def two_stages(tmp_path_factory: pytest.TempPathFactory) -> TwoStages:
    place = tmp_path_factory.mktemp("stages")
    chexpert(place / "chests")
    (place / "two.toml").write_text(TWO_STAGES)
    recipe = read_recipe(place / "two.toml")
    data = without_parents(training_data(recipe, place / "chests", place / "cache"))
    out = place / "whole"
    return TwoStages(recipe, data, out, train_stages(recipe, data, CPU, Run(out)))


def history(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "metrics.csv").drop(columns="images_per_second")


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}


def test_the_second_stage_moves_the_prediction_layer_alone_and_learns_every_label(
    two_stages: TwoStages,
) -> None:
    """Pham et al. 2019, section 3.2. The first stage learns nothing of a child without parents."""
    recipe, data, out, trained = two_stages
    first = build(recipe, data, CPU).state_dict()
    conditional = torch.load(out / "best.ckpt", weights_only=True)
    final = trained.network.state_dict()
    assert {"backbone.0.weight", "backbone.1.running_mean"} <= moved(first, conditional)
    assert moved(conditional, final) == {"prediction.weight", "prediction.bias"}
    child = recipe.network.findings.index("Edema")
    biases = [state["prediction.bias"][child] for state in (first, conditional, final)]
    assert biases[0] == biases[1] != biases[2]
    assert history(out)["step"].tolist() == [2, 4]
    assert history(out)["Edema"].isna().all()
    assert history(out / "head")["step"].tolist() == [2, 4, 6]
    assert history(out / "head")["Edema"].notna().all()


def killing(step: int) -> Callable[[Moment], None]:
    """Ends a run at the validation after a step of its second stage, before the checkpoint."""

    def watch(moment: Moment) -> None:
        if (moment.steps, moment.validation.get("step")) == (HEAD_STEPS, step):
            raise KeyboardInterrupt

    return watch


@pytest.mark.parametrize(
    ("killed_at", "resumes_after"),
    [pytest.param(2, 0, id="before its first checkpoint"), pytest.param(6, 4, id="in its last")],
)
def test_killed_in_the_second_stage_it_resumes_there_to_the_bit(
    two_stages: TwoStages, tmp_path: Path, killed_at: int, resumes_after: int
) -> None:
    recipe, data, whole, trained = two_stages
    with pytest.raises(KeyboardInterrupt):
        train_stages(recipe, data, CPU, Run(tmp_path, watch=killing(killed_at)))
    moments: list[Moment] = []
    run = Run(tmp_path, resume=True, watch=moments.append)
    resumed = train_stages(recipe, data, CPU, run)
    assert {moment.steps for moment in moments} == {HEAD_STEPS}  # nothing of the first again
    assert min(moment.step for moment in moments) > resumes_after
    assert not moved(trained.network.state_dict(), resumed.network.state_dict())
    for stage in (".", "head"):
        pd.testing.assert_frame_equal(
            history(tmp_path / stage), history(whole / stage), check_exact=True
        )
