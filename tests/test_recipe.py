import pytest

from cxrloc.models.localizer import LocalizerConfig
from cxrloc.recipe import RECIPES, read_recipe, recipe_text
from cxrloc.types import CxrlocError


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_of_the_package_is_understood(name):
    recipe = read_recipe(name)
    assert recipe.title
    assert isinstance(recipe.network, LocalizerConfig)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("learning_rate", "learning_rat", r"fit: unknown key 'learning_rat'; known are steps,"),
        ("size = 224", "", "preprocessing: the key 'size' is missing"),
        ("size = 224", 'size = "224"', "size: expected int, got '224'"),
        ("size = 224", "size = true", "size: expected int, got True"),
        ("batch_size = 32", "batch_size", "not TOML"),
        ('"mobilenet_v2"', '"mobilenet_v9"', "backbone 'mobilenet_v9' is unknown"),
    ],
)
def test_a_mistake_in_a_recipe_is_named_with_its_place(tmp_path, old, new, message):
    path = tmp_path / "mine.toml"
    path.write_text(recipe_text("phantom").replace(old, new, 1))
    with pytest.raises(CxrlocError, match=message) as raised:
        read_recipe(path)
    assert str(path) in str(raised.value)


def test_an_unknown_recipe_is_answered_with_those_that_exist():
    with pytest.raises(CxrlocError, match="phantom"):
        read_recipe("wang1999")
