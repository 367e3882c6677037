"""An archive's tables say what the other commands say of the same images, however it was run."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pandas as pd
import pyarrow.parquet
import pytest
from PIL import Image
from typer.testing import CliRunner

from cxrloc.archive.image_steps import ArchiveOptions
from cxrloc.archive.manifest import ManifestOptions, write_manifest
from cxrloc.cli import app
from cxrloc.errors import UsageError
from cxrloc.image_results.report import ReportSettings
from cxrloc.inference.prepared import InferenceSettings
from cxrloc.phantom import write_phantoms
from cxrloc.pipeline.archive import Engine, archive

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

IMAGES, PART = 60, 25
EVERY_BOX = ReportSettings(below_operating_point=True)


def invoke(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chests")
    write_phantoms(folder, IMAGES, 0, "dicom", size=96)
    return folder


@pytest.fixture(scope="module")
def manifest(chests: Path) -> Path:
    path = chests / "manifest.parquet"
    write_manifest([str(chests / "images")], path, ManifestOptions(clear_ids=True, dates=True))
    return path


@pytest.fixture(scope="module")
def options(untrained_model: Path) -> ArchiveOptions:
    return ArchiveOptions(
        (str(untrained_model),),
        part_size=PART,
        save_maps=True,
        report=EVERY_BOX,
        inference=InferenceSettings(device="cpu", workers=1),
    )


@pytest.fixture(scope="module")
def local(
    manifest: Path, options: ArchiveOptions, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("local")
    parts = [*archive(str(manifest), str(out), options, Engine())]
    assert [(part.images, part.failed) for part in parts] == [(25, 0), (25, 0), (10, 0)]
    return out


def table(out: Path, name: str) -> pd.DataFrame:
    parts = [pd.read_parquet(path) for path in sorted(out.glob(f"part-*/{name}.parquet"))]
    return pd.concat(parts, ignore_index=True)


def assert_same_tables(out: Path, expected: Path) -> None:
    for name in ("findings", "boxes", "maps", "failures"):
        for path in sorted(expected.glob(f"part-*/{name}.parquet")):
            stored = pyarrow.parquet.read_table(out / path.relative_to(expected))
            assert stored.equals(pyarrow.parquet.read_table(path)), path.name


def test_findings_and_boxes_are_those_of_heatmap(
    local: Path, chests: Path, untrained_model: Path, tmp_path: Path
) -> None:
    invoke(
        *("heatmap", chests / "images", "--model", untrained_model, "--below-operating-point"),
        *("--write", "json", "--out", tmp_path / "h"),
    )
    ours, theirs = table(local, "findings"), pd.read_csv(tmp_path / "h/findings.csv")
    assert ours["uri"].map(lambda uri: Path(uri).stem).tolist() == theirs["image"].tolist()
    for column in ("finding", "status", "above_operating_point", "degenerate"):
        assert ours[column].tolist() == theirs[column].tolist()
    for column in ("probability", "raw_probability", "operating_point"):
        assert ours[column].tolist() == pytest.approx(theirs[column].tolist(), abs=2e-4)
    ours, theirs = table(local, "boxes"), pd.read_csv(tmp_path / "h/detections.csv")
    assert len(ours) > IMAGES
    assert ours["uri"].map(lambda uri: Path(uri).stem).tolist() == theirs["image"].tolist()
    for column in ("x_min", "y_min", "x_max", "y_max", "threshold", "score"):
        assert ours[column].tolist() == pytest.approx(theirs[column].tolist(), abs=0.02)


def test_another_box_rule_gives_one_box_per_map(
    local: Path, manifest: Path, options: ArchiveOptions, tmp_path: Path
) -> None:
    def by(rule: str) -> ArchiveOptions:
        return replace(options, report=replace(EVERY_BOX, box_rule=rule))

    with pytest.raises(UsageError, match=r"box rule one-box: .* has no threshold"):
        list(archive(str(manifest), str(tmp_path / "one"), by("one-box"), Engine()))
    assert not (tmp_path / "one").exists()
    (part,) = archive(
        str(manifest), str(tmp_path / "hot"), by("hottest-share"), Engine(shard=(2, 3))
    )
    maps = ~table(tmp_path / "hot", "findings")["degenerate"]
    assert part.images == 10
    assert len(table(tmp_path / "hot", "boxes")) == maps.sum() > 10


def test_bench_and_classify_score_the_results_as_they_score_the_model(
    local: Path, chests: Path, untrained_model: Path, tmp_path: Path
) -> None:
    quick = ("--resamples", 5)
    ways = {"model": ("--model", untrained_model), "maps": ("--maps", local)}
    ways["detections"] = ("--detections", local)
    scores = {}
    for name, way in ways.items():
        invoke("bench", chests, *way, "--t-iobb", 0.1, *quick, "--out", tmp_path / name)
        scores[name] = pd.read_csv(tmp_path / name / "localization.csv")["accuracy"].tolist()
    assert scores["detections"] == scores["model"]
    assert scores["maps"] == pytest.approx(scores["model"], abs=0.03)  # 16 bits round the maps
    for name, way in {"model": ways["model"], "read": ("--predictions", local)}.items():
        invoke("classify", chests, *way, *quick, "--out", tmp_path / f"classified-{name}")
        scores[name] = pd.read_csv(tmp_path / f"classified-{name}" / "auc.csv")["auc"].tolist()
    assert scores["model"] == pytest.approx(scores["read"], abs=1e-6, nan_ok=True)


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs have one process with a network. Two, as `local` has, take as long again to start."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})


def test_a_killed_run_goes_on_in_shards_and_ends_with_the_same_tables(
    local: Path,
    manifest: Path,
    options: ArchiveOptions,
    untrained_model: Path,
    tmp_path: Path,
    one_core: None,
) -> None:
    out = tmp_path / "out"
    command = [
        *(sys.executable, "-m", "cxrloc", "archive", str(manifest), "--out", str(out)),
        *("--model", str(untrained_model), "--part-size", str(PART), "--save-maps"),
        *("--below-operating-point", "--device", "cpu", "--workers", "1"),
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while process.poll() is None and not (out / "part-000000/_part.json").exists():
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    first = (out / "part-000000/_part.json").read_bytes()
    assert not (out / "part-000002/_part.json").exists()
    again = []
    for shard in ((0, 2), (1, 2)):
        parts = archive(str(manifest), str(out), options, Engine(shard=shard))
        again.append([part.part for part in parts])
    # A kill may come a moment after the second part too.
    assert again in ([[2], [1]], [[2], []])
    assert (out / "part-000000/_part.json").read_bytes() == first
    assert_same_tables(out, local)
    assert [*archive(str(manifest), str(out), options, Engine())] == []
    assert "images              60 of 60" in invoke("archive", "status", out)


@pytest.mark.parametrize(("device", "address"), [("cuda:1", ""), ("cpu", "ray://h:1")])
def test_ray_chooses_its_devices_itself(
    device: str, address: str, options: ArchiveOptions, tmp_path: Path
) -> None:
    named = replace(options, inference=replace(options.inference, device=device))
    with pytest.raises(UsageError, match=f"--device {device}: --engine ray takes what its cluster"):
        next(archive("m.parquet", str(tmp_path), named, Engine("ray", address)))


def test_ray_makes_the_same_tables(
    local: Path,
    manifest: Path,
    options: ArchiveOptions,
    tmp_path: Path,
    ray_started: None,
) -> None:
    parts = [*archive(str(manifest), str(tmp_path), options, Engine("ray"))]
    assert sum(part.images for part in parts) == IMAGES
    assert_same_tables(tmp_path, local)


def test_an_engine_on_ray_that_is_terminated_says_so_in_one_line(
    manifest: Path, untrained_model: Path, tmp_path: Path
) -> None:
    command = [
        *(sys.executable, "-m", "cxrloc", "archive", str(manifest), "--out", str(tmp_path / "out")),
        *("--model", str(untrained_model), "--part-size", "2", "--engine", "ray", "--quiet"),
    ]
    environment = {**os.environ, "RAY_worker_niceness": "0"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    while process.poll() is None and not (tmp_path / "out/part-000000/_part.json").exists():
        time.sleep(0.05)
    process.terminate()
    _, errors = process.communicate(timeout=240)
    lines = [line for line in errors.splitlines() if "logging.cc" not in line]  # a line of Ray's
    assert process.returncode == 143, errors
    assert len(lines) == 1, errors
    assert re.match(r"Terminated\b.* What is written is whole\. Call the same command", lines[0])


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], str]]:
    """A function that puts a folder into an S3 bucket of this machine and returns its URI."""
    server = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    service = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    service.start()
    host, port = service.get_host_and_port()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    system.mkdir("chests")

    def put(folder: Path) -> str:
        for path in sorted(folder.iterdir()):
            system.pipe_file(f"chests/images/{path.name}", path.read_bytes())
        return "s3://chests"

    yield put
    s3fs.S3FileSystem.clear_instance_cache()
    service.stop()


def test_an_object_store_holds_images_manifest_and_results(
    local: Path,
    chests: Path,
    options: ArchiveOptions,
    bucket: Callable[[Path], str],
    tmp_path: Path,
    one_core: None,
) -> None:
    place = bucket(chests / "images")
    made = tmp_path / "m.parquet"
    counts = write_manifest([f"{place}/images"], made, ManifestOptions(clear_ids=True))
    assert counts == (IMAGES, 0, 0)
    import s3fs

    system = s3fs.S3FileSystem()
    system.put_file(str(made), "chests/m.parquet")
    parts = [*archive(f"{place}/m.parquet", f"{place}/results", options, Engine())]
    assert [(part.images, part.failed) for part in parts] == [(25, 0), (25, 0), (10, 0)]
    system.get("chests/results", str(tmp_path / "results"), recursive=True)
    for name in ("findings", "boxes", "maps"):
        ours, theirs = table(tmp_path / "results", name), table(local, name)
        for each in (ours, theirs):
            each["uri"] = each["uri"].map(lambda uri: uri.rsplit("/", 1)[1])
        pd.testing.assert_frame_equal(ours, theirs)
    assert not [name for name in system.find("chests/results") if "cxrloc-part" in name]


def test_files_of_each_image_are_written_below_its_part(
    chests: Path, options: ArchiveOptions, tmp_path: Path, one_core: None
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for path in sorted((chests / "images").iterdir())[:2]:
        (folder / path.name).write_bytes(path.read_bytes())
    Image.new("L", (96, 96)).save(folder / "zz.png")
    manifest, out = tmp_path / "m.parquet", tmp_path / "out"
    write_manifest([str(folder)], manifest, ManifestOptions(clear_ids=True))
    chosen = replace(options, write=("sr-regions", "json"), part_size=2)
    parts = [*archive(str(manifest), str(out), chosen, Engine())]
    assert [(part.images, part.failed) for part in parts] == [(2, 0), (1, 1)]
    names = sorted(path.name for path in out.glob("part-000000/images/*"))
    assert [name.partition(".")[2] for name in names] == ["json", "sr-regions.dcm"] * 2
    assert names[0].startswith("000000000-")
    schema = files("cxrloc.image_results").joinpath("image_report.schema.json").read_text()
    reports = [json.loads((out / "part-000000/images" / name).read_text()) for name in names[::2]]
    for report in reports:
        jsonschema.validate(report, json.loads(schema))
    uris = table(out, "findings")["uri"].unique().tolist()
    assert [report["image"] for report in reports] == uris
    (failure,) = table(out, "failures").to_dict("records")
    assert failure["stage"] == "write"
    assert failure["reason"].startswith("cannot be read as DICOM")


def test_another_model_or_manifest_is_refused(
    local: Path, manifest: Path, options: ArchiveOptions, tmp_path: Path
) -> None:
    before = (local / "run.json").read_bytes()
    other = replace(options, models=("phantom-v1",))
    with pytest.raises(UsageError, match=r"models.* is .untrained. there and .phantom-v1. here"):
        [*archive(str(manifest), str(local), other, Engine())]
    shorter = tmp_path / "m.parquet"
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(manifest).slice(1), shorter)
    with pytest.raises(UsageError, match="manifest is"):
        [*archive(str(shorter), str(local), options, Engine())]
    assert (local / "run.json").read_bytes() == before
    run: dict[str, Any] = json.loads(before)
    assert run["model"]["name"] == "untrained"
    assert (run["images"], run["parts"]) == (IMAGES, 3)


def test_the_readme_queries_run(
    local: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    queries = [part.partition("```")[0] for part in text.split("```sql\n")[1:]]
    assert len(queries) == 3
    monkeypatch.chdir(manifest.parent)
    for name in ("results", "other"):
        Path(name).symlink_to(local)
    for query in queries:
        assert duckdb.sql(query).fetchall(), query
