"""The content of the page, checked without a browser."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from cxrloc.evaluation.localization.tables import grid, rows_of
from cxrloc.phantom import make_phantom
from cxrloc.report_page.localization import localization_data
from cxrloc.report_page.page import bundle, write_page
from cxrloc.report_page.pictures import picture_uri
from cxrloc.report_page.quantised_maps import quantise
from cxrloc.types import Affine, Heatmaps
from tests.report_page.report_pages import RULES, intervals_by_python, scored_by_python, small_run


def data_of(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_no_text_of_a_run_becomes_markup(tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script><!--"
    write_page(hostile, {"kind": "bench", "lead": hostile}, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<script>alert" not in page
    assert page.count("</script>") == 2
    assert data_of(page)["lead"] == hostile


def test_the_page_names_no_other_place_and_its_policy_allows_none(tmp_path: Path) -> None:
    write_page("a run", {"kind": "bench"}, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert set(re.findall(r"https?://[\w./]+", page)) == {"http://www.w3.org/2000/svg"}
    policy = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', page)
    assert policy
    assert policy[1].startswith("default-src &#x27;none&#x27;")
    assert "unsafe" not in policy[1]


def test_no_patient_is_named(tmp_path: Path) -> None:
    write_page("a run", localization_data(small_run(), {}), tmp_path / "page.html")
    assert "secret-patient" not in (tmp_path / "page.html").read_text()


def test_scripts_are_bundled_once_and_after_what_they_import() -> None:
    script = bundle("main")
    names = re.findall(r"^const (\w+) = \(\(\) => \{$", script, flags=re.MULTILINE)
    assert len(names) == len(set(names))
    assert names.index("regions") < names.index("scoring") < names.index("bench")
    assert names[-1] == "main"
    assert not re.search(r"^(import|export) ", script, flags=re.MULTILINE)


@pytest.mark.parametrize("value", [7.0, np.nan, np.inf])
def test_a_degenerate_map_stays_degenerate(value: float) -> None:
    scores = np.full((2, 2), 7.0)
    scores[0, 0] = value
    assert not quantise(Heatmaps("a", ("Mass",), scores[None], Affine(), 2, 2)).scores.any()


def test_expected_counts_are_those_of_the_maps_as_they_travel() -> None:
    run = small_run()
    expected = localization_data(run, {})["expected"]
    python = scored_by_python(run, (60.0, 180.0), RULES)
    assert expected == {
        "hit": grid(python, "accuracy", "numerator").tolist(),
        "falsePositives": grid(python, "afp", "numerator").tolist(),
    }


def test_16_bits_change_next_to_nothing() -> None:
    run = small_run()
    quantised = scored_by_python(run, (60.0, 180.0), RULES)
    own = rows_of(run.scores.measurements)
    hits = [grid(rows, "accuracy", "numerator") for rows in (quantised, own)]
    assert np.abs(hits[0] - hits[1]).max() <= 1
    again = intervals_by_python(run, (60.0, 180.0), RULES[1])
    low = grid(own, "accuracy", "low")[1]
    np.testing.assert_allclose(grid(again, "accuracy", "low")[0], low, atol=0.05)


def test_maps_travel_for_scored_pairs_and_for_the_top_three() -> None:
    pairs = localization_data(small_run(images=4), {})["pairs"]
    assert len(pairs) == 4 * 3
    assert {pair["scored"] for pair in pairs} == {True, False}
    assert all(pair["map"] for pair in pairs)


def test_a_picture_is_small_enough_for_200_of_them_in_20_megabytes() -> None:
    pixels = make_phantom(seed=1, index=0, size=1024).pixels
    assert len(picture_uri(pixels, longest=512)) < 80_000
    assert picture_uri(pixels[:64, :32], longest=512).startswith("data:image/webp;base64,")
