"""The notes in figures about the data of the runs that they show."""

import json
from pathlib import Path
from typing import Any

import pytest

from cxrloc.datasets.splits import LEAKS
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.evaluation.contamination import NOT_CHECKABLE, NOT_HELD_OUT
from cxrloc.panels.results import data_notes, run_names
from cxrloc.phantom.write import SYNTHETIC

ON_PHANTOMS = "Measured on synthetic radiographs, not on patients."


def run_on(folder: Path, name: str, **card: Any) -> Path:
    """A run whose card is this."""
    run = folder / name
    run.mkdir()
    (run / "run.json").write_text(json.dumps(card))
    return run


def test_runs_on_different_data_are_drawn_with_a_sentence_that_says_so(tmp_path: Path) -> None:
    runs = [
        run_on(tmp_path, name, data={"name": name, "images": 9, "truth_sha256": name})
        for name in ("inside", "outside")
    ]
    assert data_notes(runs) == [
        "These runs were scored on different data: inside (9 images); outside (9 images)."
    ]
    assert data_notes(runs[:1]) == []


def test_a_figure_of_a_run_that_was_allowed_to_score_training_patients_says_so(
    tmp_path: Path,
) -> None:
    run = run_on(tmp_path, "a", contaminated_patients=3)
    assert data_notes([run]) == [
        "Not held out (--allow-contaminated): the model of a was trained on 3 of the scored "
        "patients."
    ]


def test_a_run_is_named_once_though_several_of_its_files_are_drawn(tmp_path: Path) -> None:
    a, b = (run_on(tmp_path, name, contaminated_patients=3) for name in "ab")
    drawn = [a, a / "readers.csv", b / "auc.csv"]
    for notes, names in (
        (data_notes(drawn), ("a", "b")),
        (data_notes([a, b], ["x", "y"]), ("x", "y")),
    ):
        assert [note.partition("the model of ")[2].split()[0] for note in notes] == [*names]


def test_a_figure_of_a_comparison_has_what_the_comparison_says_of_training_patients(
    tmp_path: Path,
) -> None:
    sentences = [f"{start}: the model of a" for start in (NOT_HELD_OUT, NOT_CHECKABLE)]
    compared = run_on(tmp_path, "out", notes=[*sentences, "a was scored on other images"])
    for result in (compared, compared / "rank_correlations.csv"):
        assert data_notes([result]) == [f"{each[0].upper()}{each[1:]}." for each in sentences]


def test_runs_on_the_same_data_need_no_sentence(tmp_path: Path) -> None:
    data = {"name": "inside", "images": 9, "truth_sha256": "1", "synthetic": False}
    assert data_notes([run_on(tmp_path, name, data=data) for name in ("a", "b")]) == []


def test_results_on_phantoms_say_so(tmp_path: Path) -> None:
    scored = run_on(tmp_path, "scored", data={"name": "phantoms", "synthetic": True})
    notes = ["measured on synthetic radiographs, not on patients"]
    compared = run_on(tmp_path, "compared", data="phantoms", notes=notes)
    data = tmp_path / "data"
    data.mkdir()
    (data / SYNTHETIC).touch()
    alone = tmp_path / "moved.csv"
    alone.write_text(f'image,Mass,note\na,0.5,"{notes[0]}"\n')
    for result in (scored, scored / "auc.csv", compared, data, alone):
        assert data_notes([result]) == [ON_PHANTOMS]


def test_a_card_that_is_no_card_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("[1]")
    with pytest.raises(CxrlocError, match=r"run\.json"):
        data_notes([tmp_path])


def test_runs_have_the_names_that_the_user_gives(tmp_path: Path) -> None:
    runs = [run_on(tmp_path, name, **{LEAKS: name == "b"}) for name in ("a", "b")]
    assert run_names(runs) == ["a", "b (patients leak)"]
    assert run_names(runs, ["plain", "with TTA"]) == ["plain", "with TTA (patients leak)"]
    for names in (["plain"], ["plain", "plain"], ["plain", "x", "y"]):
        with pytest.raises(UsageError):
            run_names(runs, names)
