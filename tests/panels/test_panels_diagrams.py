import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.patches import FancyBboxPatch, PathPatch

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard
from cxrloc.models.localizer import LocalizerConfig
from cxrloc.models.model import Model
from cxrloc.models.networks import build_network
from cxrloc.models.weights import write_model
from cxrloc.panels.dependency_graph import draw_dependency
from cxrloc.panels.label_tree import draw_label_tree
from cxrloc.panels.network_chart import draw_network
from cxrloc.panels.network_shapes import network_flow
from cxrloc.panels.plots import WIDTHS_MM, FigureRequest, figure_style
from tests.panels.print_checks import check_print, words
from tests.panels.small_results import CLEAR

FINDINGS = ("Mass", "Nodule")


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with figure_style():
        yield


def model(architecture: str, decoder: str = "") -> Model:
    stride = 8 if decoder else 32
    config = LocalizerConfig(
        "small_resnet", FINDINGS, 1, stride, decoder=decoder, architecture=architecture
    )
    card = ModelCard(architecture, "nothing", FINDINGS)
    return Model(build_network(config), config, Preprocessing(64), card)


def test_shapes_are_those_of_the_network() -> None:
    flow = network_flow(model("localizer"))
    stages = flow.trunks["image"]
    assert [stage.shape for stage in stages] == [
        (1, 64, 64),
        (16, 32, 32),
        (16, 16, 16),
        (48, 8, 8),
        (96, 4, 4),
        (192, 2, 2),
        (192, 2, 2),
    ]
    assert stages[2].layers == ("max pool", "2 x BasicBlock")
    assert flow.heatmap == (2, 2, 2)


def test_a_decoder_follows_the_stages_of_the_backbone() -> None:
    flow = network_flow(model("localizer", "pylon"))
    stages = flow.trunks["image"]
    assert [stage.shape for stage in stages[:-1]] == [
        *((1, 64, 64), (16, 32, 32), (16, 16, 16), (48, 8, 8), (96, 4, 4), (192, 2, 2))
    ]
    assert stages[2].layers == ("max pool", "2 x BasicBlock")
    assert (stages[-1].name, stages[-1].shape) == ("Decoder", (128, 8, 8))
    assert flow.heatmap == (2, 8, 8)


def test_two_views_are_concatenated_and_values_stand_beside_the_image() -> None:
    dual, meta = network_flow(model("dualnet")), network_flow(model("meta"))
    assert list(dual.trunks) == ["frontal image", "lateral image"]
    assert dual.head[0].shape == (384,)
    assert meta.beside == ("age", "sex", "view")
    assert meta.head[1].layers == ("linear, 195 to 2",)


@pytest.mark.parametrize("width", WIDTHS_MM)
@pytest.mark.parametrize("architecture", ["localizer", "dualnet", "meta"])
def test_a_chart_has_a_box_per_step(tmp_path: Path, architecture: str, width: str) -> None:
    made, path = model(architecture), tmp_path / "model.safetensors"
    write_model(path, made.network, made.preprocessing, made.card)
    figure = draw_network([path], FigureRequest(width))
    boxes = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]
    steps = {"localizer": 7 + 3 + 1, "dualnet": 2 * 7 + 3 + 1, "meta": 7 + 3 + 2}
    assert len(boxes) == steps[architecture]
    assert "96 x 4 x 4" in words(figure)
    check_print(figure, WIDTHS_MM[width])


@pytest.mark.parametrize("width", WIDTHS_MM)
def test_the_path_of_the_rule_that_fired_is_thick(tmp_path: Path, width: str) -> None:
    path = tmp_path / "sentences.json"
    path.write_text(json.dumps([CLEAR]))
    figure = draw_dependency([path], FigureRequest(width))
    arcs = [patch for patch in figure.axes[0].patches if isinstance(patch, PathPatch)]
    assert sorted(arc.get_linewidth() for arc in arcs) == [0.6, 1.5, 1.5]
    assert "negated, by clear/" in words(figure).replace("\n", " ")
    check_print(figure, WIDTHS_MM[width])


def test_a_sentence_that_cannot_be_drawn_says_why(tmp_path: Path) -> None:
    path = tmp_path / "sentences.json"
    path.write_text(json.dumps([{**CLEAR, "edges": [[0, "prep_of", 9]]}]))
    with pytest.raises(CxrlocError, match="that the sentence does not have"):
        draw_dependency([path], FigureRequest())
    path.write_text(json.dumps([{**CLEAR, "words": [f"very{'y' * 30}long"] * 5}]))
    with pytest.raises(CxrlocError, match="choose --width double, or a shorter sentence"):
        draw_dependency([path], FigureRequest("single"))


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    values = {
        "image": ["a"],
        "Lung Opacity": [0.8],
        "Consolidation": [0.4],
        "Pneumonia": [0.1],
        "Enlarged Cardiomediastinum": [0.3],
        "No Finding": [0.05],
    }
    pd.DataFrame(values).to_csv(tmp_path / "probabilities.csv", index=False)
    return tmp_path


@pytest.mark.parametrize("width", WIDTHS_MM)
def test_a_tree_shows_what_a_child_is_given_its_parent(scores: Path, width: str) -> None:
    assert "| parent" not in words(draw_label_tree([scores], FigureRequest(width)))
    (scores / "run.json").write_text(json.dumps({"products_along_tree": True}))
    figure = draw_label_tree([scores], FigureRequest(width))
    assert {"0.50", "0.25"} <= set(words(figure).splitlines())
    assert len(figure.axes[0].lines) == 2
    check_print(figure, WIDTHS_MM[width])


def test_findings_without_a_parent_among_them_are_no_tree(scores: Path) -> None:
    with pytest.raises(UsageError, match="no tree to draw"):
        draw_label_tree([scores], FigureRequest(findings=("Pneumonia", "No Finding")))


def test_an_unknown_image_is_named(scores: Path) -> None:
    with pytest.raises(UsageError, match="--image z"):
        draw_label_tree([scores], FigureRequest(images=("z",)))
