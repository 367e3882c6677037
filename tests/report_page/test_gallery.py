"""The page of all figures of a run."""

from html import unescape
from pathlib import Path

import pytest

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.panels.plots import FigureRequest
from cxrloc.pipeline.figure import gallery
from cxrloc.report_page.gallery import gallery_page

RATES = "learning_rate,loss,smoothed\n1,4,4\n10,3,3\n100,2,2\n1000,3,3\n"


def test_every_panel_that_the_run_gives_is_on_the_page_with_its_command(tmp_path: Path) -> None:
    (tmp_path / "a run").mkdir()
    (tmp_path / "a run/lr_range.csv").write_text(RATES)
    page = tmp_path / "page.html"
    request = FigureRequest("single", names=("Its name",))
    assert gallery([tmp_path / "a run"], page, request, dark=True) == ["lr-range"]
    text = unescape(page.read_text())
    options = "--width single --name 'Its name' --dark"
    assert f">cxrloc figure lr-range '{tmp_path}/a run' {options}<" in text
    assert text.count("data:image/png;base64,iVBOR") == 1
    assert "auc.csv: no such file" in text


def test_a_folder_that_gives_nothing_and_one_that_is_absent_are_named(tmp_path: Path) -> None:
    with pytest.raises(CxrlocError, match="no panel can be drawn"):
        gallery([tmp_path], tmp_path / "page.html", FigureRequest())
    with pytest.raises(UsageError, match="absent: no such file or folder"):
        gallery([tmp_path / "absent"], tmp_path / "page.html", FigureRequest())
    assert not list(tmp_path.iterdir())


def test_names_and_reasons_are_escaped() -> None:
    text = gallery_page("<s>", {"a": (b"", "<i>")}, 336, {"b": "<u>"})
    for tag in ("s", "i", "u"):
        assert f"<{tag}>" not in text
        assert f"&lt;{tag}&gt;" in text
