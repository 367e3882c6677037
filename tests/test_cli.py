"""The commands as a user types them."""

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import cxrloc
from cxrloc.cli import app
from cxrloc.cli.terminal import with_progress
from cxrloc.datasets.pairs import PAIRINGS
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.localization.scored_pairs import POPULATIONS
from cxrloc.image_results.report import ReportSettings
from cxrloc.image_results.writers import GROUPS
from cxrloc.inference import image_sets
from cxrloc.inference.image_sets import SPLITS
from cxrloc.inference.map_files import read_maps
from cxrloc.inference.versions import VERSIONS
from cxrloc.localization.heatmaps import HEATMAPS
from cxrloc.phantom import write_phantoms

COMMANDS = [
    command.name or command.callback.__name__.replace("_", "-")
    for command in app.registered_commands
]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms in ChestX-ray14's layout, as small copies of it are passed around."""
    folder = tmp_path_factory.mktemp("data") / "chests"
    write_phantoms(folder, n=24, seed=3, size=128)
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_ends_with_an_example(command: str) -> None:
    shown = run(command, "--help")
    assert shown.exit_code == 0
    last = " ".join(shown.output.rstrip().split("\n\n")[-1].split())
    assert last.startswith("Example: ")
    assert f"cxrloc {command}" in last


def test_list_of_commands_cuts_no_sentence():
    shown = run("--help").output.splitlines()
    lines = [line for line in shown if line.split()[:1] and line.split()[0] in COMMANDS]
    assert len(lines) == len(COMMANDS)
    assert [line for line in lines if not line.endswith((".", "?"))] == []
    assert [line for line in lines if line.endswith("...")] == []


@pytest.mark.parametrize(
    ("command", "choices"),
    [
        (
            "heatmap",
            [*HEATMAPS, *VERSIONS, *PAIRINGS, *GROUPS, "png", "json", "npz", "gsps", "seg"],
        ),
        ("bench", [*HEATMAPS, *VERSIONS, *PAIRINGS, *POPULATIONS]),
        ("classify", [*VERSIONS, *PAIRINGS, *SPLITS]),
        ("trust", [*HEATMAPS]),
    ],
)
def test_help_lists_every_choice(command: str, choices: list[str]) -> None:
    shown = " ".join(run(command, "--help").output.split())
    assert [name for name in choices if not re.search(rf"\b{name}\b", shown)] == []


@pytest.mark.parametrize("command", [["cxrloc"], [sys.executable, "-m", "cxrloc"]])
def test_the_version_is_shown_whichever_way_the_program_is_called(command: list[str]) -> None:
    if command == ["cxrloc"]:
        assert run("--version").stdout == f"cxrloc {cxrloc.__version__}\n"
        return
    done = subprocess.run([*command, "--version"], capture_output=True, text=True)
    assert done.stdout == f"cxrloc {cxrloc.__version__}\n"


def test_modules_of_the_user_in_the_current_folder_are_not_imported(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise SystemExit('a user wrote this')")
    package = Path(cxrloc.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "cxrloc", "--version"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(package)},
    )
    assert done.stdout == f"cxrloc {cxrloc.__version__}\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("heatmap --log-json --nope", "No such option: --nope"),
        ("train --log-json", "Missing argument 'RECIPE'"),
        ("absent --log-json", "No such command 'absent'"),
        ("--bogus --log-json", "No such option: --bogus"),
        ("archive a b c --log-json", "give MANIFEST, or status RESULTS"),
    ],
)
def test_wrong_usage_is_one_line_of_json_if_asked_for(line: str, said: str) -> None:
    done = run(*line.split())
    assert done.exit_code == 2
    (message,) = map(json.loads, done.stderr.splitlines())
    assert message["level"] == "error"
    assert said in message["message"]


def test_models_shows_the_numbers_of_a_card(untrained_model: Path) -> None:
    shown = run("models", untrained_model)
    assert shown.exit_code == 0
    assert "trained on: nothing" in shown.stdout
    (row,) = (line for line in shown.stdout.splitlines() if "Effusion" in line)
    assert row.split() == ["Effusion", "-", "0.500"]
    assert "phantom-v1" in run("models").stdout
    assert run("models", "unheard of").exit_code == 2


HEAVY = ("torch", "numpy", "pandas", "pydicom", "PIL")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["heatmap", "--help"], 0, ""),
        (["heatmap", "absent.dcm"], 1, "absent.dcm: No such file or directory"),
        (["heatmap", __file__, "--model", "absent.safetensors"], 2, "absent.safetensors: neither"),
        (["bench", "absent"], 2, "Error: absent: no such file or folder"),
        (["bench", "--boxes", "absent"], 2, "absent: no such file or folder"),
        (["bench", "--detections", "absent"], 2, "absent: no such file or folder"),
        (["classify", "--labels", "absent"], 2, "absent: no such file or folder"),
        (["classify", "--predictions", "absent"], 2, "absent: no such file or folder"),
        (["compare", __file__, "absent"], 2, "absent: no such file or folder"),
        (["counts", "absent"], 2, "absent: no such file or folder"),
        (["figure", "--gallery", "absent"], 2, "absent: no such file or folder"),
        (["label", "absent"], 2, "absent: no such file or folder"),
        (["train", "phantom_few", "--data", "absent"], 2, "absent: no such file or folder"),
        (["models", "absent.safetensors"], 2, "absent.safetensors: neither a file nor a model"),
        (["export", "absent", "--to", "onnx"], 2, "absent: neither a file nor a model"),
        (["page", "--runtime", "absent"], 2, "--runtime absent: no onnxruntime-web"),
        (["figure", "roc", "absent"], 2, "absent: no such file or folder"),
        (["archive", "absent"], 2, "absent: no such file or folder"),
        (["node", "absent.toml"], 1, "absent.toml: No such file or directory"),
        (["train", "absent"], 2, "absent: neither a readable TOML file nor one of the recipes"),
        (["classify", "absent"], 2, "Error: absent: no such file or folder"),
    ],
)
def test_help_and_absent_files_import_nothing_heavy(
    arguments: list[str], status: int, message: str
) -> None:
    program = (
        "import sys; from cxrloc.cli import app\n"
        f"try: app({arguments})\n"
        "except SystemExit as end: code = end.code\n"
        f"sys.exit(99 if any(m in sys.modules for m in {HEAVY}) else code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == status
    assert message in done.stderr


def test_heatmap_does_the_good_files_and_names_the_bad_one(
    chests: Path, untrained_model: Path, tmp_path: Path
) -> None:
    images = sorted((chests / "images").glob("*.png"))[:2]
    broken = tmp_path / "broken.dcm"
    broken.write_text("not a radiograph")
    out = tmp_path / "out"
    done = run("heatmap", *images, broken, "--model", untrained_model, "--out", out, "--save-maps")
    assert done.exit_code == 1
    assert f"{broken}: neither DICOM nor PNG nor JPEG" in done.stderr
    assert "Traceback" not in done.output
    for image in images:
        report = json.loads((out / f"{image.stem}.json").read_text())
        assert (report["rows"], report["columns"]) == (128, 128)
        assert report["model"]["name"] == "untrained"
        assert len(report["findings"]) == 8
        for row in report["findings"]:
            for box in row["boxes"]:
                assert 0 <= box["x_min"] < box["x_max"] <= 128
                assert 0 <= box["y_min"] < box["y_max"] <= 128
        assert (out / f"{image.stem}.png").read_bytes().startswith(b"\x89PNG")
        assert np.load(out / f"{image.stem}.npz")["maps"].shape == (8, 4, 4)


def test_heatmap_reports_the_findings_asked_for_and_saves_maps_of_all(
    chests: Path, untrained_model: Path, tmp_path: Path
) -> None:
    image = next((chests / "images").glob("*.png"))
    common = ("heatmap", image, "--model", untrained_model, "--save-maps", "--out")
    assert run(*common, tmp_path / "all").exit_code == 0
    asked = [option for name in ("Nodule", "Mass") for option in ("--finding", name)]
    assert run(*common, tmp_path / "some", *asked).exit_code == 0
    whole, some = (
        json.loads((tmp_path / out / f"{image.stem}.json").read_text())["findings"]
        for out in ("all", "some")
    )
    assert [row["finding"] for row in some] == ["Nodule", "Mass"]
    assert all(row in whole for row in some)
    saved, again = (
        read_maps(tmp_path / out / f"{image.stem}.npz", image.stem)[1] for out in ("all", "some")
    )
    assert again.findings == saved.findings
    np.testing.assert_array_equal(again.scores, saved.scores)


@pytest.mark.parametrize("option", ["--t-iobb", "--t-iou"])
def test_a_threshold_that_no_overlap_can_exceed_is_wrong_usage(
    chests: Path, tmp_path: Path, option: str
) -> None:
    done = run("bench", chests, option, "1", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert f"{option} 1: no overlap is above 1" in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()


def test_heatmap_prints_the_model_with_its_limits_and_names_as_they_are(
    chests: Path, untrained_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "a["
    folder.mkdir()
    odd = folder / "red]x.png"  # together markup of the terminal's library
    odd.write_bytes(next((chests / "images").glob("*.png")).read_bytes())
    (folder / "broken.png").write_text("no picture")
    done = run("heatmap", folder, "--model", untrained_model, "--out", tmp_path / "out")
    assert done.exit_code == 1
    shown = done.stdout.replace("\n", "")  # a long path is folded
    assert "Model untrained, trained on nothing. For tests only." in shown
    assert "Warning: not calibrated, so that `probability` is the raw one" in done.stderr
    assert str(odd) in shown
    assert f"Pictures and boxes are in {tmp_path / 'out'}" in shown


def test_a_dicom_without_private_facts_in_any_output(untrained_model: Path, tmp_path: Path) -> None:
    run("phantom", tmp_path / "data", "--n", "1", "--format", "dicom")
    done = run(
        "heatmap", tmp_path / "data/images", "--model", untrained_model, "--out", tmp_path / "out"
    )
    assert done.exit_code == 0, done.output
    written = "".join(path.read_text() for path in (tmp_path / "out").glob("*.json"))
    assert "Phantom^" not in written + done.output
    assert "phantom-" not in written.replace("phantom-v", "") + done.output


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--model", "no-such-model", "no-such-model"),
        ("--method", "no_cam", "cam, grad_cam, "),
        ("--versions", "upside-down", "choose from plain, tta, five-patch"),
        ("--finding", "Cold", "choose from Atelectasis"),
        ("--device", "abacus", "not usable on this machine"),
        ("--precision", "fp8", "choose from auto, fp32, bf16, fp16"),
        ("--batch-size", "0", "neither auto nor a number of images"),
    ],
)
def test_a_wrong_name_is_wrong_usage_and_says_what_may_be_named(
    chests: Path, untrained_model: Path, option: str, value: str, message: str
) -> None:
    model = [] if option == "--model" else ["--model", untrained_model]
    done = run("heatmap", chests / "images", *model, option, value)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.output


def test_bench_scores_a_folder_and_its_own_boxes_and_maps_score_the_same(
    chests: Path, untrained_model: Path, tmp_path: Path
) -> None:
    common = ("--t-iobb", "0.1", "--t-iou", "0.1", "--resamples", "50", "--seed", "1")
    done = run("bench", chests, "--model", untrained_model, *common, "--out", tmp_path / "model")
    assert done.exit_code == 0, done.output
    run(
        *("heatmap", chests / "images", "--model", untrained_model, "--save-maps"),
        *("--out", tmp_path / "maps"),
    )
    boxes = tmp_path / "model/detections.csv"
    from_boxes = run("bench", chests, "--detections", boxes, *common, "--out", tmp_path / "boxes")
    assert from_boxes.exit_code == 0, from_boxes.output
    from_maps = run(
        "bench", chests, "--maps", tmp_path / "maps", *common, "--out", tmp_path / "from_maps"
    )
    assert from_maps.exit_code == 0, from_maps.output
    tables = [
        pd.read_csv(tmp_path / name / "localization.csv")
        for name in ("model", "boxes", "from_maps")
    ]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    pd.testing.assert_frame_equal(tables[0], tables[2])
    run_card = json.loads((tmp_path / "model/run.json").read_text())
    assert run_card["divisors"]["afp"] == tables[0].query("finding == 'mean'")["annotated"].iloc[0]
    assert run_card["missing_images"] == []
    synthetic = "measured on synthetic radiographs, not on patients"
    for name in ("detections", "differences", "views", "metrics"):
        notes = pd.read_csv(tmp_path / f"model/{name}.csv")["note"]
        assert notes.str.contains(synthetic, regex=False).all(), name
    assert synthetic[1:] in (tmp_path / "model/table.md").read_text()


def test_bench_counts_missing_images_and_leaves_nothing_out_silently(
    chests: Path, untrained_model: Path, tmp_path: Path
) -> None:
    boxed = pd.read_csv(chests / "BBox_List_2017.csv").iloc[:, 0].unique()
    partial = tmp_path / "partial"
    (partial / "images").mkdir(parents=True)
    for name in ("BBox_List_2017.csv", "Data_Entry_2017.csv"):
        (partial / name).write_bytes((chests / name).read_bytes())
    for name in boxed[1:]:
        (partial / "images" / name).write_bytes((chests / "images" / name).read_bytes())
    (partial / "images" / boxed[1]).write_bytes(b"\x89PNG\r\n\x1a\n, but cut short")
    done = run(
        *("bench", partial, "--model", untrained_model, "--out", tmp_path / "out"),
        *("--resamples", "20"),
    )
    assert done.exit_code == 1
    assert Path(boxed[1]).stem in done.stderr
    run_card = json.loads((tmp_path / "out/run.json").read_text())
    assert run_card["missing_images"] == [Path(boxed[0]).stem]
    assert list(run_card["failed_images"]) == [Path(boxed[1]).stem]


@pytest.mark.parametrize("command", [pytest.param("bench", marks=pytest.mark.slow), "classify"])
def test_an_interrupted_run_goes_on_without_reading_an_image_twice(
    chests: Path,
    untrained_model: Path,
    tmp_path: Path,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[Path] = []
    monkeypatch.setattr(image_sets, "read_radiograph", noted(image_sets.read_radiograph, read))
    # The figure of `classify` takes longer to draw than all images to score.
    monkeypatch.setattr("cxrloc.pipeline.classify.write_roc", lambda *_: None)
    common = ("--model", untrained_model, "--resamples", "20", "--workers", "1")

    def once(out: str) -> Result:
        return run(command, chests, *common, "--out", tmp_path / out)

    assert once("whole").exit_code == 0
    read_by_whole, read[:] = [*read], []
    module = importlib.import_module(f"cxrloc.cli.{command}")

    def breaks_off(items: Iterable[object], quiet: bool) -> Iterator[object]:
        for count, item in enumerate(with_progress(items, quiet)):
            if count == 2:
                raise KeyboardInterrupt
            yield item

    with monkeypatch.context() as patch:
        patch.setattr(module, "with_progress", breaks_off)
        stopped = once("out")
    assert stopped.exit_code == 130
    assert stopped.stderr.startswith("Interrupted after 3 of ")
    assert not [*(tmp_path / "out").glob("*.csv")]
    read.clear()
    again = once("out")
    assert again.exit_code == 0
    assert "goes on after 3 images of the interrupted run" in again.stderr
    assert [*dict.fromkeys(read)][:1] != read_by_whole[:1]
    tables = {path.name for path in (tmp_path / "whole").glob("*.csv")}
    assert tables == {path.name for path in (tmp_path / "out").glob("*.csv")}
    for name in tables:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    refused = run(command, chests, *common, "--seed", "9", "--out", tmp_path / "out")
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr


def noted(function: Callable[..., object], seen: list[Path]) -> Callable[..., object]:
    """The function, which notes the paths that it was called with."""

    def call(path: Path, **options: object) -> object:
        seen.append(path)
        return function(path, **options)

    return call


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--detections", __file__, "--maps", __file__), "exclude each other"),
        (("--detections", __file__, "--sensitivity"), "--detections has none"),
        (("--maps", __file__, "--boxes-for", "predicted"), "needs a model with operating points"),
        (("--boxes-for", "everyone"), "choose from annotated, labelled, predicted, all"),
    ],
)
def test_bench_refuses_what_makes_no_sense(arguments: tuple[str, ...], message: str) -> None:
    done = run("bench", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 cut", {"findings": ["Mass"], "maps": np.zeros((1, 0, 4))}]
)
def test_maps_that_are_none_are_named(
    chests: Path, tmp_path: Path, content: bytes | dict[str, object]
) -> None:
    for name in pd.read_csv(chests / "BBox_List_2017.csv").iloc[:, 0].unique():
        path = tmp_path / f"{Path(name).stem}.npz"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            np.savez(path, rows=128, columns=128, **content)
    done = run("bench", chests, "--maps", tmp_path, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert ".npz: " in done.stderr


def test_a_box_list_alone_has_no_labelled_pairs(chests: Path, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("image,finding,x_min,y_min,x_max,y_max\na,Mass,1,1,9,9\n")
    scored = ("--detections", boxes, "--boxes-for", "labelled", "--resamples", "20")
    done = run("bench", boxes, *scored, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "has no image-level labels beside its boxes" in done.stderr
    image, finding = pd.read_csv(chests / "BBox_List_2017.csv").iloc[0, :2]
    boxes.write_text(f"image,finding,x_min,y_min,x_max,y_max\n{image},{finding},1,1,9,9\n")
    assert run("bench", chests, *scored, "--out", tmp_path / "out").exit_code == 0


@pytest.mark.parametrize("command", ["heatmap", "bench", "classify", "compare", "trust"])
def test_an_output_folder_that_cannot_be_made_is_wrong_usage_before_any_work(
    chests: Path, tmp_path: Path, command: str
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    read = {"heatmap": [chests / "images"], "compare": [chests, chests / "images"]}
    done = run(command, *read.get(command, [chests]), "--out", taken / "out")
    assert done.exit_code == 2
    assert done.stderr == f"Error: --out {taken / 'out'}: Not a directory\n"


def test_a_folder_that_is_no_data_set_is_one_clear_line(tmp_path: Path) -> None:
    done = run("bench", tmp_path, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert str(tmp_path) in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    path = tmp_path / "reports.csv"
    path.write_text("id,text,by\na,Small effusion. Possible mass.,x\nb\nc,No effusion.,x\n")
    return path


def test_label_does_the_good_reports_and_names_the_bad_one(reports: Path, tmp_path: Path) -> None:
    gold = tmp_path / "gold.csv"
    gold.write_text("id,Effusion,Mass,normal\na,1,1,0\nc,0,0,1\n")
    out = tmp_path / "labels.csv"
    done = run("label", reports, "--out", out, "--gold", gold, "--explain")
    assert done.exit_code == 1
    assert done.stderr.startswith("b: reports.csv, row 3: 1 cells where the heading has 3")
    assert done.stderr.count("\n") == 1
    assert pd.read_csv(out, index_col="report_id")["Effusion"].to_dict() == {"a": 1, "c": 0}
    for shown in ("2 reports labelled, 1 not read", "Wang 2017 on OpenI", "Total without Hernia"):
        assert shown in done.stdout
    for name in ("labels_explanations.csv", "labels_scores.csv"):
        assert str(tmp_path / name) in done.stdout
        assert (tmp_path / name).is_file()


def test_label_is_quiet_if_asked(reports: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    assert run("label", reports, "--out", out, "--quiet").stdout == ""
    assert run("label", reports, "--out", out, "--quiet", "--cluster", "2").stdout == ""


def test_label_can_cluster_instead(reports: Path, tmp_path: Path) -> None:
    done = run("label", reports, "--out", tmp_path / "labels.csv", "--cluster", "2")
    assert done.exit_code == 1
    assert done.stderr.startswith("b: reports.csv, row 3: 1 cells where the heading has 3")
    assert done.stderr.count("\n") == 1
    assert "of 2 reports are in these clusters; 1 not read" in done.stdout
    assert (tmp_path / "labels_clusters.csv").is_file()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--vocabulary", "mimic"), 2, "choose from chestxray14, chexpert"),
        (("--engine", "oracle"), 2, "choose from scope, dependency"),
        (("--cluster", "2", "--explain"), 2, "--cluster excludes"),
        (("--section", "impression"), 2, "--section is for clusters"),
        (("--out-of", "5"), 2, "--out-of is for clusters"),
        (("--cluster", "3", "--out-of", "2"), 1, "3 labels out of 2 clusters"),
        (("--gold", "no-such.csv"), 2, "no-such.csv: no such file"),
    ],
)
def test_label_refuses_what_makes_no_sense(
    reports: Path, tmp_path: Path, arguments: tuple[str, ...], status: int, message: str
) -> None:
    done = run("label", reports, "--out", tmp_path / "labels.csv", *arguments)
    assert done.exit_code == status
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["bench", "heatmap", "archive"])
def test_boxes_are_drawn_above_the_thresholds_of_wang_unless_others_are_given(name: str) -> None:
    (command,) = [c for c in app.registered_commands if c.callback and c.callback.__name__ == name]
    assert command.callback is not None
    default = inspect.signature(command.callback).parameters["threshold"].default
    assert default == [60.0, 180.0]  # Wang et al. 2017, section 3.2
    assert ReportSettings().thresholds == ScoringProtocol().box_thresholds == tuple(default)
