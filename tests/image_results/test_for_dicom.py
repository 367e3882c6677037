"""`heatmap --write sr,...`: the objects have the same content as the JSON file."""

import csv
import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cxrloc.cli import app
from cxrloc.datasets.dicom_regions import read_regions
from cxrloc.phantom import write_phantoms

KINDS = "json,sr,gsps,sc,seg,fractional-seg"


def heatmap(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["heatmap", *map(str, arguments)])


@pytest.fixture(scope="module")
def written(untrained_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All objects of one phantom, beside the JSON file."""
    folder = tmp_path_factory.mktemp("objects")
    write_phantoms(folder / "chests", n=1, seed=0, size=96, file_format="dicom")
    options = ["--model", untrained_model, "--write", KINDS, "--below-operating-point"]
    done = heatmap(folder / "chests" / "images", *options, "--out", folder / "out", "--quiet")
    assert done.exit_code == 0, done.output
    return folder / "out"


def test_every_kind_is_written(written: Path) -> None:
    names = {path.name.partition(".")[2] for path in written.glob("00100000_000.*")}
    objects = {"sr-findings", "sr-regions", "gsps", "sc", "seg", "fractional-seg"}
    assert names == {"json", *(f"{kind}.dcm" for kind in objects)}


def test_the_report_holds_the_boxes_of_the_top_findings(written: Path) -> None:
    report = json.loads((written / "00100000_000.json").read_text())
    top = sorted(report["findings"], key=lambda row: -row["probability"])[:3]
    expected = sorted(
        (row["finding"], box["x_min"], box["y_min"], row["probability"])
        for row in top
        for box in row["boxes"]
    )
    regions = read_regions(written / "00100000_000.sr-regions.dcm")
    told = sorted((r.finding, r.box.x_min, r.box.y_min, r.probability) for r in regions)
    assert [each[0] for each in told] == [each[0] for each in expected]
    for one, other in zip(told, expected, strict=True):
        assert one[1:] == pytest.approx(other[1:], abs=1e-2)


def test_a_png_has_no_study_to_belong_to(untrained_model: Path, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "chests", n=1, seed=0, size=32)
    options = ["--model", untrained_model, "--write", "sr", "--out", tmp_path / "out"]
    refused = heatmap(tmp_path / "chests" / "images", *options)
    assert refused.exit_code == 2
    assert "is a PNG file" in refused.output


def test_a_missing_package_is_named_before_any_image_is_computed(
    untrained_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_phantoms(tmp_path / "chests", n=1, seed=0, size=32, file_format="dicom")
    monkeypatch.setitem(sys.modules, "highdicom", None)  # then its import fails
    options = ["--model", untrained_model, "--write", "json,sr", "--out", tmp_path / "out"]
    refused = heatmap(tmp_path / "chests" / "images", *options)
    assert refused.exit_code != 0
    assert "needs the package highdicom: pip install 'cxrloc[pacs]'" in refused.output
    assert not list((tmp_path / "out").rglob("*.json"))


def test_boxes_of_reports_score_as_those_of_the_table(
    untrained_model: Path, tmp_path: Path
) -> None:
    write_phantoms(tmp_path / "chests", n=4, seed=0, size=96, file_format="dicom")
    options = ["--model", untrained_model, "--write", "json,sr,seg", "--below-operating-point"]
    options += ["--top", "8", "--threshold", "180", "--out", tmp_path / "out", "--quiet"]
    assert heatmap(tmp_path / "chests" / "images", *options).exit_code == 0
    for source, out in (("out", "of_reports"), ("out/detections.csv", "of_table")):
        scored = ["bench", tmp_path / "chests", "--detections", tmp_path / source, "--quiet"]
        scored += ["--resamples", "0", "--out", tmp_path / out]
        done = CliRunner().invoke(app, [*map(str, scored)])
        assert done.exit_code == 0, done.output
    of_reports, of_table = (
        (tmp_path / out / "localization.csv").read_text() for out in ("of_reports", "of_table")
    )
    assert of_reports == of_table
    assert (tmp_path / "of_table" / "detections.csv").read_text().count("\n") > 1


@pytest.mark.slow
def test_boxes_of_reports_are_truth(untrained_model: Path, tmp_path: Path) -> None:
    """The same reports as claims and as truth agree everywhere."""
    write_phantoms(tmp_path / "chests", n=4, seed=0, size=96, file_format="dicom")
    images = tmp_path / "chests" / "images"
    options = ["--model", untrained_model, "--write", "json,sr", "--below-operating-point"]
    assert heatmap(images, *options, "--out", tmp_path / "out", "--quiet").exit_code == 0
    scored = ["bench", images, "--boxes", tmp_path / "out", "--detections", tmp_path / "out"]
    scored += ["--resamples", "0", "--out", tmp_path / "scored", "--quiet"]
    done = CliRunner().invoke(app, [*map(str, scored)])
    assert done.exit_code == 0, done.output
    with (tmp_path / "scored" / "localization.csv").open() as file:
        accuracies = {row["accuracy"] for row in csv.DictReader(file) if row["finding"] != "mean"}
    assert {*map(float, filter(None, accuracies))} == {1.0}
