"""A folder belongs to one run."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from cxrloc.errors import UsageError
from cxrloc.files.run_folder import JOURNAL, LOCK, MARK, Destination, held_folder, open_run
from cxrloc.files.whole import PART_PREFIX, write_text

SETTINGS = {"model": "abc", "seed": 0}


def run(
    out: Path | None, *, command: str = "bench", overwrite: bool = False, **other: object
) -> Path:
    with open_run(command, Destination(out, overwrite), {**SETTINGS, **other}) as folder:
        write_text(folder.path / "localization.csv", "finding")
        return folder.path


def interrupt(out: Path | None) -> None:
    with open_run("bench", Destination(out), SETTINGS) as folder:
        folder.journal.add("a", "", {"x": 1})
        raise KeyboardInterrupt


def test_an_interrupted_run_of_the_same_settings_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupt(tmp_path)
    with open_run("bench", Destination(tmp_path), SETTINGS) as folder:
        assert folder.continued
        assert folder.journal.find("a", "") == {"x": 1}
    with open_run("bench", Destination(tmp_path), SETTINGS) as folder:
        assert not folder.continued
        assert folder.journal.find("a", "") is None


def test_a_run_that_wrote_nothing_leaves_nothing(tmp_path: Path) -> None:
    def refused(out: Path) -> None:
        with open_run("bench", Destination(out), SETTINGS):
            raise UsageError("--finding Cold: no such finding")

    (tmp_path / "own").mkdir()
    (tmp_path / "own/notes.txt").touch()
    for out in (tmp_path / "new", tmp_path / "own"):
        with pytest.raises(UsageError, match="Cold"):
            refused(out)
    assert [path.name for path in tmp_path.rglob("*")] == ["own", "notes.txt"]


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"command": "classify"}, "holds the results of `cxrloc bench`"),
        ({"seed": 1}, "holds results of other settings (seed is 0 there and 1 here)"),
    ],
)
def test_a_named_folder_of_another_run_is_refused_with_the_way_out(
    tmp_path: Path, finished: bool, other: dict[str, str], message: str
) -> None:
    if finished:
        run(tmp_path)
    else:
        with pytest.raises(KeyboardInterrupt):
            interrupt(tmp_path)
    with pytest.raises(UsageError) as raised:
        run(tmp_path, **other)  # type: ignore[arg-type]
    assert message in str(raised.value)
    assert str(raised.value).endswith("begin anew there with --overwrite")
    run(tmp_path, overwrite=True, **other)  # type: ignore[arg-type]


def test_results_of_a_command_without_a_mark_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UsageError, match="holds the results of another command"):
        run(tmp_path)


def test_overwrite_removes_what_the_former_run_wrote_and_nothing_else(tmp_path: Path) -> None:
    with open_run("bench", Destination(tmp_path), {}) as folder:
        write_text(folder.path / "report.html", "former")
    own = tmp_path / "notes.txt"
    own.touch()
    run(tmp_path, overwrite=True)
    names = {path.name for path in tmp_path.iterdir()} - {MARK, LOCK, ".cxrloc-files"}
    assert names == {"localization.csv", "notes.txt"}


def test_a_list_of_files_cannot_name_one_outside_the_folder(tmp_path: Path) -> None:
    outside = tmp_path / "precious.csv"
    outside.touch()
    out = run(tmp_path / "out")
    (out / ".cxrloc-files").write_text(json.dumps("../precious.csv") + "\n")
    run(out, overwrite=True)
    assert outside.exists()


def test_the_default_folder_takes_the_next_free_number_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO)
    assert run(None) == Path("cxrloc-bench")
    assert run(None) == Path("cxrloc-bench")  # the same settings: made again
    assert caplog.text == ""
    assert run(None, seed=1) == Path("cxrloc-bench-2")
    assert (
        "cxrloc-bench holds results of other settings (seed is 0 there and 1 here)" in caplog.text
    )
    assert "the results go to cxrloc-bench-2" in caplog.text
    assert run(None, seed=2) == Path("cxrloc-bench-3")
    assert run(None, seed=1) == Path("cxrloc-bench-2")
    assert run(None, command="classify") == Path("cxrloc-classify")


def test_the_second_of_two_runs_into_one_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program = (
        "import sys; from pathlib import Path\n"
        "from cxrloc.files.run_folder import Destination, open_run\n"
        f"with open_run('bench', Destination(Path('cxrloc-bench')), {SETTINGS}):\n"
        "    print('open', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "open\n"
    with pytest.raises(UsageError, match="another run is writing there"):
        run(Path("cxrloc-bench"), overwrite=True)
    assert run(None) == Path("cxrloc-bench-2")
    other.kill()
    other.communicate()
    assert run(Path("cxrloc-bench")) == Path("cxrloc-bench")


def test_a_folder_that_is_held_is_refused_until_it_is_let_go(tmp_path: Path) -> None:
    with (
        held_folder(tmp_path / "train"),
        pytest.raises(UsageError, match="another run is writing there"),
        held_folder(tmp_path / "train"),
    ):
        pass
    with held_folder(tmp_path / "train"):
        pass


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupt(tmp_path)
    (tmp_path / f"{PART_PREFIX}a.png").touch()
    assert (tmp_path / JOURNAL).exists()
    run(tmp_path)
    names = {path.name for path in tmp_path.iterdir()} - {MARK, LOCK, ".cxrloc-files"}
    assert names == {"localization.csv"}
