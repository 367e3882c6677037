"""`label` from end to end, on small reports written here."""

import csv
import io
import sys
import tarfile
from pathlib import Path

import pytest

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.evaluation.published import cited
from cxrloc.evaluation.report_labels.gold_scores import TABLE_2_TOTAL, beside_rows, interval_rows
from cxrloc.findings import CHESTXRAY8
from cxrloc.pipeline.label import ClusterConfig, LabelOptions, cluster, label, notes_on
from cxrloc.reports.label_file import Written


def table(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n")
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Four reports, of which one is broken."""
    return table(
        tmp_path / "reports.csv",
        "id,text,by",
        "a,Small effusion. Possible mass. No edema.,x",
        "b,Lungs are clear.,x",
        "c",
        "d,Possible effusion.,x",
    )


def test_an_archive_becomes_labels_and_a_bad_report_a_failure(tmp_path: Path) -> None:
    archive = tmp_path / "reports.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in {
            "1.xml": b'<r><uId id="CXR1"/><AbstractText>Small effusion.</AbstractText></r>',
            "2.xml": b"<r><AbstractText>never closed",
        }.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    out = tmp_path / "new" / "labels.csv"
    result = label(archive, out, LabelOptions())
    ((failed, reason),) = result.failures
    assert (result.reports, failed, result.scores) == (1, "2", None)
    assert reason.startswith("XML cannot be read")
    (row,) = read(out)
    assert {name: cell for name, cell in row.items() if cell} == {
        "report_id": "CXR1",
        "Effusion": "1",
        "normal": "0",
    }
    assert list(out.parent.iterdir()) == [out]


def test_rows_that_could_be_misunderstood_are_counted(reports: Path, tmp_path: Path) -> None:
    table(reports, "id,text", "a,Possible mass.", "b,No mass.", "c,nan", "d,Mass. Possible edema.")
    result = label(reports, tmp_path / "labels.csv", LabelOptions())
    assert (result.reports, result.failures) == (3, [])
    assert result.notes == [
        "1 report has no text under findings or impression, and therefore no labels.",
        "1 report is called `normal` although a finding in it is uncertain (Wang et al. 2017 count "
        "uncertain as absent).",
    ]
    assert notes_on(Written(5, without_text=2, open_normal=3)) == [
        "2 reports have no text under findings or impression, and therefore no labels.",
        "3 reports are called `normal` although a finding in them is uncertain (Wang et al. 2017 "
        "count uncertain as absent).",
    ]


def test_explanations_stand_beside(reports: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    result = label(reports, out, LabelOptions(explain=True, vocabulary="chexpert"))
    assert result.files == [out, tmp_path / "labels_explanations.csv"]
    why = read(result.files[1])
    assert [(row["report_id"], row["finding"], row["rule"]) for row in why] == [
        ("a", "Pleural Effusion", "mentioned"),
        ("a", "Lung Lesion", "uncertain after: possible"),
        ("a", "Edema", "negated after: no"),
        ("d", "Pleural Effusion", "uncertain after: possible"),
    ]
    assert {row["sentence"][int(row["start"]) : int(row["end"])] for row in why} == {
        "effusion",
        "mass",
        "edema",
    }


def test_scores_by_both_readings_beside_the_published_ones(reports: Path, tmp_path: Path) -> None:
    gold = table(
        tmp_path / "gold.csv",
        "filename,Effusion,Mass,normal",
        "a,1,0,0",
        "b,0,0,1",
        "d,1,0,0",
        "z,1,1,0",
    )
    result = label(reports, tmp_path / "labels.csv", LabelOptions(gold=gold))
    assert result.scores is not None
    assert (result.scores.reports, result.scores.missing) == (3, 1)
    files = {file.stem: read(file) for file in result.files if file.suffix == ".csv"}
    rows = {(row["uncertain_as"], row["finding"]): row for row in files["labels_scores"]}

    def counts(uncertain_as: str, finding: str) -> list[int]:
        row = rows[uncertain_as, finding]
        return [int(row[f"{of}s"]) for of in ("true_positive", "false_positive", "false_negative")]

    assert counts("negative", "Effusion") == [1, 0, 1]
    assert counts("positive", "Effusion") == [2, 0, 0]
    assert counts("positive", "Mass") == [0, 1, 0]
    assert counts("positive", "Total") == [2, 1, 0]
    assert counts("negative", "Normal") == [1, 1, 0]  # d leaves its effusion open
    by_finding = {row[0]: row for row in interval_rows(result.frame)}
    assert by_finding["Effusion"][1:4] == ["1", "0", "1"]
    assert by_finding["Effusion"][5].startswith("0.500 (")
    assert by_finding["Mass"][4] == "not defined"
    shown = {
        name: {row[0]: row[1:] for row in beside_rows(result.frame, table, cited(name))}
        for name, table in result.beside.items()
    }
    assert shown["wang2017:18"]["Effusion"] == [
        "1.000 / 0.500 / 0.667",
        "1.000 / 1.000 / 1.000",
        "0.966 / 0.875 / 0.918",
        "0.903 / 0.875 / 0.889",
    ]
    assert shown["wang2017:18"]["Total"][2] == "0.898 / 0.850 / 0.873"
    table_2 = shown["wang2017:2"]
    assert list(table_2)[1:] == [*CHESTXRAY8, "Normal", TABLE_2_TOTAL]
    assert table_2["Normal"][2] == "0.870 / 0.990 / 0.930"
    # Effusion of d is missed and its report called normal; a and b are right.
    total = table_2[TABLE_2_TOTAL]  # Normal is in no table that counts uncertain as positive
    assert total[:3] == ["0.667 / 0.667 / 0.667", "", "0.900 / 0.910 / 0.900"]
    assert "labels_beside_wang2017_2" in files


def test_gold_labels_of_another_vocabulary_are_scored_without_published_ones(
    reports: Path, tmp_path: Path
) -> None:
    gold = table(tmp_path / "gold.csv", "id,Lung Lesion", "a,1", "b,")
    options = LabelOptions(gold=gold, vocabulary="chexpert")
    result = label(reports, tmp_path / "labels.csv", options)
    assert result.scores is not None
    findings = result.frame["finding"].tolist()
    assert "Total" in findings
    assert "Normal" not in findings  # the gold labels do not say
    assert "Total without Hernia" not in findings
    assert not result.beside


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        (("id,Mass", "z,1"), "none of the 1 reports of the gold labels .* 'z', here as 'a'"),
        (("id,Rash", "a,1"), "no finding of chestxray14"),
    ],
)
def test_gold_labels_of_something_else_are_an_error(
    reports: Path, tmp_path: Path, gold: tuple[str, ...], message: str
) -> None:
    options = LabelOptions(gold=table(tmp_path / "gold.csv", *gold))
    with pytest.raises(CxrlocError, match=message):
        label(reports, tmp_path / "labels.csv", options)


def test_clusters_are_labels_with_their_members_beside(tmp_path: Path) -> None:
    texts = ["small effusion", "small efusion", "small effusion", "mass in the upper lobe"]
    reports = table(
        tmp_path / "reports.csv", "id,text", *(f"{i},{text}" for i, text in enumerate(texts)), "9"
    )
    result = cluster(reports, tmp_path / "labels.csv", ClusterConfig(1))
    (one,) = result.clustering.clusters
    assert (one.medoid, one.reports, result.clustering.coverage) == ("small effusion", 3, 0.75)
    assert [row["small effusion"] for row in read(tmp_path / "labels.csv")] == ["1", "1", "1", ""]
    ((failed, reason),) = result.failures
    assert failed == "9"
    assert reason.startswith("reports.csv, row 6: 1 cells where the heading has 2 columns")
    assert result.files[1] == tmp_path / "labels_clusters.csv"
    assert read(result.files[1])[0]["count"] == "2"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (LabelOptions(vocabulary="mimic"), "choose from chestxray14, chexpert"),
        (LabelOptions(engine="oracle"), "choose from scope, dependency"),
    ],
)
def test_unknown_names_are_wrong_usage(
    reports: Path, tmp_path: Path, options: LabelOptions, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        label(reports, tmp_path / "labels.csv", options)


def test_a_missing_package_is_named_with_what_to_install(
    reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    monkeypatch.setitem(sys.modules, "rapidfuzz.distance", None)
    out = tmp_path / "labels.csv"
    with pytest.raises(CxrlocError, match=r"spacy: pip install 'cxrloc\[reports\]'"):
        label(reports, out, LabelOptions(engine="dependency"))
    with pytest.raises(CxrlocError, match=r"rapidfuzz: pip install 'cxrloc\[reports\]'"):
        cluster(reports, out, ClusterConfig(1))
    assert not out.exists()


def test_nothing_that_is_read_is_overwritten_and_no_older_file_lost(
    reports: Path, tmp_path: Path
) -> None:
    gold = table(tmp_path / "gold.csv", "id,Mass", "a,1")
    older = table(tmp_path / "older.csv", "kept")
    places = (reports, gold), (reports, older / "below.csv"), (tmp_path, tmp_path / "new.csv")
    for folder, out in ((reports, reports), *places):
        with pytest.raises(UsageError, match="--out"):
            label(folder, out, LabelOptions(gold=gold))
    with pytest.raises(CxrlocError, match="no such file"):
        label(tmp_path / "missing.csv", older, LabelOptions())
    with pytest.raises(CxrlocError, match="no report in it"):
        label(table(tmp_path / "none.csv", "id,text"), older, LabelOptions())
    assert older.read_text() == "kept\n"
