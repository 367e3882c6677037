import csv
import hashlib
from importlib.resources import files

import pandas as pd
import pytest

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.published import (
    CHEXLOCALIZE,
    beside,
    protocols,
    published,
    published_means,
    published_tables,
)
from cxrloc.findings import CHESTXRAY8, CHESTXRAY14

SOURCES = ("wang2017", "dong2017", "rubin2018", "pham2019", "baltruschat2019")


@pytest.mark.parametrize("name", published_tables())
def test_every_table_has_numbers_with_row_and_citation(name):
    frame = published(name)
    assert len(frame) > 0
    assert (frame["row"] != "").all()
    assert frame["citation"].str.contains("201[79]|2018|settings name").all()
    assert not frame.duplicated(
        ["setting", "finding", "criterion", "threshold", "metric", "row"]
    ).any()


@pytest.mark.parametrize("paper", SOURCES)
def test_no_number_is_shipped_that_the_list_of_tables_does_not_name(paper):
    names = [name for name in published_tables() if name.startswith(paper)]
    counts = {
        "wang2017": 640,
        "dong2017": 84,
        "rubin2018": 148,
        "pham2019": 66,
        "baltruschat2019": 18,
    }
    assert sum(len(published(name)) for name in names) == counts[paper]


@pytest.mark.parametrize("paper", SOURCES)
def test_shipped_numbers_are_those_extracted_from_the_papers(shared, paper):
    values = {
        "counts": ("images", "overlap"),
        "labeler": ("precision", "recall", "f1"),
        "auc": ("auc",),
        "localization": ("accuracy", "afp"),
        "labels": ("total", "single"),
        "single": ("specificity", "sensitivity", "top3_sensitivity"),
        "prevalence": ("images", "percent_of_positive_labels"),
        "splits": ("train", "validation", "test"),
        "text": ("value",),
    }
    extracted = []
    for path in (shared / "papers").glob(f"{paper}_*.csv"):
        with path.open() as stream:
            for row in csv.DictReader(stream):
                extracted += [
                    (row.get("table", "text"), float(row[column]))
                    for column in values[path.stem.split("_")[1]]
                ]
    shipped = [
        (name.split(":")[1], value)
        for name in published_tables()
        if name.startswith(paper)
        for value in published(name)["value"]
    ]
    assert sorted(shipped) == sorted(extracted)


def test_an_unknown_table_names_those_there_are():
    with pytest.raises(CxrlocError, match=r"no published table 'wang2017:5': there are wang2017:1"):
        published("wang2017:5")


def test_a_metric_that_the_table_lacks_is_named():
    measured = pd.DataFrame({"finding": ["Mass"]})
    with pytest.raises(CxrlocError, match="wang2017:4 has no auc: it has accuracy, afp"):
        beside(measured, "wang2017:4", "auc")


def test_localization_rows_meet_by_finding_criterion_and_threshold():
    measured = pd.DataFrame(
        {
            "finding": ["Mass", "Mass", "Mass", "mean"],
            "criterion": ["iobb", "iobb", "iou", "iobb"],
            "threshold": [0.1, 0.25, 0.1, 0.1],
        }
    )
    shown = beside(measured, "wang2017:4", "accuracy")
    column = shown["accuracy (Wang et al. 2017, Table 4: ChestX-ray8)"]
    assert column[:2].tolist() == [0.4352, 0.2823]
    assert column[2:].isna().all()


def test_localization_tables_do_not_stand_beside_rows_without_thresholds():
    with pytest.raises(CxrlocError, match="lack criterion, threshold"):
        beside(pd.DataFrame({"finding": ["Mass"]}), "wang2017:4", "accuracy")


def test_each_setting_of_a_table_is_a_column_and_the_mean_meets_the_average():
    findings = published_means(["rubin2018:4"])["mean of rubin2018:4"]
    assert len(findings) == 14
    measured = pd.DataFrame(
        {"finding": ["Pleural_Thickening", "mean"], "averaged": [(), findings[::-1]]}
    )
    shown = beside(measured, "rubin2018:4", "auc")
    assert shown.columns.tolist() == [
        *("finding", "averaged"),
        *(f"auc (Rubin et al. 2018, Table 4: {view})" for view in ("PA", "AP", "Lateral")),
    ]
    assert shown.iloc[:, 2].tolist() == [0.688, 0.702]


def test_a_mean_stands_beside_a_mean_over_the_same_findings_only():
    five = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion")
    measured = pd.DataFrame(
        {"finding": ["mean", "mean of pham2019:2"], "averaged": [(*five, "Mass"), five]}
    )
    shown = beside(measured, "pham2019:2", "auc")
    assert shown.iloc[0, -1] is pd.NA
    assert shown.iloc[1, -1] == 0.94
    assert published_means(["pham2019:2", "wang2017:4", "dong2017:text"]) == {
        "mean of pham2019:2": five
    }


def test_the_mean_of_a_text_is_over_findings_and_not_over_view_and_sex():
    assert published_means(["baltruschat2019:text"]) == {
        "mean of baltruschat2019:text": CHESTXRAY14
    }
    measured = pd.DataFrame({"finding": ["mean"], "averaged": [CHESTXRAY14], "auc": [0.8]})
    shown = beside(measured, "baltruschat2019:text", "auc").iloc[0]
    fine_tuned = "auc (Baltruschat et al. 2019, text: fine-tuned ResNet-50)"
    assert shown[fine_tuned] == 0.819


def test_a_mean_without_findings_beside_it_is_over_all_measured_rows():
    both = pd.DataFrame({"finding": ["Effusion", "mean"], "auc": [0.9, 0.9]})
    assert beside(both, "pham2019:2", "auc").iloc[:, -1].tolist() == [0.964, pd.NA]


@pytest.mark.parametrize("name", ["pham2019:1", "pham2019:2", "rubin2018:4", "rubin2018:5"])
def test_a_published_mean_is_that_of_its_printed_rows(name):
    numbers = published(name)
    for _, part in numbers.groupby("setting"):
        mean = part.loc[part["finding"] == "mean", "value"].item()
        # The papers round; Pham et al. give .938 and .940 for one number.
        assert part.loc[part["finding"] != "mean", "value"].mean() == pytest.approx(
            mean, abs=0.0035
        )


def test_later_methods_stand_beside_a_mean_over_the_eight_boxed_findings_only():
    rows = [(CHESTXRAY8, "mean"), (CHESTXRAY8[:5], "mean")]
    measured = pd.DataFrame(
        {
            "finding": [name for _, name in rows],
            "averaged": [findings for findings, _ in rows],
            "criterion": "iou",
            "threshold": 0.3,
        }
    )
    shown = beside(measured, "later:iou", "accuracy")
    heading = "accuracy (Methods after 2017, Table iou: PCAN 2022 (second hand))"
    assert shown[heading].tolist() == [0.36, pd.NA]


def test_numbers_read_second_hand_are_marked_in_every_heading_and_protocol():
    known = protocols([name for name in published_tables() if name.startswith("later:")])
    second = known["read"] == "second hand"
    assert second.sum() == 6
    assert (known["setting"].str.contains("second hand") == second).all()


def test_hit_rates_on_chexlocalize_are_means_over_its_nine_pathologies():
    rows = [(CHEXLOCALIZE, "mean"), (CHESTXRAY8, "mean")]
    measured = pd.DataFrame(
        {
            "finding": [name for _, name in rows],
            "averaged": [findings for findings, _ in rows],
            "criterion": "point",
            "threshold": 0.0,
        }
    )
    shown = beside(beside(measured, "later:chexlocalize", "hit_rate"), "later:point", "hit_rate")
    own = "hit_rate (Methods after 2017, Table chexlocalize: radiologist)"
    assert shown[own].tolist() == [0.801, pd.NA]
    of_boxes = "hit_rate (Methods after 2017, Table point: DenseNet-121 CAM 2026)"
    assert shown[of_boxes].tolist() == [pd.NA, 0.493]


@pytest.mark.parametrize(
    "name",
    ["wang2017:4", "wang2017:7", "wang2017:19", *(t for t in published_tables() if "later" in t)],
)
def test_every_setting_of_a_localization_table_has_its_protocol(name):
    known = protocols([name])
    assert set(known["setting"]) == set(published(name)["setting"])
    assert (known != "").all(axis=None)


DIGESTS = {
    "wang2017": "9452723df1bd4ea0",
    "dong2017": "a58b36669964cf01",
    "rubin2018": "0a4280d4f789acfb",
    "pham2019": "17ba30766addde0f",
    "baltruschat2019": "a578cae01a4325c1",
    "later": "66ae17155d440886",
    "protocols": "c500da538b3bea0a",
    "tables": "65d7fb8e3acf27a9",
    "papers": "3f53dc589105d7cd",
}
"""SHA-256 of each file, so that two exchanged cells, findings or captions are noticed."""


@pytest.mark.parametrize("paper", DIGESTS)
def test_no_cell_of_a_shipped_table_has_changed(paper):
    content = (files("cxrloc.evaluation") / "published" / f"{paper}.csv").read_bytes()
    assert hashlib.sha256(content).hexdigest().startswith(DIGESTS[paper])
