"""The page in a real browser: it computes the same numbers as Python, and can be used."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrloc.evaluation.classification.operating_points import (
    choose_operating_point,
    choose_operating_points,
    confusion,
)
from cxrloc.evaluation.classification.report import classify_units
from cxrloc.evaluation.classification.roc_bands import roc_bands_frame
from cxrloc.evaluation.classification.units import score_units
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.overlap import iobb, iou
from cxrloc.evaluation.localization.tables import grid
from cxrloc.evaluation.measurement import Measurement
from cxrloc.evaluation.resampling import Resampling
from cxrloc.localization.boxes import detections_from_heatmaps
from cxrloc.localization.regions import find_regions
from cxrloc.report_page.classification import ClassificationRun, classification_data
from cxrloc.report_page.localization import LocalizationRun, localization_data
from cxrloc.report_page.page import bundle, write_page
from cxrloc.report_page.pictures import picture_uri
from cxrloc.types import Affine, Heatmaps, Label, Predictions, Record
from tests.panels.browser import open_browser
from tests.report_page.report_pages import (
    FINDINGS,
    RULES,
    intervals_by_python,
    maps_of_every_kind,
    scored_by_python,
    small_run,
)

LEVELS = (0.0, 60.0, 63.75, 127.5, 180.0)
COLUMNS = {"iou": (3, 4, 5), "iobb": (6, 7, 8)}
"""Of the summary: accuracy, false positives, AFP."""

AROUND = {
    "lead": "",
    "outside": {},
    "warnings": ["one"],
    "card": [["Divisor", 7]],
    "run": {"versions": {}},
}
HOSTILE = "chest-<b onclick=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from open_browser()


@pytest.fixture(scope="module")
def run() -> LocalizationRun:
    return small_run()


@pytest.fixture(scope="module")
def log() -> list[str]:
    """Console messages, errors and requests, as they come."""
    return []


@pytest.fixture(scope="module")
def file(run: LocalizationRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    grey = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    pictures = {record.image_id: picture_uri(grey, 64) for record in run.records[1:]}
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page("Localization on tests", localization_data(run, pictures) | AROUND, path)
    return path


@pytest.fixture(scope="module")
def opened(browser: Any, file: Path, log: list[str]) -> Any:
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    page.set_default_timeout(15_000)
    page.on("console", lambda message: log.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: log.append(f"error: {error}"))
    page.on("request", lambda request: log.append(f"request: {request.url[:80]}"))
    page.goto(file.as_uri())
    page.wait_for_selector("#gallery .card")
    return page


@pytest.fixture
def page(opened: Any) -> Any:
    """The page as it is first seen."""
    if opened.locator("dialog[open]").count():
        opened.keyboard.press("Escape")
    opened.click("text=Reset thresholds")
    judged_by, *others = opened.locator("#filters select").all()
    judged_by.select_option("iobb")
    for select in others:
        select.select_option("")
    settle(opened)
    return opened


def settle(page: Any) -> None:
    page.evaluate("() => new Promise((f) => requestAnimationFrame(() => requestAnimationFrame(f)))")


def slide(page: Any, name: str, value: float) -> None:
    page.locator(f"#controls input[name={name}]").fill(f"{value:g}")
    settle(page)


def summary(page: Any) -> dict[str, list[float | None]]:
    """Numbers of every row of the table, to the last bit."""
    rows = page.eval_on_selector_all(
        "#summary tbody tr",
        "rows => rows.map(r => [r.cells[0].textContent, [...r.cells].map(c => c.dataset.value)])",
    )
    return {head: [None if v is None else float(v) for v in values] for head, values in rows}


def assert_equal(page: Any, python: list[Measurement], t: dict[str, float]) -> None:
    shown = summary(page)
    of = {(row.metric, row.match, row.finding): row for row in python}
    for criterion, (accuracy, false_positives, afp) in COLUMNS.items():
        match = f"{criterion} > {t[criterion]:g}"
        for name in (*FINDINGS, "mean"):
            cells = shown["mean of findings" if name == "mean" else name]
            own, false = of["accuracy", match, name], of["afp", match, name]
            assert cells[accuracy] == pytest.approx(own.value, abs=1e-12)
            assert cells[afp] == pytest.approx(false.value, abs=1e-12)
            if name == "mean":
                parts = [of["afp", match, finding].numerator for finding in FINDINGS]
                assert cells[false_positives] == sum(parts)
            else:
                assert cells[false_positives] == false.numerator
                assert round(cells[accuracy] * own.divisor) == own.numerator


def test_loads_without_errors_and_no_request_leaves(page: Any, file: Path, log: list[str]) -> None:
    foreign = [line for line in log if not line.startswith("request: data:image/webp")]
    assert foreign == [f"request: {file.as_uri()[:80]}"]
    assert page.inner_text("h1") == "Localization on tests"


def test_python_and_the_page_agree_on_every_count_of_the_run(page: Any) -> None:
    cells = 2 * len(RULES) * (len(FINDINGS) + 1)
    assert page.inner_text("#check").startswith(f"✓ {cells} of {cells} counts")


def test_the_box_rule_gives_the_same_boxes_to_the_last_bit(browser: Any) -> None:
    maps = maps_of_every_kind()
    page = browser.new_page()
    page.add_script_tag(content=bundle("regions"))
    found = page.evaluate(
        """([maps, levels]) => maps.map(({ values, rows, columns }) => levels.map((level) => {
            const scaled = regions.scaleMap(values);
            return scaled ? regions.findRegions(scaled, rows, columns, level) : [];
        }))""",
        [
            [
                {"values": m.ravel().tolist(), "rows": m.shape[0], "columns": m.shape[1]}
                for _, m in maps
            ],
            LEVELS,
        ],
    )
    page.close()
    regions = 0
    for (kind, scores), levels in zip(maps, found, strict=True):
        for level, own in zip(LEVELS, levels, strict=True):
            python = find_regions(scores[None], [level])
            assert [each["box"] for each in own] == python.boxes.tolist(), (kind, level)
            assert [each["peak"] for each in own] == python.peak.tolist(), (kind, level)
            regions += len(own)
    assert regions > 1000


def test_boxes_reach_the_image_through_any_affine_map_alike(browser: Any) -> None:
    generator = np.random.default_rng(2)
    scores = generator.standard_normal((1, 6, 5))
    affines = [Affine(*generator.normal(0, 12, 6)) for _ in range(30)] + [
        Affine(20, 0, -7, 0, 15, 3)
    ]
    heatmaps = [Heatmaps(str(i), ("Mass",), scores, a, 90, 100) for i, a in enumerate(affines)]
    python = [d for h in heatmaps for d in detections_from_heatmaps(h, [0.3], [60.0, 180.0])]
    page = browser.new_page()
    page.add_script_tag(content=bundle("scoring"))
    found = page.evaluate(
        """([values, affines]) => affines.map((toImage) => scoring.boxesOf({
            map: { values, rows: 6, columns: 5, toImage }, image: { rows: 90, columns: 100 },
            probability: 0.3 }, [60, 180]))""",
        [scores.ravel().tolist(), [[a.xx, a.xy, a.x0, a.yx, a.yy, a.y0] for a in affines]],
    )
    page.close()
    boxes = [(str(i), [*each["box"], each["score"]]) for i, own in enumerate(found) for each in own]
    assert boxes == [
        (d.image_id, [d.box.x_min, d.box.y_min, d.box.x_max, d.box.y_max, d.score]) for d in python
    ]


def test_overlaps_are_the_same_to_the_last_bit(browser: Any) -> None:
    corners = np.random.default_rng(4).uniform(0, 50, (40, 4))
    boxes = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1)
    page = browser.new_page()
    page.add_script_tag(content=bundle("scoring"))
    found = page.evaluate(
        "(boxes) => ['iou', 'iobb'].map((name) => boxes.map((one) => boxes.map((other) => "
        "scoring.OVERLAPS[name](one, other))))",
        boxes.tolist(),
    )
    page.close()
    assert found == [overlap(boxes[:, None], boxes).tolist() for overlap in (iou, iobb)]


@pytest.mark.parametrize(
    ("thresholds", "t"),
    [((60, 180), {"iou": 0.3, "iobb": 0.5}), ((31, 212), {"iou": 0.07, "iobb": 0.29})],
)
def test_a_slider_changes_the_numbers_to_what_python_gives(
    page: Any, run: LocalizationRun, thresholds: tuple[int, ...], t: dict[str, float]
) -> None:
    before = summary(page)
    for index, threshold in enumerate(thresholds):
        slide(page, f"threshold-{index}", threshold)
    for criterion, value in t.items():
        slide(page, criterion, value)
    rules = tuple(MatchRule(criterion, value) for criterion, value in t.items())
    python = scored_by_python(run, tuple(map(float, thresholds)), rules)
    assert_equal(page, python, t)
    assert (summary(page) != before) == (thresholds != (60, 180))


def test_every_step_of_a_slider_counts_as_python_does(page: Any, run: LocalizationRun) -> None:
    for threshold, value in product((120, 254), (0.0, 0.58, 0.99)):
        slide(page, "threshold-0", threshold)
        slide(page, "iobb", value)
        rules = (MatchRule("iou", 0.3), MatchRule("iobb", value))
        python = scored_by_python(run, (float(threshold), 180.0), rules)
        assert_equal(page, python, {"iou": 0.3, "iobb": value})


def test_intervals_are_those_of_the_run_at_any_threshold(page: Any, run: LocalizationRun) -> None:
    slide(page, "threshold-0", 90)
    slide(page, "iobb", 0.4)
    report = intervals_by_python(run, (90.0, 180.0), MatchRule("iobb", 0.4))
    said = page.eval_on_selector_all(
        "#summary tbody tr",
        "rows => rows.map(r => r.cells[6].querySelector('.interval')?.textContent)",
    )
    for column in range(len(FINDINGS) + 1):
        low, high = map(float, said[column].split("\N{EN DASH}"))
        ends = (grid(report, "accuracy", end)[0, column] for end in ("low", "high"))
        assert (low, high) == pytest.approx([*ends], abs=0.00501)


def test_controls_stand_below_the_findings_and_only_at_the_thresholds_of_the_run(page: Any) -> None:
    rows = list(summary(page))
    assert rows[len(FINDINGS)] == "mean of findings"
    assert "control: permuted" in rows
    assert summary(page)["control: permuted"][6] is not None
    slide(page, "iobb", 0.51)
    assert summary(page)["control: permuted"][6] is None


def test_sorting_sorts_up_and_down_and_leaves_the_foot(page: Any) -> None:
    button = page.locator("#summary thead button", has_text="Accuracy").nth(1)
    button.click()
    values = [cells[6] for cells in summary(page).values()]
    assert values[: len(FINDINGS)] == sorted(values[: len(FINDINGS)])
    assert page.locator("#summary th[aria-sort=ascending]").count() == 1
    button.press("Enter")
    values = [cells[6] for cells in summary(page).values()]
    assert values[: len(FINDINGS)] == sorted(values[: len(FINDINGS)], reverse=True)
    assert list(summary(page))[len(FINDINGS)] == "mean of findings"


def test_filters_filter(page: Any, run: LocalizationRun) -> None:
    def found() -> int:
        settle(page)
        return int(page.inner_text("#found").split()[0])

    report = scored_by_python(run, (60.0, 180.0), RULES)
    annotated = {(a.image_id, a.finding) for r in run.records for a in r.annotations}
    assert found() == len(annotated)
    page.select_option("#filters select >> nth=1", "Mass")
    assert found() == sum(finding == "Mass" for _, finding in annotated)
    page.select_option("#filters select >> nth=2", "correct")
    hit, boxes = (grid(report, "accuracy", field)[1, 0] for field in ("numerator", "divisor"))
    assert found() == hit
    page.select_option("#filters select >> nth=2", "missed")
    assert found() == boxes - hit
    page.select_option("#filters select >> nth=1", "")
    page.select_option("#filters select >> nth=2", "")
    page.select_option("#filters select >> nth=3", "AP")
    settle(page)
    ids = page.eval_on_selector_all("#gallery .image", "all => all.map(one => one.textContent)")
    assert ids
    assert all(text.endswith("AP") for text in ids)


def test_more_cards_come_when_asked(page: Any) -> None:
    assert page.locator("#gallery .card").count() == 24
    page.click("#more")
    assert page.locator("#gallery .card").count() == 48


def test_the_keyboard_is_enough(page: Any) -> None:
    page.locator("#gallery .card").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    settle(page)
    assert page.locator("dialog .viewer-bar .note").inner_text().startswith("2 of ")
    page.keyboard.press("ArrowRight")
    settle(page)
    assert page.locator("dialog .viewer-bar .note").inner_text().startswith("3 of ")
    page.keyboard.press("3")
    settle(page)
    assert page.locator("dialog .findings [aria-pressed=true] kbd").inner_text() == "3"
    page.keyboard.press("h")
    page.keyboard.press("+")
    settle(page)
    assert not page.locator("dialog input[type=checkbox]").first.is_checked()
    assert "1.5 \N{MULTIPLICATION SIGN}" in page.locator("dialog .slider output").first.inner_text()
    page.keyboard.press("h")
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


def test_the_heatmap_shows_and_can_be_hidden(page: Any) -> None:
    colours = """() => {
        const canvas = document.querySelectorAll('#gallery canvas')[1];
        const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        let coloured = 0;
        for (let i = 0; i < data.length; i += 4) coloured += Math.abs(data[i] - data[i + 2]) > 8;
        return coloured / (data.length / 4);
    }"""
    page.locator("#gallery").scroll_into_view_if_needed()
    page.wait_for_timeout(150)
    heatmap, boxes = page.locator("#controls .check input").all()
    boxes.uncheck()
    settle(page)
    assert page.evaluate(colours) > 0.1
    heatmap.uncheck()
    page.wait_for_timeout(100)
    assert page.evaluate(colours) == 0
    boxes.check()
    heatmap.check()


def test_everything_that_can_be_used_has_a_name_of_its_own(page: Any) -> None:
    page.locator("#gallery .card").first.click()
    viewer = page.locator("dialog").aria_snapshot()
    page.keyboard.press("Escape")
    tree = page.locator("body").aria_snapshot()
    roles = "slider|button|combobox|checkbox|img|link|dialog|table|figure|form"
    for snapshot in (tree, viewer):
        assert re.findall(rf"- (?:{roles})(?::| \[|$)", snapshot, re.MULTILINE) == []
    for name in ('slider "T(IoU)', 'combobox "Outcome', 'region "Localization accuracy'):
        assert name in tree
    assert 'img "Radiograph chest-00' in viewer
    headings = re.findall(r'- columnheader ("[^"]+"):', tree)
    assert len(set(headings)) == len(headings) == 9


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1300])
def test_no_layout_overflows(opened: Any, width: int, scheme: str) -> None:
    opened.emulate_media(color_scheme=scheme)
    opened.set_viewport_size({"width": width, "height": 844})
    settle(opened)
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    first_accuracy = opened.locator("#summary td:nth-child(4) .score").first.bounding_box()
    assert first_accuracy["x"] + first_accuracy["width"] <= width
    ground = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) < 300) == (scheme == "dark")
    opened.emulate_media(color_scheme="light")
    opened.set_viewport_size({"width": 1300, "height": 900})


@pytest.fixture(scope="module")
def classified(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A classification page and the units behind it; one image has markup for a name."""
    generator = np.random.default_rng(8)
    names = [HOSTILE, *(f"chest-{index}" for index in range(1, 40))]
    records = [
        Record(
            name,
            f"patient-{index}",
            name,
            None,
            labels={f: Label.POSITIVE for f in FINDINGS if generator.uniform() < 0.4},
        )
        for index, name in enumerate(names)
    ]
    truth = np.array([[f in record.labels for f in FINDINGS] for record in records])
    scores = np.clip(0.3 * truth + generator.uniform(0, 0.7, truth.shape), 0, 1).round(2)
    units = score_units(Predictions(tuple(names), FINDINGS, scores), records)
    points = choose_operating_points(units)
    resampling = Resampling(20)
    run = ClassificationRun(
        units=units,
        points=points,
        report=classify_units(units, resampling, points=points),
        bands=roc_bands_frame(units, resampling),
        records=records,
        probabilities={
            (name, f): float(p)
            for name, row in zip(names, scores, strict=True)
            for f, p in zip(FINDINGS, row, strict=True)
        },
        heatmaps=[],
        raw={},
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page("Classification on tests", classification_data(run, {}) | AROUND, path)
    page = browser.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector("#gallery .card")
    return page, units, errors


def test_a_classification_page_decides_as_python_does(classified: Any) -> None:
    page, units, errors = classified
    assert errors == []
    truth, scores = units.truth[:, 0], units.scores[:, 0]
    point = choose_operating_point(truth, scores)
    assert point
    said = [int(n) for n in re.findall(r"\d+", page.inner_text("#controls .counts"))]
    counts = confusion(truth, scores >= point.threshold)
    assert said == [
        counts.true_positives,
        counts.false_positives,
        counts.true_negatives,
        counts.false_negatives,
    ]
    page.locator("#controls input[name=decision]").fill("9")
    settle(page)
    threshold = sorted(set(scores), reverse=True)[8]
    counts = confusion(truth, scores >= threshold)
    row = page.locator("#summary tbody tr").first.locator("td").all_inner_texts()
    assert float(row[-3]) == pytest.approx(threshold)
    sensitivity = counts.true_positives / (counts.true_positives + counts.false_negatives)
    assert float(row[-2]) == pytest.approx(sensitivity, abs=5.1e-4)


def test_no_layout_of_a_classification_overflows(classified: Any) -> None:
    page, _, _ = classified
    page.set_viewport_size({"width": 390, "height": 844})
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1300, "height": 900})
    settle(page)
    assert page.evaluate(
        "(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)"
        "(document.querySelector('#summary .scroll'))"
    )


def test_a_name_with_markup_is_text(classified: Any) -> None:
    page, _, _ = classified
    assert HOSTILE in page.inner_text("#gallery")
    assert page.locator("#gallery b").count() == 0


def test_a_classification_page_without_a_curve_offers_none(browser: Any, tmp_path: Path) -> None:
    records = [Record(f"chest-{index}", f"patient-{index}", "", None) for index in range(3)]
    names = tuple(record.image_id for record in records)
    units = score_units(Predictions(names, ("Mass",), np.full((3, 1), 0.4)), records)
    run = ClassificationRun(
        units=units,
        points=choose_operating_points(units),
        report=classify_units(units, Resampling(20)),
        bands=roc_bands_frame(units, Resampling(20)),
        records=records,
        probabilities={(name, "Mass"): 0.4 for name in names},
        heatmaps=[],
        raw={},
    )
    path = tmp_path / "report.html"
    write_page("No curve", classification_data(run, {}) | AROUND, path)
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector("#found:not(:empty)")
    said = page.inner_text("#curve-controls")
    settings = page.inner_text("#controls")
    page.close()
    assert errors == []
    assert said == "No finding is both present and absent: no ROC curve."
    assert "threshold" not in settings.lower()
