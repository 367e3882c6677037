"""`heatmap`: whole files, one failure per bad image, no image computed twice."""

import errno
import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest
from pydicom import dcmread

from cxrloc.errors import UsageError
from cxrloc.files.run_folder import Destination
from cxrloc.files.whole import DiskError
from cxrloc.image_results import writers
from cxrloc.image_results.report import ReportSettings
from cxrloc.inference.prepared import Failure, InferenceSettings
from cxrloc.models.weights import read_model, write_model
from cxrloc.phantom import write_phantoms
from cxrloc.pipeline import heatmap as flow
from cxrloc.pipeline.heatmap import HeatmapOptions, HeatmapResult, heatmap

Results = list[HeatmapResult | Failure]


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chests")
    write_phantoms(folder, n=4, seed=5, size=96)
    return folder / "images"


@pytest.fixture
def images(chests: Path, tmp_path: Path) -> list[Path]:
    """Copies of four phantoms, which a test may spoil."""
    return [Path(shutil.copy2(path, tmp_path / path.name)) for path in sorted(chests.iterdir())]


@pytest.fixture
def options(untrained_model: Path) -> HeatmapOptions:
    return HeatmapOptions((str(untrained_model),), inference=InferenceSettings(batch_size=2))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The images that were read from the disk."""
    seen: list[Path] = []
    read_radiograph = flow.read_radiograph

    def noted(path: Path, *options: Any) -> Any:
        seen.append(path)
        return read_radiograph(path, *options)

    monkeypatch.setattr(flow, "read_radiograph", noted)
    return seen


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a run but the hidden ones, without what differs between equal runs."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name.startswith(".") or path.is_dir():
            continue
        found[path.name] = path.read_bytes()
        if path.suffix == ".json":
            said = json.loads(found[path.name])
            for name in ("time", "seconds", "images"):
                said.pop(name, None)
            found[path.name] = json.dumps(said).encode()
    return found


def break_off(results: Iterator[Any], after: int) -> None:
    list(islice(results, after))
    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt)  # type: ignore[attr-defined]


def test_an_interrupted_run_goes_on_and_ends_like_one_that_was_not(
    images: list[Path], options: HeatmapOptions, read: list[Path], tmp_path: Path
) -> None:
    inference = InferenceSettings(workers=1)
    options = replace(options, write=("npz", "png", "json"), inference=inference)
    list(heatmap(images, Destination(tmp_path / "whole"), options))
    assert read == images
    out = tmp_path / "out"
    break_off(heatmap(images, Destination(out), options), after=1)
    done = {path.stem for path in out.glob("*.json")}
    assert images[0].stem in done
    assert not (out / "findings.csv").exists()
    read.clear()
    results = list(heatmap(images, Destination(out), options))
    assert {path.stem for path in read} == {path.stem for path in images} - done
    assert [result.skipped for result in results] == [path.stem in done for path in images]
    assert content(out) == content(tmp_path / "whole")


def test_a_finished_run_computes_only_what_is_new_or_has_changed(
    images: list[Path], options: HeatmapOptions, read: list[Path], tmp_path: Path
) -> None:
    out = Destination(tmp_path / "out")
    list(heatmap(images[:3], out, options))
    changed, removed = images[0], images[1]
    changed.write_bytes(images[3].read_bytes())
    (tmp_path / "out" / f"{removed.stem}.png").unlink()
    read.clear()
    results = list(heatmap(images, out, replace(options, inference=InferenceSettings(workers=1))))
    assert read == [changed, removed, images[3]]
    assert [result.skipped for result in results] == [False, False, True, False]
    findings = pd.read_csv(tmp_path / "out/findings.csv")
    assert list(findings["image"].unique()) == [path.stem for path in images]


@pytest.mark.parametrize(
    "other",
    [
        {"write": ("json",)},
        {"voi": 1},
        {"report": ReportSettings(thresholds=(60.0,))},
        {"inference": InferenceSettings(findings=("Mass",))},
    ],
)
def test_other_settings_do_not_mix_with_results_that_are_there(
    images: list[Path], options: HeatmapOptions, tmp_path: Path, other: dict[str, Any]
) -> None:
    out = tmp_path / "out"
    list(heatmap(images[:1], Destination(out), options))
    with pytest.raises(UsageError, match=r"results of other settings \(.*--overwrite"):
        list(heatmap(images[:1], Destination(out), replace(options, **other)))


def test_an_image_that_fails_now_leaves_no_former_result_behind(
    images: list[Path], options: HeatmapOptions, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    list(heatmap(images[:2], Destination(out), options))
    own = out / "notes.json"
    own.write_text("{}")
    images[0].write_text("not an image any more")
    failed, kept = heatmap(images[:2], Destination(out), options)
    assert isinstance(failed, Failure)
    assert isinstance(kept, HeatmapResult)
    assert not [*out.glob(f"{images[0].stem}.*")]
    assert own.exists()
    failures = pd.read_csv(out / "failures.csv")
    assert failures["path"].tolist() == [str(images[0])]
    run = json.loads((out / "run.json").read_text())
    assert run["images"] == {"done": 0, "skipped": 1, "failed": 1, "outside": 0}


@pytest.mark.parametrize("at", ["read_radiograph", "report_image", "heatmap_picture", "write_json"])
@pytest.mark.parametrize(
    "error",
    [RuntimeError("bad\nluck"), MemoryError(), OSError(errno.ENAMETOOLONG, "File name too long")],
)
def test_any_error_on_one_image_is_one_line_and_the_others_go_on(
    images: list[Path],
    options: HeatmapOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at: str,
    error: Exception,
) -> None:
    module = flow if hasattr(flow, at) else writers
    calls: list[int] = []

    def fails_once(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            calls.append(1)
            if len(calls) == 1:
                raise error
            return function(*arguments)

        return call

    monkeypatch.setattr(module, at, fails_once(getattr(module, at)))
    options = replace(options, inference=InferenceSettings(workers=1))
    first, second = heatmap(images[:2], Destination(tmp_path / "out"), options)
    assert isinstance(first, Failure)
    assert str(images[0]) in first.reason
    assert "\n" not in first.reason
    assert isinstance(second, HeatmapResult)
    assert not [*(tmp_path / "out").glob(f"{images[0].stem}.*")]


def test_a_network_that_fails_on_one_image_of_a_batch_does_the_others(
    images: list[Path], options: HeatmapOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cxrloc.inference import localize as room

    compute = room._localize_batch

    def fails(models: Any, batch: Any, *rest: Any) -> Any:
        if any(item.image_id == str(images[1]) for item in batch):
            raise RuntimeError("no kernel for this image")
        return compute(models, batch, *rest)

    monkeypatch.setattr(room, "_localize_batch", fails)
    results = list(heatmap(images, Destination(tmp_path / "out"), options))
    assert [isinstance(result, Failure) for result in results] == [False, True, False, False]


def test_a_full_disk_stops_the_run_and_leaves_whole_files(
    images: list[Path], options: HeatmapOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_picture = writers.write_png

    def full(picture: Any, path: Path) -> None:
        if images[1].stem in path.name:
            path.write_bytes(b"\x89PNG, half")
            raise OSError(errno.ENOSPC, "No space left on device")
        write_picture(picture, path)

    monkeypatch.setattr(writers, "write_png", full)
    out = tmp_path / "out"
    with pytest.raises(DiskError, match=rf"{images[1].stem}\.png: cannot be written: No space"):
        list(heatmap(images, Destination(out), options))
    assert not [*out.glob(f"{images[1].stem}.*")]
    assert not [*out.rglob("*part*")]
    for picture in out.glob("*.png"):
        assert picture.read_bytes().endswith(b"IEND\xaeB`\x82")


def test_numbers_do_not_depend_on_the_batch(
    images: list[Path], options: HeatmapOptions, tmp_path: Path
) -> None:
    for size in (1, 3):
        inference = InferenceSettings(batch_size=size)
        own = replace(options, inference=inference, write=("npz", "png", "json"))
        list(heatmap(images, Destination(tmp_path / str(size)), own))
    assert content(tmp_path / "1") == content(tmp_path / "3")


def test_a_report_is_as_its_schema_says_and_tables_say_the_same(
    images: list[Path], options: HeatmapOptions, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = replace(options, report=ReportSettings(below_operating_point=True))
    list(heatmap(images[:2], Destination(out), options))
    schema = json.loads(
        files("cxrloc.image_results").joinpath("image_report.schema.json").read_text()
    )
    jsonschema.Draft202012Validator.check_schema(schema)
    reports = [json.loads((out / f"{path.stem}.json").read_text()) for path in images[:2]]
    for report in reports:
        jsonschema.validate(report, schema)
    rows = [
        (report["image"], row["finding"], row["probability"])
        for report in reports
        for row in report["findings"]
    ]
    findings = pd.read_csv(out / "findings.csv")[["path", "finding", "probability"]]
    assert [*findings.itertuples(index=False, name=None)] == rows
    boxes = pd.read_csv(out / "detections.csv")
    assert len(boxes) == sum(len(row["boxes"]) for r in reports for row in r["findings"])


def test_boxes_of_improbable_findings_are_neither_drawn_nor_written_unless_asked_for(
    images: list[Path], options: HeatmapOptions, tmp_path: Path
) -> None:
    of: dict[bool, list[Any]] = {}
    pictures = {}
    for shown in (False, True):
        out = tmp_path / str(shown)
        report = ReportSettings(top=8, below_operating_point=shown)
        list(heatmap(images[:1], Destination(out), replace(options, report=report)))
        of[shown] = json.loads((out / f"{images[0].stem}.json").read_text())["findings"]
        pictures[shown] = (out / f"{images[0].stem}.png").read_bytes()
    assert {row["above_operating_point"] for row in of[False]} == {True, False}
    assert any(row["boxes"] for row in of[True] if not row["above_operating_point"])
    for hidden, shown in zip(of[False], of[True], strict=True):
        assert hidden["boxes"] == (shown["boxes"] if hidden["above_operating_point"] else [])
    assert pictures[False] != pictures[True]


def test_a_box_rule_gives_one_box_per_map_with_the_thresholds_of_the_card(
    images: list[Path], options: HeatmapOptions, untrained_model: Path, tmp_path: Path
) -> None:
    one_box = ReportSettings(below_operating_point=True, box_rule="one-box")
    with pytest.raises(UsageError, match=r"one-box: .*, Effusion, .* has no threshold"):
        list(heatmap(images[:1], Destination(tmp_path / "a"), replace(options, report=one_box)))
    plain = read_model(untrained_model)
    levels = {finding: 100.0 + k for k, finding in enumerate(plain.card.findings)}
    path = tmp_path / "with_thresholds.safetensors"
    card = replace(plain.card, box_thresholds=levels)
    write_model(path, plain.network, plain.preprocessing, card, plain.typical)
    own = replace(options, models=(str(path),))
    hottest = replace(one_box, box_rule="hottest-share")
    for name, report in (("one", one_box), ("hottest", hottest)):
        list(heatmap(images[:1], Destination(tmp_path / name), replace(own, report=report)))
        rows = json.loads((tmp_path / name / f"{images[0].stem}.json").read_text())["findings"]
        assert [len(row["boxes"]) for row in rows] == [
            0 if row["degenerate"] else 1 for row in rows
        ]
        if name == "one":
            for row in rows:
                assert [box["threshold"] for box in row["boxes"]] == [levels[row["finding"]]]


def test_identifiers_of_files_are_written_only_if_asked_for(
    untrained_model: Path, tmp_path: Path
) -> None:
    write_phantoms(tmp_path, n=1, seed=1, size=64, file_format="dicom")
    (image,) = (tmp_path / "images").iterdir()
    for uids in (False, True):
        options = HeatmapOptions((str(untrained_model),), report=ReportSettings(uids=uids))
        (result,) = heatmap([image], Destination(tmp_path / f"out{uids}"), options)
        assert isinstance(result, HeatmapResult)
        assert ("sop_instance_uid" in result.report) == uids
    assert result.report["sop_instance_uid"] == dcmread(image).SOPInstanceUID


def test_a_calibrated_probability_stands_beside_the_raw_one_and_decides_nothing(
    images: list[Path], untrained_model: Path, tmp_path: Path
) -> None:
    """The prevalence of a finding says how probable it is, not on which side of the threshold."""
    plain = read_model(untrained_model)
    calibration = dict.fromkeys(plain.card.findings, (1.0, -2.0))
    card = replace(plain.card, calibration=calibration)
    write_model(tmp_path / "other.safetensors", plain.network, plain.preprocessing, card)
    rows = []
    for number, model in enumerate((untrained_model, tmp_path / "other.safetensors")):
        options = HeatmapOptions((str(model),), inference=InferenceSettings(workers=1))
        destination = Destination(tmp_path / f"out{number}")
        (made,) = heatmap(images[:1], destination, options)
        assert isinstance(made, HeatmapResult)
        rows.append(made.report["findings"])
    for raw, own in zip(*rows, strict=True):
        assert raw["probability"] == raw["raw_probability"] == own["raw_probability"]
        odds = raw["probability"] / (1 - raw["probability"]) * math.exp(-2)
        assert own["probability"] == pytest.approx(odds / (1 + odds), abs=2e-4)
        assert own["operating_point"] == pytest.approx(1 / (1 + math.exp(2)), abs=1e-4)
        assert raw["above_operating_point"] == own["above_operating_point"]


@pytest.fixture
def of_laterals(options: HeatmapOptions, tmp_path: Path) -> HeatmapOptions:
    """Options with a model of laterals, for which phantoms are outside."""
    model = read_model(options.models[0])
    assert model.config is not None
    path = tmp_path / "laterals.safetensors"
    points = dict.fromkeys(model.card.findings, 0.0)  # every finding is called present
    card = replace(model.card, views=("LATERAL",), operating_points=points)
    write_model(path, model.network, model.preprocessing, card)  # type: ignore[arg-type]
    return replace(options, models=(str(path),))


def dicom_phantom(folder: Path) -> Path:
    write_phantoms(folder, n=1, seed=5, size=96, file_format="dicom")
    return next((folder / "images").iterdir())


def test_an_image_outside_has_no_boxes_and_no_operating_points(
    of_laterals: HeatmapOptions, tmp_path: Path
) -> None:
    image = dicom_phantom(tmp_path / "phantom")
    kinds = ("png", "json", *writers.DICOM_WRITERS)
    (result,) = heatmap([image], Destination(tmp_path / "out"), replace(of_laterals, write=kinds))
    assert isinstance(result, HeatmapResult)
    assert result.report["status"] == "outside"
    assert "was trained on LATERAL only" in result.report["outside_because"][0]
    assert all(row["boxes"] == [] for row in result.report["findings"])
    assert {row["above_operating_point"] for row in result.report["findings"]} == {None}
    objects = {path.name.split(".")[-2] for path in (tmp_path / "out").glob("*.dcm")}
    assert objects == {"sc"}  # the picture says so; there is no report and no segmentation
    run = json.loads((tmp_path / "out/run.json").read_text())
    assert run["images"] == {"done": 1, "skipped": 0, "failed": 0, "outside": 1}
    assert set(pd.read_csv(tmp_path / "out/findings.csv")["status"]) == {"outside"}
    assert pd.read_csv(tmp_path / "out/detections.csv").empty


def test_force_gives_an_image_outside_what_others_get(
    of_laterals: HeatmapOptions, tmp_path: Path
) -> None:
    image = dicom_phantom(tmp_path / "phantom")
    forced = replace(
        of_laterals, report=ReportSettings(force=True), write=("json", *writers.DICOM_WRITERS)
    )
    (result,) = heatmap([image], Destination(tmp_path / "out"), forced)
    assert isinstance(result, HeatmapResult)
    assert result.report["status"] == "outside"
    assert any(row["boxes"] for row in result.report["findings"])
    assert {row["above_operating_point"] for row in result.report["findings"]} == {True}
    assert len(list((tmp_path / "out").glob("*.dcm"))) == len(writers.DICOM_WRITERS)


def test_strict_makes_an_image_outside_a_failure(
    of_laterals: HeatmapOptions, tmp_path: Path
) -> None:
    image = dicom_phantom(tmp_path / "phantom")
    strict = replace(of_laterals, report=ReportSettings(strict=True))
    (result,) = heatmap([image], Destination(tmp_path / "out"), strict)
    assert isinstance(result, Failure)
    assert "outside what the model was made for" in result.reason
    run = json.loads((tmp_path / "out/run.json").read_text())
    assert run["images"]["failed"] == 1
    assert not list((tmp_path / "out").glob("*.png"))
