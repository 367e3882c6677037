"""Dong et al. 2017, section IV.A: labels from clustered clauses of Chinese diagnoses."""

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cxrloc.cli import app
from cxrloc.recipe import read_recipe
from cxrloc.reports.clauses import cluster_clauses, edit_distances, split_clauses
from cxrloc.reports.read import Report
from tests.pipeline.phantom_layouts import COUNT, openi


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("1.双肺纹理增多。2.主动脉硬化。", ["双肺纹理增多", "主动脉硬化"]),
        ("右肺可见直径12.5mm结节、左肺未见异常", ["右肺可见直径mm结节", "左肺未见异常"]),
    ],
)
def test_clauses_without_digits(text: str, clauses: list[str]) -> None:
    assert split_clauses(text) == clauses


def test_the_edit_distance_counts_insertion_deletion_and_substitution() -> None:
    # one character inserted, deleted, substituted
    words = ["主动脉硬化", "主动脉弓硬化", "主动脉化", "主动脉硬变"]
    assert edit_distances(words)[0].tolist() == [0, 1, 1, 1]


def test_different_wordings_of_a_diagnosis_share_a_label() -> None:
    wordings = [
        "双肺纹理增多",
        "双肺纹理增粗",
        "两肺纹理增多",
        "心影增大",
        "心影稍增大",
        "心影增大",
    ]
    reports = [Report(str(i), text) for i, text in enumerate(wordings)]
    found = cluster_clauses(reports, top=2, clusters=2)
    assert [labels for _, labels in found.labels] == [(0,)] * 3 + [(1,)] * 3
    assert {cluster.medoid for cluster in found.clusters} == {"双肺纹理增多", "心影增大"}


TABLE_1 = {
    "normal": "心肺未见异常",
    "increased lung marking": "双肺纹理增多",
    "aortosclerosis": "主动脉硬化",
    "increased heart shadow": "心影增大",
    "pleural thickening": "胸膜增厚粘连",
    "pulmonary interstitial hyperplasia": "肺间质增生改变",
    "costophrenic angle blunting": "左侧肋膈角变钝",
    "pleural effusion": "右侧胸腔积液",
    "emphysema": "肺气肿",
    "bronchitis": "考虑慢性支气管炎",
}
"""The paper's labels, each with a diagnosis as its reports say it."""

TINY = """
extends = "dong2017_single_vgg16"
start = "scratch"
[preprocessing]
size = 32
[network]
backbone = "small_resnet"
[fit]
batch_size = 4
steps = 1
"""


def run(*arguments: str | Path | int) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """A folder with reports of one diagnosis each, and the names of their clusters."""
    with (tmp_path / "reports.csv").open("w", newline="") as file:
        wordings = [*TABLE_1.values()]
        rows = [[f"CXR{i}", wordings[i % len(wordings)]] for i in range(COUNT)]
        csv.writer(file).writerows([["id", "diagnosis"], *rows])
    names = [[medoid, name] for name, medoid in TABLE_1.items()]
    with (tmp_path / "names.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["medoid", "name"], *names])
    return tmp_path


def clusters(folder: Path, names: str = "names.csv") -> Result:
    command = ["label", folder / "reports.csv", "--cluster", 10, "--names", folder / names]
    return run(*command, "--out", folder / "labels.csv")


def test_named_clusters_train_the_classifier_of_one_label(named: Path) -> None:
    """Reports, clusters, names, a step of training: nobody edits a file of labels."""
    done = clusters(named)
    assert done.exit_code == 0, done.output
    with (named / "labels.csv").open(newline="") as file:
        first, second, *_ = csv.DictReader(file)
    findings = read_recipe("dong2017_single_vgg16").network.findings
    assert {*first} == {"report_id", *findings}
    assert [name for name in findings if first[name] == "1"] == ["No Finding"]
    assert [name for name in findings if second[name] == "1"] == ["increased lung marking"]
    assert second["No Finding"] == "0"
    openi(named / "openi")
    (named / "tiny.toml").write_text(TINY)
    places = ["--cache", named / "cache", "--out", named / "out"]
    data = ["--data", named / "openi", "--labels", named / "labels.csv"]
    done = run("train", named / "tiny.toml", *data, *places)
    assert done.exit_code == 0, done.output
    assert "not learned" not in done.stderr
    assert (named / "out" / "model.safetensors").exists()


def test_clusters_of_one_name_are_one_label_and_those_without_a_name_none(named: Path) -> None:
    text = (named / "names.csv").read_text().replace("aortosclerosis", "normal")
    (named / "names.csv").write_text(text.replace("bronchitis", ""))
    done = clusters(named)
    assert "(left out)" in done.stdout
    with (named / "labels.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    assert len(rows[0]) == 1 + 8
    assert [row["No Finding"] for row in rows[:4]] == ["1", "0", "1", "0"]
    assert {*rows[9].values()} == {"CXR9", "0"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("medoid,name", "cluster,name", "row 1: no column medoid"),
        ("肺气肿", "肺水肿", "'肺水肿' is no cluster; the cluster '肺气肿' is not in it"),
        ("肺气肿", "心影增大", "row 10: '心影增大' is named twice"),
    ],
)
def test_names_of_other_clusters_are_an_error(
    named: Path, old: str, new: str, message: str
) -> None:
    (named / "other.csv").write_text((named / "names.csv").read_text().replace(old, new))
    done = clusters(named, "other.csv")
    assert (done.exit_code, message in done.stderr) == (1, True), done.stderr
    assert not (named / "labels.csv").exists()


def test_the_names_are_not_overwritten(named: Path) -> None:
    (named / "names.csv").rename(named / "labels_clusters.csv")
    done = clusters(named, "labels_clusters.csv")
    assert (done.exit_code, "would be overwritten" in done.stderr) == (2, True), done.stderr
