import pytest

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.findings import standard_finding
from cxrloc.models.localizer import LocalizerConfig
from cxrloc.recipe import (
    Choices,
    chosen_recipe,
    read_recipe,
    recipe_of_text,
)
from cxrloc.recipe_names import RECIPES

WHOLE = """
title = "A recipe"
[data]
reader = "chestxray14"
[preprocessing]
size = 224
[network]
backbone = "resnet18"
findings = ["Mass"]
[fit]
batch_size = 32
steps = 5
[fit.schedule]
learning_rate = 2e-3
"""
HEAD = "[head]\nsteps = 1\nbatch_size = 4\nbackbone_rate = 0\n[head.schedule]\nlearning_rate = 1"


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_of_the_package_is_understood(name):
    recipe = read_recipe(name)
    assert recipe.title
    assert isinstance(recipe.network, LocalizerConfig)
    # Baltruschat et al. 2019 resample five times; nobody else has folds.
    assert recipe.data.split.folds == (5 if recipe.data.split.kind == "resamplings" else 0)
    # Labels of reports are spelled so: another spelling would find none of them.
    assert [standard_finding(name) for name in recipe.network.findings] == [
        *recipe.network.findings
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("learning_rate", "learning_rat", r"schedule: unknown key .* \(did you mean learning_rate"),
        ("title =", "steps = 4\ntitle =", r"'steps' \(it belongs in the table 'fit'\); known are"),
        ("size = 224", "", "preprocessing: the key 'size' is missing"),
        ("size = 224", 'size = "224"', "size: expected int, got '224'"),
        ("size = 224", "size = true", "size: expected int, got True"),
        ("batch_size = 32", "batch_size", "not TOML"),
        ("batch_size = 32", "batch_size = 0", "fit: batch_size = 0: it must be 1 or more"),
        ('"chestxray14"', '"chestxray15"', "reader 'chestxray15' is unknown: choose one of chest"),
        ('"chestxray14"', '"phantom"', r"'phantom' and the table \[data.phantom\] go together"),
        ("steps = 5", 'steps = 5\nsampling = "odd"', "sampling 'odd': choose one of shuffled"),
        ("size = 224", "size = 224\nmean = [0.1, 0.2]\nstd = [1, 1]", "2 means .* 1 input_chann"),
        ("learning_rate = 2e-3", f"learning_rate = 1\n{HEAD}", "trains the prediction layer alone"),
        ('"resnet18"', '"resnet19"', "backbone 'resnet19' is unknown"),
    ],
)
def test_a_mistake_in_a_recipe_is_named_with_its_place(tmp_path, old, new, message):
    path = tmp_path / "mine.toml"
    path.write_text(WHOLE.replace(old, new, 1))
    with pytest.raises(CxrlocError, match=message) as raised:
        read_recipe(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("name", "answer"), [("phantoms", "phantom"), ("chexnet", "`cxrloc recipes` lists them")]
)
def test_an_unknown_recipe_is_answered_with_those_alike_or_where_they_are_listed(name, answer):
    with pytest.raises(CxrlocError, match=answer):
        read_recipe(name)


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ("[]", "has no findings: name at least one"),
        ('["Mass", "Mass"]', "name Mass twice"),
        ('["Effusion", "Pleural Effusion"]', "name Effusion twice"),
    ],
)
def test_each_output_of_a_network_is_another_finding(tmp_path, findings, expected):
    path = tmp_path / "mine.toml"
    path.write_text(f'extends = "phantom"\n[network]\nfindings = {findings}\n')
    with pytest.raises(CxrlocError, match=expected):
        read_recipe(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"a = " + b"[" * 900 + b"]" * 900, "not TOML: nested", id="nested"),
        pytest.param(b"a = " + b"9" * 5000, "not TOML", id="a number of 5,000 digits"),
        pytest.param(b"extends = 'a\\u0000b'", "TOML|neither", id="NUL in a name"),
        pytest.param(b'extends = "a\\u0000b"', "neither a readable TOML file", id="NUL, escaped"),
        pytest.param("title = 'ü'".encode("cp1252"), "TOML|UTF-8", id="another encoding"),
        pytest.param(b"[fit]\nsteps = inf", "not TOML: inf is not a finite number", id="infinite"),
    ],
)
def test_a_file_that_is_no_recipe_is_one_line(tmp_path, content, expected):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(CxrlocError, match=expected) as caught:
        read_recipe(path)
    assert "\n" not in str(caught.value)


def test_images_per_pass_leave_the_images_of_a_step_as_they_are():
    text, recipe = chosen_recipe("wang2017_resnet50_lse", Choices(images_per_pass=5, processes=8))
    assert (recipe.fit.batch_size, recipe.fit.accumulation) == (80, 2)
    assert recipe_of_text(text, "card") == recipe
    with pytest.raises(UsageError, match=r"--batch-size 3: 1 processes .* batch of 80 evenly"):
        chosen_recipe("wang2017_resnet50_lse", Choices(images_per_pass=3))


def test_a_precision_is_that_of_both_stages():
    _, recipe = chosen_recipe("pham2019_ones_ct", Choices(precision="bf16"))
    assert (recipe.fit.precision, recipe.head.precision) == ("bf16", "bf16")
    with pytest.raises(CxrlocError, match="precision 'half' is unknown"):
        chosen_recipe("pham2019_ones_ct", Choices(precision="half"))


def test_a_fold_is_one_that_the_recipe_has_and_travels_with_the_text():
    text, recipe = chosen_recipe("baltruschat2019_ft", Choices(fold=3))
    assert recipe.data.split.fold == recipe_of_text(text, "card").data.split.fold == 3
    with pytest.raises(UsageError, match="--fold 5: baltruschat2019_ft has folds 0 to 4"):
        chosen_recipe("baltruschat2019_ft", Choices(fold=5))
    with pytest.raises(UsageError, match="--fold 0: the recipe phantom has no folds"):
        chosen_recipe("phantom", Choices(fold=0))


def test_first_weights_travel_by_their_names_alone():
    text, recipe = chosen_recipe("rubin2018_dualnet_pa", Choices(start="/a/pa.pt + /b/lateral.pt"))
    assert recipe.start == "/a/pa.pt + /b/lateral.pt"
    assert recipe_of_text(text, "card").start == "pa.pt + lateral.pt"
