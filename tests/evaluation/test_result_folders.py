import json
from dataclasses import asdict

import pytest

from cxrloc.datasets.description import labels_sha256
from cxrloc.errors import UsageError
from cxrloc.evaluation.result_folders import (
    DETECTIONS,
    PREDICTIONS,
    Run,
    data_of,
    folds_of,
    labels_of,
    notes_on_other_truth,
    options_of,
    read_run,
)
from cxrloc.inference.image_sets import DataOptions
from cxrloc.types import Label, Record


def card(path, **data):
    return Run({}, {"data": {"path": path, **data}})


def test_a_folder_and_a_table_are_told_apart_by_their_files_and_columns(tmp_path):
    (tmp_path / "p.csv").write_text("image;Mass\na;0,5\n")
    (tmp_path / "d.csv").write_text("image,finding,x_min,y_min,x_max,y_max\n")
    assert list(read_run(tmp_path / "p.csv").files) == [PREDICTIONS]
    assert list(read_run(tmp_path / "d.csv").files) == [DETECTIONS]
    with pytest.raises(UsageError, match="holds neither"):
        read_run(tmp_path)
    (tmp_path / PREDICTIONS).write_text("image,Mass\na,0.5\n")
    (tmp_path / "run.json").write_text(json.dumps({"labels_from": "x"}))
    assert read_run(tmp_path).card == {"labels_from": "x"}


def test_folds_are_the_folders_of_a_run_of_folds_alone(tmp_path):
    for fold in ("fold-1", "fold-0"):
        (tmp_path / fold).mkdir()
        (tmp_path / fold / PREDICTIONS).touch()
    assert folds_of(tmp_path) == ["fold-0", "fold-1"]
    assert folds_of(tmp_path / "fold-0") == []


def test_the_truth_is_where_all_cards_say_and_none_stands_for_phantoms(tmp_path):
    here = str(tmp_path)
    assert data_of({"a": card(here), "b": card(here)}) == (tmp_path, DataOptions())
    assert data_of({"a": card(None), "b": card(None)}) == (None, DataOptions())


def test_options_of_the_data_are_read_back_from_a_card(tmp_path):
    options = DataOptions("ours", labels=tmp_path / "l.csv", finding_columns=("a", "b"))
    written = json.loads(json.dumps({"options": asdict(options)}, default=str))
    assert options_of(written) == options
    runs = {"a": card("x", **written), "b": card("x")}
    with pytest.raises(UsageError, match="a and b were scored with different tables"):
        data_of(runs)
    with pytest.raises(UsageError, match="a and b were scored with different tables"):
        data_of(runs, tmp_path)  # and none of the tables is dropped
    assert data_of({"a": card("x", **written)}, tmp_path) == (tmp_path, options)
    other = tmp_path / "new.csv"
    assert data_of({"a": card("x", **written)}, tmp_path, other).options.labels == other


def test_spellings_of_paths_and_what_is_no_truth_leave_runs_comparable(tmp_path):
    (tmp_path / "x").mkdir()
    table, again = tmp_path / "l.csv", tmp_path / "x" / ".." / "l.csv"
    one = card(str(tmp_path), options={"labels": str(table)})
    two = card(f"{tmp_path}/x/..", options={"labels": str(again), "max_megapixels": 150})
    assert data_of({"a": one, "b": two}).path.samefile(tmp_path)
    table.touch()
    runs = {
        name: Run({}, {"labels_from": f"the file {path}"})
        for name, path in (("a", table), ("b", again))
    }
    assert labels_of(runs, tmp_path) == table


def test_labels_that_the_data_do_not_give_are_refused(tmp_path):
    run = {"a": Run({}, {"labels_from": "mimic-cxr-2.0.0-chexpert.csv"})}
    with pytest.raises(UsageError, match=r"other labels \(mimic-cxr-2\.0\.0-chexpert\.csv\)"):
        labels_of(run, tmp_path)
    drawn = {"a": Run({}, {"labels_from": "what was drawn"})}
    assert labels_of(drawn, None) is None
    with pytest.raises(UsageError, match=r"own labels\): leave --data out"):
        labels_of(drawn, tmp_path)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({"a": Run({}, {})}, "name nothing as their data"),
        ({"a": card("x"), "b": card("y")}, "name x and y as their data"),
        ({"a": card("/nowhere/x")}, "is not here: say where with --data"),
        (
            {"a": card("x", truth_sha256="1"), "b": card("x", truth_sha256="2")},
            "different truth",
        ),
    ],
)
def test_truth_that_is_missing_or_differs_is_asked_for(runs, message):
    with pytest.raises(UsageError, match=message):
        data_of(runs)


def test_labels_of_reports_are_those_that_all_cards_name(tmp_path):
    table = tmp_path / "l.csv"
    said = Run({}, {"labels_from": f"the file {table}"})
    with pytest.raises(UsageError, match=r"l\.csv, the labels of these runs, is not here"):
        labels_of({"a": said}, tmp_path)
    table.touch()
    assert labels_of({"a": said, "b": said}, tmp_path) == table
    own = Run({}, {"labels_from": "the data set's own labels"})
    assert labels_of({"a": own, "b": Run({}, {})}, tmp_path) is None
    with pytest.raises(UsageError, match="against different labels"):
        labels_of({"a": said, "b": own}, tmp_path)


def test_the_truth_of_a_run_is_that_of_the_part_that_it_was_scored_on(tmp_path):
    labels = {"Mass": Label.POSITIVE}
    records = [Record(name, "p", "s", None, labels=labels) for name in "abcdef"]
    predictions = tmp_path / PREDICTIONS
    predictions.write_text("image,Mass\na,0.5\nb,0.5\n")
    (tmp_path / "missing_images.txt").write_text("d\ne\n")
    found = {"failed_images": {"c": "broken"}, "missing_images": ["d"]}
    found["missing_images_in"] = "missing_images.txt"
    data = {"truth_sha256": labels_sha256(records[:5])}  # without f, which is of another part
    runs = {"a": Run({PREDICTIONS: predictions}, {"data": data, **found})}
    assert notes_on_other_truth(runs, records, tmp_path) == []
    changed = [Record("a", "p", "s", None, labels={"Mass": Label.NEGATIVE}), *records[1:]]
    (note,) = notes_on_other_truth(runs, changed, tmp_path)
    assert note.startswith("a was scored on other images, labels or boxes")
