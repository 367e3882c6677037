import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import rc_params_from_file
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from typer.testing import CliRunner

from cxrloc.cli import app
from cxrloc.datasets import read_dataset
from cxrloc.errors import UsageError
from cxrloc.evaluation.classification.prediction_files import write_predictions
from cxrloc.evaluation.resampling import Resampling
from cxrloc.findings import CHESTXRAY8
from cxrloc.panels import plots
from cxrloc.panels.panels import PANELS
from cxrloc.panels.plots import FigureRequest
from cxrloc.pipeline.classify import classify
from cxrloc.pipeline.classify_again import score_again
from cxrloc.pipeline.classify_options import ClassifyOptions
from cxrloc.pipeline.figure import figure
from cxrloc.recipe import read_recipe
from cxrloc.training.fit_config import planned_rates
from cxrloc.types import Predictions


def test_a_recipe_alone_plans_its_cycles() -> None:
    """Rubin et al. 2018, section 6: between 0.001 and 0.02; table 1: 70,875 PA images."""
    fit = read_recipe("rubin2018_pa").fit
    plan = pd.DataFrame(planned_rates([fit], 70_875), columns=["step", "rate"])
    assert len(plan) <= 2001
    assert (plan["step"].iloc[0], plan["step"].iloc[-1]) == (1, 12 * (70_875 // 64))
    assert plan["rate"].min() == pytest.approx(0.001)
    top = plan.loc[plan["rate"].idxmax()]
    assert top["rate"] == pytest.approx(0.02, rel=0.01)
    assert top["step"] == pytest.approx(2214, abs=10)


def test_the_second_stage_of_a_recipe_is_planned_after_the_first(tmp_path: Path) -> None:
    """Pham et al. 2019, section 3.2: conditional training, then the head on all labels."""
    recipe = read_recipe("pham2019_ones_ct")
    assert recipe.head is not None
    request = FigureRequest()
    (out,) = figure("training", [Path("pham2019_ones_ct")], tmp_path / "a.svg", request, False, 960)
    assert out.stat().st_size > 1000
    steps = 5 * (960 // 32)  # epochs x steps
    plan = dict(planned_rates([recipe.fit, recipe.head], 960))
    assert list(plan) == list(range(1, 2 * steps + 1))
    assert plan[steps + 1] == recipe.head.schedule.learning_rate


def test_a_figure_that_is_higher_than_a_page_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    high = PANELS["training"]._replace(draw=lambda results, request: Figure(figsize=(3.5, 10)))
    monkeypatch.setitem(PANELS, "training", high)
    with pytest.raises(UsageError, match="the figure is 254 mm high, and a page 247 mm"):
        figure("training", [Path("phantom")], tmp_path / "a.pdf", FigureRequest())
    assert not list(tmp_path.iterdir())


def test_a_plan_stands_beside_a_run(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/metrics.csv").write_text("step,learning_rate,loss\n1,0.1,0.5\n2,0.1,0.4\n")
    results = [tmp_path / "run", Path("phantom")]
    (out,) = figure("training", results, tmp_path / "plan.svg", FigureRequest())
    assert out.stat().st_size > 1000


def test_epochs_without_a_number_of_images_are_no_plan(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="say --training-images"):
        figure("training", [Path("rubin2018_pa")], tmp_path / "plan.svg", FigureRequest())


def test_another_panel_takes_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        figure("roc", [Path("rubin2018_pa")], tmp_path / "roc.svg", FigureRequest())


def colours_of(tmp_path: Path, *options: str) -> tuple[tuple[int, ...], set[tuple[int, ...]]]:
    """The background, which most pixels have, and all colours of a plot that the command draws."""
    out = tmp_path / "plan.png"
    plot = ("figure", "training", "phantom", "--width", "single", "--out", str(out))
    done = CliRunner().invoke(app, [*plot, *options])
    assert done.exit_code == 0, done.output
    with Image.open(out) as picture:
        counted = picture.convert("RGB").getcolors(picture.width * picture.height)
    return max(counted)[1], {colour for _, colour in counted}


def test_dark_is_the_ink_of_the_dark_style_on_its_background(tmp_path: Path) -> None:
    style = Path(plots.__file__).with_name("dark.mplstyle")
    look = rc_params_from_file(style, use_default_template=False)
    first_curve = look["axes.prop_cycle"].by_key()["color"][0]
    names = (look["figure.facecolor"], look["text.color"], look["axes.edgecolor"], first_curve)
    background, *ink = [tuple(round(255 * part) for part in to_rgb(name)) for name in names]
    assert max(background) < 30 < 200 < min(ink[0])
    black, white = (0, 0, 0), (255, 255, 255)
    most, colours = colours_of(tmp_path, "--dark")
    assert most == background
    assert colours >= set(ink)
    assert not colours & {black, white}
    most, colours = colours_of(tmp_path)
    assert most == white
    assert not colours & {background, ink[-1]}


def test_a_figure_of_one_projection_has_the_scores_of_its_images_alone(
    phantoms: Path, tmp_path: Path
) -> None:
    records = read_dataset(phantoms)
    scores = np.random.default_rng(0).uniform(size=(len(records), 8))
    ids = tuple(record.image_id for record in records)
    write_predictions(Predictions(ids, CHESTXRAY8, scores), tmp_path / "p.csv")
    few = ClassifyOptions((), tmp_path / "p.csv", groups=(), resampling=Resampling(20))
    classify(phantoms, tmp_path / "run", few)
    score_again(tmp_path / "run", "AP", tmp_path / "again")
    classify(phantoms, tmp_path / "ap", replace(few, projection="AP"))
    again, direct = (pd.read_csv(tmp_path / name / "auc.csv") for name in ("again", "ap"))
    pd.testing.assert_frame_equal(again, direct)
    assert len(again) < len(pd.read_csv(tmp_path / "run/auc.csv")) or not again.equals(
        pd.read_csv(tmp_path / "run/auc.csv")
    )
    request = FigureRequest(projection="AP", findings=("pleural effusion",))
    (out,) = figure("roc", [tmp_path / "run"], tmp_path / "roc.svg", request)
    assert "AP images only" in re.sub(r"\s+", " ", out.read_text())
    for panel, projection, said in (
        ("trust", "PA", "--projection is not for trust: it shows means over the maps"),
        ("label-tree", "PA", "is not for label-tree: it shows one image; choose it with --image"),
        ("ages", "sideways", "choose from PA"),
    ):
        wrong = FigureRequest(projection=projection)
        with pytest.raises(UsageError, match=said):
            figure(panel, [tmp_path / "run"], tmp_path / "no.svg", wrong)
    chosen = FigureRequest(findings=("Mass",))
    with pytest.raises(UsageError, match=r"--finding is not for spearman: .* compare --projection"):
        figure("spearman", [tmp_path / "run"], tmp_path / "no.svg", chosen)


def test_published_numbers_stand_beside_synthetic_ones_only_where_asked_twice(
    tmp_path: Path,
) -> None:
    """Patients and phantoms in one figure mislead, so a slip of the hand draws nothing."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text('{"data": {"synthetic": true}}')
    columns = "finding,criterion,threshold,accuracy,accuracy_low,accuracy_high,afp,annotated"
    rows = "mean,iobb,0.5,0.4,0.3,0.5,1,9\nmean,iobb,0.7,0.3,0.2,0.4,1,9"
    (run / "localization.csv").write_text(f"{columns}\n{rows}\n")
    out, table = tmp_path / "a.svg", ("wang2017:7",)
    with pytest.raises(UsageError, match="ask twice"):
        figure("localization", [run], out, FigureRequest(beside=table))
    assert not out.exists()
    twice = FigureRequest(beside=table * 2, names=("mine",))
    (out,) = figure("localization", [run], out, twice)
    drawn = out.read_text()
    assert "synthetic" in drawn
    assert "mine (95 % band)" in drawn
