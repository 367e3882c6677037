import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.panels import row_page
from cxrloc.panels.examples import draw_examples, draw_report_example
from cxrloc.panels.localization_rows import draw_gradcam, draw_localization_rows
from cxrloc.panels.one_image import draw_findings_overlay, draw_ranked_labels
from cxrloc.panels.overlay import Role
from cxrloc.panels.plots import WIDTHS_MM, FigureRequest, figure_style
from cxrloc.panels.report_text import marked_text
from cxrloc.phantom import write_phantoms
from cxrloc.types import Label
from tests.panels.print_checks import check_print, ink, words
from tests.panels.small_results import REPORT, ROWS, SIDE, write_images


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_images(folder)
    return folder


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with figure_style():
        yield


def paths(results: Path, names: str) -> list[Path]:
    return [results / name for name in names.split()]


def pictures(figure: Figure) -> list[Axes]:
    """Axes with a radiograph, which have colours; a scale bar is one row of numbers."""
    return [axes for axes in figure.axes if axes.images and axes.images[0].get_array().ndim == 3]


def outlines(axes: Axes, role: Role) -> list[Rectangle]:
    colour = tuple(value / 255 for value in role.colour)
    return [
        patch
        for patch in axes.patches
        if isinstance(patch, Rectangle) and patch.get_edgecolor()[:3] == pytest.approx(colour)
    ]


@pytest.mark.parametrize("width", WIDTHS_MM)
def test_boxes_stand_on_the_radiograph_by_role_beside_heatmap_and_report(
    results: Path, width: str
) -> None:
    request = FigureRequest(width, ("Mass",))
    figure = draw_localization_rows(paths(results, ROWS), request)
    radiograph, heatmap = pictures(figure)
    assert [len(outlines(radiograph, role)) for role in (Role.EXPERT, Role.CORRECT)] == [1, 1]
    assert len(outlines(radiograph, Role.FALSE_POSITIVE)) == 30
    assert len(outlines(heatmap, Role.EXPERT)) == 1
    assert {"Report", "Keywords", "Mass", "present", "denied"} <= set(words(figure).splitlines())
    check_print(figure, WIDTHS_MM[width])
    assert ink(figure) > 0.1


def test_a_radiograph_stays_grey_and_its_heatmap_has_colours(results: Path) -> None:
    figure = draw_localization_rows(paths(results, ROWS), FigureRequest(findings=("Mass",)))
    radiograph, heatmap = (axes.images[0].get_array() for axes in pictures(figure))
    assert (radiograph == 128).all()
    assert (heatmap[..., 0] != heatmap[..., 2]).any()


def test_without_maps_and_reports_only_the_radiographs_are_drawn(results: Path) -> None:
    figure = draw_localization_rows(paths(results, "run boxes.csv images"), FigureRequest())
    assert len(pictures(figure)) == 2
    assert "Report" not in words(figure)
    tall = pictures(figure)[1].get_position()
    height = tall.height * figure.get_figheight() / (tall.width * figure.get_figwidth())
    assert height == pytest.approx(2.0)


def test_a_run_that_saved_its_maps_needs_nothing_beside_it(results: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(results / "run", run)
    shutil.copytree(results / "maps", run / "maps")
    card = json.loads((run / "run.json").read_text())
    with pytest.raises(CxrlocError, match="not the run card"):
        draw_localization_rows([run], FigureRequest())
    data = {"name": "embedded phantoms", "path": None}
    (run / "run.json").write_text(json.dumps({**card, "data": data}))
    with pytest.raises(CxrlocError, match="scored on embedded phantoms, which is not here"):
        draw_localization_rows([run], FigureRequest())
    data = {"name": "boxes", "path": str(results / "boxes.csv")}
    (run / "run.json").write_text(json.dumps({**card, "data": data}))
    assert len(pictures(draw_localization_rows([run], FigureRequest()))) == 4


@pytest.mark.parametrize(
    ("width", "count", "columns"),
    # A row is 49 mm high in one column of single width, and 96 mm in one of double width.
    [("single", 4, 1), ("single", 5, 2), ("double", 2, 1), ("double", 3, 2)],
)
def test_rows_stand_in_as_many_columns_as_let_them_fit_on_a_page(
    results: Path, width: str, count: int, columns: int
) -> None:
    rows = FigureRequest(width, images=("a",) * count)
    figure = draw_localization_rows(paths(results, "run boxes.csv images maps"), rows)
    lefts = {round(axes.get_position().x0, 3) for axes in pictures(figure)[::2]}
    assert len(lefts) == columns
    check_print(figure, WIDTHS_MM[width])


def test_rows_that_do_not_fit_on_a_page_are_left_out_and_counted(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_page, "PAGE_MM", 100.0)
    figure = draw_localization_rows(
        paths(results, "run boxes.csv images maps"), FigureRequest(images=("a",) * 24)
    )
    shown = len(pictures(figure)) // 2
    assert 0 < shown < 24
    assert f"first {shown} of 24 rows" in words(figure)
    check_print(figure, WIDTHS_MM["double"])


def test_a_row_that_is_higher_than_a_page_is_refused(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_page, "PAGE_MM", 30.0)
    with pytest.raises(UsageError, match=r"no room for the first row.*--width double"):
        draw_localization_rows(paths(results, ROWS), FigureRequest("single"))


def test_boxes_in_a_file_of_their_own_are_asked_for(results: Path) -> None:
    with pytest.raises(CxrlocError, match="file of their own, name it and the images"):
        draw_localization_rows(paths(results, "run images"), FigureRequest())


def test_results_of_heatmap_hold_maps_though_they_also_have_boxes(
    results: Path, tmp_path: Path
) -> None:
    maps = shutil.copytree(results / "maps", tmp_path / "maps")
    shutil.copy(results / "run/detections.csv", maps)
    figure = draw_findings_overlay([results / "images", maps], FigureRequest())
    assert "Mass" in words(figure)


def test_an_arrow_points_to_its_place_and_the_map_lies_beside(results: Path) -> None:
    request = FigureRequest(findings=("Mass",))
    figure = draw_gradcam(paths(results, "boxes.csv images maps arrows.csv"), request)
    assert len(pictures(figure)) == 4
    (arrow,) = pictures(figure)[2].texts
    assert arrow.xy == (10.0, 30.0)
    check_print(figure, WIDTHS_MM["double"])


@pytest.mark.parametrize("width", WIDTHS_MM)
def test_a_small_box_becomes_an_arrow_and_a_missing_finding_says_so(
    results: Path, width: str
) -> None:
    figure = draw_examples(paths(results, "boxes.csv images"), FigureRequest(width))
    mass, nodule = pictures(figure)
    assert (len(outlines(mass, Role.EXPERT)), len(mass.texts)) == (1, 0)
    assert (len(outlines(nodule, Role.EXPERT)), len(nodule.texts)) == (0, 1)
    check_print(figure, WIDTHS_MM[width])
    with pytest.raises(UsageError, match="--finding Hernia: the results have Mass, Nodule"):
        draw_examples(paths(results, "boxes.csv images"), FigureRequest(findings=("Hernia",)))


@pytest.mark.parametrize("count", [1, 24])
def test_one_image_and_24_of_them_fit(results: Path, count: int) -> None:
    request = FigureRequest(images=("a", "b") * (count // 2) or ("a",))
    figure = draw_examples(paths(results, "boxes.csv images"), request)
    assert len(pictures(figure)) == count
    check_print(figure, WIDTHS_MM["double"])


@pytest.mark.parametrize("width", WIDTHS_MM)
def test_a_report_stands_beside_its_image(results: Path, width: str) -> None:
    figure = draw_report_example(
        paths(results, "boxes.csv images reports.csv said.csv"), FigureRequest(width)
    )
    assert len(pictures(figure)) == 1
    assert "Labels\nMass" in words(figure)
    check_print(figure, WIDTHS_MM[width])


def test_keywords_are_found_where_they_stand_in_the_report(results: Path) -> None:
    marked = marked_text(REPORT, pd.read_csv(results / "said.csv"))
    found = [(marked.text[start:end], label) for start, end, label in marked.keywords]
    assert found == [("mass", Label.POSITIVE), ("nodule", Label.NEGATIVE)]


@pytest.mark.parametrize("width", WIDTHS_MM)
def test_outlines_lie_where_the_map_is_high(results: Path, width: str) -> None:
    request = FigureRequest(width, ("Mass",), images=("a",))
    figure = draw_findings_overlay(paths(results, "images maps"), request)
    (outline,) = pictures(figure)[0].lines
    assert outline.get_xdata().mean() == pytest.approx(1.5 * SIDE / 5, abs=1)
    assert "Mass  0.90" in words(figure)
    check_print(figure, WIDTHS_MM[width])


@pytest.mark.parametrize("width", WIDTHS_MM)
def test_ranked_labels_give_the_precision_of_the_image(results: Path, width: str) -> None:
    request = FigureRequest(width, images=("a",))
    figure = draw_ranked_labels(paths(results, "scores boxes.csv images"), request)
    assert "AP of this image: 1.000" in words(figure)
    check_print(figure, WIDTHS_MM[width])


def test_phantoms_on_disk_give_a_picture_per_finding(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "chests", n=3, seed=31, size=64)
    assert pictures(draw_examples([tmp_path / "chests"], FigureRequest()))


def test_what_is_not_there_is_named(results: Path) -> None:
    with pytest.raises(UsageError, match="no radiograph among the results"):
        draw_examples([results / "maps"], FigureRequest())
    with pytest.raises(CxrlocError, match="no maps of this image"):
        draw_findings_overlay([results / "images"], FigureRequest())
    with pytest.raises(
        CxrlocError, match="localization-rows needs the output folder of `cxrloc bench`"
    ):
        draw_localization_rows(paths(results, "boxes.csv images"), FigureRequest())
    with pytest.raises(UsageError, match="--image x: the data have no image of this name"):
        draw_examples(paths(results, "boxes.csv images"), FigureRequest(images=("x",)))
