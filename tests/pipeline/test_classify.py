"""`classify` from end to end, on phantoms and an untrained model."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxrloc.datasets import read_dataset
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.evaluation.classification.prediction_files import read_predictions, write_predictions
from cxrloc.evaluation.classification.ranking import auc
from cxrloc.evaluation.resampling import Resampling
from cxrloc.findings import CHESTXRAY8
from cxrloc.inference.prepared import InferenceSettings
from cxrloc.models.card import ModelCard, card_patient
from cxrloc.models.weights import read_model, write_model
from cxrloc.phantom import write_phantoms
from cxrloc.pipeline.classify import classify
from cxrloc.pipeline.classify_options import ClassifyOptions
from cxrloc.types import Label, Predictions

FEW = Resampling(resamples=20)
FILES = [
    "auc",
    "classification",
    "confusion",
    "image_precision",
    "images",
    "probabilities",
    "reliability",
    "roc",
    "roc_bands",
    "single_findings",
]


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty phantoms on disk, one of whose images cannot be read and one is absent."""
    folder = tmp_path_factory.mktemp("data") / "chests"
    records = write_phantoms(folder, 20, seed=3, size=96)
    records[0].path.write_bytes(b"\x89PNG broken")
    records[1].path.unlink()
    return folder


@pytest.fixture(scope="module")
def informed(chests: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Probabilities that know something of every image of `chests`."""
    records = read_dataset(chests)
    truth = [[record.labels[f] is Label.POSITIVE for f in CHESTXRAY8] for record in records]
    scores = np.random.default_rng(0).uniform(0.0, 0.6, (len(records), 8)) + 0.4 * np.array(truth)
    path = tmp_path_factory.mktemp("predictions") / "informed.csv"
    ids = tuple(record.image_id for record in records)
    write_predictions(Predictions(ids, CHESTXRAY8, scores), path)
    return path


def test_calibrated_probabilities_are_scored_and_raw_ones_stand_beside_them(
    chests: Path, untrained_model: Path, tmp_path: Path
) -> None:
    """Calibration moves probabilities and thresholds together, so decisions and AUC stay."""
    plain = read_model(untrained_model)
    # All findings but Mass are far rarer than the raw probabilities say.
    rare = {finding: (1.0, -3.0) for finding in plain.card.findings if finding != "Mass"}
    card = replace(plain.card, calibration=rare)
    path = tmp_path / "calibrated.safetensors"
    write_model(path, plain.network, plain.preprocessing, card, plain.typical)
    tables = {}
    for name, model in (("raw", untrained_model), ("calibrated", path)):
        options = ClassifyOptions((str(model),), resampling=FEW)
        classify(chests, tmp_path / name, options)
        own = read_predictions(tmp_path / name / "probabilities.csv")
        run = json.loads((tmp_path / name / "run.json").read_text())
        confusion = pd.read_csv(tmp_path / name / "confusion.csv")
        tables[name] = own, run["operating_points"], confusion, auc_of(tmp_path / name)
        (said,) = (note for note in run["notes"] if note.startswith("not calibrated"))
        lacking = ["Mass"] if name == "calibrated" else plain.card.findings
        assert said.endswith(f"`probability` is the raw one: {', '.join(lacking)}")
    (raw, points, decided, ranked), (own, moved, again, ranked_again) = tables.values()
    beside = read_predictions(tmp_path / "calibrated/raw_probabilities.csv")
    np.testing.assert_array_equal(beside.probabilities, raw.probabilities)
    assert not (tmp_path / "raw/raw_probabilities.csv").exists()
    column = raw.findings.index("Effusion")
    odds = raw.probabilities / (1 - raw.probabilities) * np.exp(-3)
    np.testing.assert_allclose(
        own.probabilities[:, column], (odds / (1 + odds))[:, column], rtol=1e-4
    )
    mass = raw.findings.index("Mass")
    np.testing.assert_array_equal(own.probabilities[:, mass], raw.probabilities[:, mass])
    threshold = points["Effusion"]["threshold"]
    expected = 1 / (1 + np.exp(3) * (1 - threshold) / threshold)
    assert moved["Effusion"]["threshold"] == pytest.approx(expected)
    counts = ["true_positives", "false_positives", "false_negatives", "true_negatives"]
    pd.testing.assert_frame_equal(decided[counts], again[counts])
    pd.testing.assert_series_equal(ranked, ranked_again)


def auc_of(folder: Path) -> pd.Series:
    return pd.read_csv(folder / "auc.csv").set_index("finding")["auc"]


@pytest.mark.usefixtures("with_roc_figure")
def test_a_model_is_scored_and_images_it_cannot_see_are_named(
    chests: Path, untrained_model: Path, tmp_path: Path
) -> None:
    settings = InferenceSettings(batch_size=4)
    options = ClassifyOptions((str(untrained_model),), resampling=FEW, inference=settings)
    result = classify(chests, tmp_path, options)
    records = read_dataset(chests)
    broken, absent = records[0].image_id, records[1].image_id
    run = json.loads((tmp_path / "run.json").read_text())
    assert [failure.image_id for failure in result.failures] == [broken]
    assert (list(run["failed_images"]), run["missing_images"]) == ([broken], [absent])
    assert run["predicted_images"] == result.report.units == 18
    assert run["operating_points"]["Mass"]["rule"] == "model card"
    assert sorted(path.stem for path in tmp_path.glob("*.csv")) == FILES
    written = {"table.md", "table.tex", "roc.png", "roc.pdf", "run.json"}
    assert written <= {path.name for path in tmp_path.iterdir()}


def test_the_written_auc_is_that_of_the_written_probabilities(
    chests: Path, informed: Path, tmp_path: Path
) -> None:
    classify(chests, tmp_path, ClassifyOptions((), informed, resampling=FEW))
    scores = read_predictions(tmp_path / "probabilities.csv").probabilities
    truth = np.array([r.labels["Effusion"] is Label.POSITIVE for r in read_dataset(chests)])
    rows = pd.read_csv(tmp_path / "auc.csv").set_index(["group", "finding"])
    expected = auc(truth, scores[:, CHESTXRAY8.index("Effusion")])
    assert rows.loc[("all", "Effusion"), "auc"] == pytest.approx(expected, abs=1e-5)


def test_without_a_model_card_thresholds_are_marked_as_chosen_on_the_same_patients(
    chests: Path, informed: Path, tmp_path: Path
) -> None:
    classify(chests, tmp_path, ClassifyOptions((), informed, resampling=FEW))
    rows = pd.read_csv(tmp_path / "confusion.csv")
    assert set(rows["chosen_on"]) == {"the same patients"}


@pytest.mark.parametrize(
    ("judge", "chosen_on", "warned"),
    [
        (None, "patients that its card does not name", {}),
        ("elsewhere", "other patients", {}),
        ("here", "the same patients", {"the weights or thresholds of chosen": 3}),  # all his images
    ],
)
def test_thresholds_of_a_card_are_held_out_only_where_they_were_chosen_on_others(
    chests: Path,
    model_chosen_by: Callable[[str | None], Path],
    tmp_path: Path,
    judge: str | None,
    chosen_on: str,
    warned: dict[str, int],
) -> None:
    options = ClassifyOptions((str(model_chosen_by(judge)),), resampling=FEW)
    run = classify(chests, tmp_path, options).run
    assert {point["chosen_on"] for point in run["operating_points"].values()} == {chosen_on}
    assert {text.split(" were")[0]: n for text, n in run["warnings"].items()} == warned


@pytest.fixture
def model_chosen_by(
    chests: Path, untrained_model: Path, tmp_path: Path
) -> Callable[[str | None], Path]:
    """Writes a model that these patients, others, or nobody named chose."""
    model = read_model(untrained_model)
    judges = {"here": read_dataset(chests)[5].patient_id, "elsewhere": "nobody of these"}

    def write(judge: str | None) -> Path:
        named = () if judge is None else (card_patient(judges[judge], public=True),)
        card = replace(model.card, name="chosen", validation_patients=named)
        write_model(tmp_path / "chosen.safetensors", model.network, model.preprocessing, card)
        return tmp_path / "chosen.safetensors"

    return write


def test_a_tuning_part_chooses_thresholds_and_is_not_scored(
    chests: Path, informed: Path, tmp_path: Path
) -> None:
    options = ClassifyOptions((), informed, unit="patient", tuning=0.5, resampling=FEW)
    report = classify(chests, tmp_path, options).report
    run = json.loads((tmp_path / "run.json").read_text())
    patients = {record.patient_id for record in read_dataset(chests)}
    assert report.units + run["tuning"]["units"] == len(patients)
    assert set(pd.read_csv(tmp_path / "confusion.csv")["chosen_on"]) == {"other patients"}


@pytest.mark.parametrize(("split", "images"), [("test", "test_list"), ("train_val", "train_val")])
def test_an_official_list_can_be_scored_alone(
    chests: Path, informed: Path, tmp_path: Path, split: str, images: str
) -> None:
    options = ClassifyOptions((), informed, split=split, resampling=FEW)
    classify(chests, tmp_path, options)
    (names,) = chests.glob(f"{images}*.txt")
    seen = read_predictions(tmp_path / "probabilities.csv").image_ids
    assert sorted(seen) == sorted(name[:-4] for name in names.read_text().split())


def test_an_empty_part_is_said_to_be_empty(chests: Path, informed: Path, tmp_path: Path) -> None:
    shutil.copytree(chests, tmp_path / "chests")
    (tmp_path / "chests/test_list.txt").write_text("")
    with pytest.raises(CxrlocError, match=r"--split test: that part is empty \(.*chests"):
        classify(tmp_path / "chests", tmp_path, ClassifyOptions((), informed, split="test"))


def test_published_numbers_stand_beside_the_measured(
    chests: Path, informed: Path, tmp_path: Path
) -> None:
    options = ClassifyOptions((), informed, beside=("wang2017:17",) * 2, resampling=FEW)
    shown = classify(chests, tmp_path, options).beside
    assert shown is not None
    published = shown.set_index("finding")[
        "auc (Wang et al. 2017, Table 17: ChestX-ray14 ResNet-50)"
    ]
    assert published["Effusion"] == 0.7585
    assert "Wang X" in (tmp_path / "table_beside.md").read_text()


@pytest.mark.usefixtures("with_roc_figure")
@pytest.mark.parametrize(
    ("findings", "images", "tuning", "defined"),
    [
        (("Hernia",), 20, 0.0, 0),  # never positive: no curve and no operating point
        (("Hernia",), 20, 0.5, 0),  # nor one among other patients
        (("Mass", "Hernia"), 1, 0.0, 0),  # one image has one class
        (("Effusion",), 20, 0.0, 1),
    ],
)
def test_what_has_no_curve_and_no_operating_point_is_said_and_ends_nothing(
    chests: Path,
    tmp_path: Path,
    findings: tuple[str, ...],
    images: int,
    tuning: float,
    defined: int,
) -> None:
    ids = tuple(record.image_id for record in read_dataset(chests)[:images])
    scores = np.random.default_rng(0).uniform(size=(images, len(findings)))
    write_predictions(Predictions(ids, findings, scores), tmp_path / "few.csv")
    options = ClassifyOptions((), tmp_path / "few.csv", tuning=tuning, html=True, resampling=FEW)
    classify(chests, tmp_path / "out", options)
    areas = pd.read_csv(tmp_path / "out" / "auc.csv").query("group == 'all' and finding != 'mean'")
    assert areas["auc"].notna().sum() == defined
    assert areas.loc[areas["auc"].isna(), "note"].str.contains("; not defined: no ").all()
    assert len(pd.read_csv(tmp_path / "out" / "confusion.csv")) == defined
    assert (tmp_path / "out" / "roc.png").is_file()


def test_predictions_of_other_images_are_refused(chests: Path, tmp_path: Path) -> None:
    given = tmp_path / "other.csv"
    given.write_text("image,Mass\nx,0.5\ny,0.4\n")
    with pytest.raises(CxrlocError, match=r"other\.csv: none of its 2 images is in .*chests"):
        classify(chests, tmp_path / "out", ClassifyOptions((), given))


def test_a_model_is_not_judged_on_its_own_patients(
    chests: Path, untrained_model: Path, tmp_path: Path
) -> None:
    model = read_model(untrained_model)
    seen = card_patient(read_dataset(chests)[5].patient_id, public=True)
    card = ModelCard("seen", "one of them", CHESTXRAY8, training_patients=(seen,))
    write_model(tmp_path / "seen.safetensors", model.network, model.preprocessing, card)
    with pytest.raises(CxrlocError, match="seen was trained on 1 of these patients"):
        classify(chests, tmp_path, ClassifyOptions((str(tmp_path / "seen.safetensors"),)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ClassifyOptions((), beside=("wang2017:5",) * 2),
            "--beside wang2017:5: choose from wang2017:1",
        ),
        (ClassifyOptions((), beside=("wang2017:4",) * 2), "it has accuracy, afp, and none"),
        (ClassifyOptions((), split="best"), "--split best: choose from all, own, train_val"),
    ],
)
def test_a_wrong_name_is_refused_before_any_work(
    chests: Path, tmp_path: Path, options: ClassifyOptions, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        classify(chests, tmp_path, options)


def test_readings_put_radiologists_beside_the_curve(
    chests: Path, informed: Path, tmp_path: Path
) -> None:
    truth = {r.image_id: r.labels["Effusion"] is Label.POSITIVE for r in read_dataset(chests)}
    calls = {"sure": truth.values(), "wrong": (not has for has in truth.values())}
    rows = [
        f"{reader},{image_id},{call:d}"
        for reader, said in calls.items()
        for image_id, call in zip(truth, said, strict=True)
    ]
    readings = tmp_path / "readings.csv"
    readings.write_text("\n".join(["reader,image,Effusion", *rows]) + "\n")
    options = ClassifyOptions((), informed, readings=readings, resampling=FEW)
    result = classify(chests, tmp_path / "out", options)
    points = pd.read_csv(tmp_path / "out" / "readers.csv").set_index("reader")
    assert points["sensitivity"].to_dict() == {"sure": 1.0, "wrong": 0.0}
    assert points["under_curve"].to_dict() == {"sure": False, "wrong": True}
    assert result.run["readers"] == {
        "mean_under_curve": 1.0,
        "mean_readers": 2.0,
        "mean_auc": 0.5,  # one is always right, the other always wrong
    }


def test_findings_and_projection_are_chosen_and_patients_are_hidden(
    chests: Path, informed: Path, tmp_path: Path
) -> None:
    options = ClassifyOptions(
        (),
        informed,
        projection="frontal",
        findings=("effusion", "Mass"),
        unit="patient",
        resampling=FEW,
    )
    result = classify(chests, tmp_path, options)
    assert result.report.findings == ("Effusion", "Mass")
    mean = next(m for m in result.report.measurements if m.metric == "auc" and m.averaged)
    assert mean.averaged == ("Effusion", "Mass")
    written = pd.read_csv(tmp_path / "image_precision.csv", dtype=str)
    patients = {record.patient_id for record in read_dataset(chests)}
    assert not set(written["unit"]) & patients
    assert result.run["data"]["synthetic"] is True
    assert "measured on synthetic radiographs" in (tmp_path / "table.md").read_text()
    for path in tmp_path.glob("*.csv"):
        if path.stem != "probabilities":  # which other programs read, with a finding per column
            notes = pd.read_csv(path)["note"]
            assert notes.str.startswith("measured on synthetic radiographs").all(), path
    assert len(read_predictions(tmp_path / "probabilities.csv").findings) == 8


def test_published_numbers_beside_synthetic_radiographs_are_asked_for_twice(
    chests: Path, informed: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="synthetic, and published numbers are of patients"):
        classify(chests, tmp_path, ClassifyOptions((), informed, beside=("wang2017:17",)))


def test_labels_of_reports_take_the_place_of_the_data_set_s_own(
    chests: Path, informed: Path, tmp_path: Path
) -> None:
    ids = [record.image_id for record in read_dataset(chests)][:6]
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "\n".join(["report_id,Mass", *(f"{name},{i % 2}" for i, name in enumerate(ids))]) + "\n"
    )
    result = classify(
        chests, tmp_path / "out", ClassifyOptions((), informed, labels=labels, resampling=FEW)
    )
    assert result.report.units == 6
    assert result.run["labels_from"] == f"the file {labels}"


def test_columns_of_labels_that_are_no_findings_and_images_without_labels_are_said(
    chests: Path, informed: Path, tmp_path: Path
) -> None:
    ids = [record.image_id for record in read_dataset(chests)][:6]
    rows = [f"{name},{i % 2},train,{i}" for i, name in enumerate(ids)]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(["report_id,Mass,split,Patient ID", *rows, "zz,1,test,9"]) + "\n")
    options = ClassifyOptions((), informed, labels=labels, findings=("Mass",), resampling=FEW)
    notes = classify(chests, tmp_path / "out", options).run["notes"]
    assert notes[0] == "labels.csv: left out, because they are no findings: split, Patient ID"
    assert notes[1].startswith("labels.csv: labels for 6 of the 20 images, not for ")
    assert notes[1].endswith("; 1 of its 7 rows belong to no image, such as 'zz'")


def test_a_long_list_of_missing_images_has_its_own_file(
    chests: Path, informed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    entries = (chests / "Data_Entry_2017.csv").read_text().splitlines()
    extra = [entries[-1].replace(entries[-1].split(".")[0], f"absent_{i}") for i in range(30)]
    (folder / "Data_Entry_2017.csv").write_text("\n".join([*entries, *extra]) + "\n")
    result = classify(folder, tmp_path / "out", ClassifyOptions((), informed, resampling=FEW))
    assert (result.run["missing"], len(result.run["missing_images"])) == (30, 20)
    named = (tmp_path / "out" / result.run["missing_images_in"]).read_text().split()
    assert (len(named), named[:20]) == (30, result.run["missing_images"])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"operating_point": 0.5}, "--operating-point needs probabilities"),
        ({"inference": InferenceSettings(products=True)}, "--products needs probabilities"),
    ],
)
def test_what_needs_probabilities_refuses_percentages(
    phantoms: Path, tmp_path: Path, settings: dict[str, object], said: str
) -> None:
    ids = "\n".join(
        f"{record.image_id},{number}" for number, record in enumerate(read_dataset(phantoms))
    )
    path = tmp_path / "percent.csv"
    path.write_text(f"image,Mass\n{ids}\n")
    with pytest.raises(CxrlocError, match=said):
        classify(phantoms, tmp_path / "out", ClassifyOptions((), path, **settings))
