"""What the recipes in the cards of models say about the truth to score them by."""

import pytest
from torch import nn

from cxrloc.evaluation.classification.truth import NoFinding, Uncertain
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard
from cxrloc.models.model import Model
from cxrloc.recipe import recipe_text
from cxrloc.recipe_names import RECIPES
from cxrloc.recipe_of_model import truth_rules


def model_of(recipe: str, name: str = "a") -> Model:
    text = recipe_text(RECIPES[recipe]) if recipe else ""
    card = ModelCard(name, "", ("Mass",), recipe=text)
    return Model(nn.Identity(), None, Preprocessing(64), card)


@pytest.mark.parametrize(
    ("recipes", "chosen", "rules"),
    [
        (["rubin2018_ap"], (None, None), ("negative", "outputs")),
        (["rubin2018_ap"], ("unknown", None), ("unknown", "outputs")),
        (["rubin2018_ap", "rubin2018_pa"], (None, None), ("negative", "outputs")),
        (["rubin2018_ap", "pham2019_ones"], (None, None), ("unknown", "labels")),
        (["rubin2018_ap", ""], (None, None), ("unknown", "labels")),
        ([], (None, "outputs"), ("unknown", "outputs")),
    ],
)
def test_labels_become_truth_as_the_user_says_or_else_as_the_models_recipe_does(
    recipes: list[str], chosen: tuple[Uncertain | None, NoFinding | None], rules: tuple[str, str]
) -> None:
    found = truth_rules([model_of(recipe) for recipe in recipes], *chosen)
    assert (found.uncertain, found.no_finding) == rules
