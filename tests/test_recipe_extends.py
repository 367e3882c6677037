import re
import tomllib

import pytest

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.recipe import read_recipe, recipe_text


def written(path, text):
    path.write_text(text)
    return path


def test_a_recipe_that_extends_another_holds_only_what_differs(tmp_path):
    mine = written(
        tmp_path / "mine.toml",
        'extends = "phantom"\ntitle = "Mine"\n[network]\npooling = "max"\n'
        '[fit.schedule]\nname = "constant"\n',
    )
    recipe, base = read_recipe(mine), read_recipe("phantom")
    assert (recipe.title, recipe.network.pooling) == ("Mine", "max")
    assert recipe.network.backbone == base.network.backbone
    assert recipe.fit.schedule.name == "constant"
    assert recipe.fit.schedule.learning_rate == base.fit.schedule.learning_rate


def test_a_chain_is_found_from_each_file_and_the_nearest_value_wins(tmp_path):
    (tmp_path / "below").mkdir()
    written(tmp_path / "below/b.toml", 'extends = "phantom"\ntitle = "B"\nstart = "b.pt"\n')
    written(tmp_path / "below/c.toml", 'extends = "b.toml"\ntitle = "C"\n')
    recipe = read_recipe(written(tmp_path / "d.toml", 'extends = "below/c.toml"\n'))
    assert (recipe.title, recipe.start) == ("C", "b.pt")


def test_the_text_that_travels_with_the_weights_is_whole_by_itself(tmp_path):
    mine = written(
        tmp_path / "mine.toml", '# Open: why.\nextends = "phantom"\ntitle = "Größe \\"1\\""\n'
    )
    text = recipe_text(mine)
    copy = written(tmp_path / "copy.toml", text)
    assert "extends" not in tomllib.loads(text)
    assert read_recipe(copy) == read_recipe(mine)
    assert "# Open: why." in text


def test_what_a_recipe_departs_from_or_leaves_open_is_passed_on_and_other_comments_are_not(
    tmp_path,
):
    written(
        tmp_path / "below.toml",
        "# Of this recipe alone:\n#   nothing else.\n# Departs: one thing,\n#   and why.\n"
        '# The rest.\nextends = "phantom"\n# Open: another.\n[fit]\nsteps = 8  # few\n',
    )
    mine = written(tmp_path / "mine.toml", '# Mine.\nextends = "below.toml"\n# Open: mine.\n')
    comments = [line for line in recipe_text(mine).splitlines() if "#" in line]
    assert comments == [
        "# Departs: one thing,",
        "#   and why.",
        "# Open: another.",
        "# Mine.",
        "# Open: mine.",
    ]


@pytest.mark.parametrize(
    ("name", "false", "true"),
    [
        ("wang2017_resnet50_14", r"The published split", r"recipes of its eight findings take"),
        ("baltruschat2019_official_resnet38", r"--fold", r"the published train_val list"),
        ("baltruschat2019_large", r"224 x 224 as a whole|batch size of the", r"8 is said for 448"),
        ("phantom_few", r"embedded model|make it again", r"Half a minute"),
        ("dong2017_normal_vgg16", r"of this task", r"iterations and batch size of task 2"),
    ],
)
def test_no_comment_of_a_recipe_below_is_false_for_the_one_above(name, false, true):
    comments = "\n".join(line for line in recipe_text(name).splitlines() if line.startswith("#"))
    assert not re.search(false, comments)
    assert re.search(true, comments)


def test_another_reader_leaves_the_phantoms_of_the_recipe_below(tmp_path):
    text = 'extends = "phantom_few"\n[data]\nreader = "chestxray14"\n'
    mine = written(tmp_path / "mine.toml", text)
    data = read_recipe(mine).data
    assert (data.reader, data.phantom) == ("chestxray14", None)
    assert read_recipe(written(tmp_path / "copy.toml", recipe_text(mine))) == read_recipe(mine)
    with pytest.raises(CxrlocError, match=r"'phantom' and the table \[data\.phantom\] go together"):
        read_recipe(
            written(
                mine,
                f"{text}[data.phantom]\nseed = 1\ntraining_images = 8\nvalidation_images = 8\n",
            )
        )


def test_a_recipe_that_extends_none_keeps_its_text_to_the_letter():
    assert "# half the time on a processor" in recipe_text("phantom").replace("  # ", "# ")


def test_what_cannot_be_extended_is_said(tmp_path):
    a = written(tmp_path / "a.toml", 'extends = "b.toml"\n')
    written(tmp_path / "b.toml", 'extends = "a.toml"\n')
    with pytest.raises(CxrlocError, match=r"a\.toml: extends itself"):
        read_recipe(a)
    with pytest.raises(UsageError, match=r"c\.toml: extends .*none\.toml: neither a readable"):
        read_recipe(written(tmp_path / "c.toml", 'extends = "none.toml"\n'))
