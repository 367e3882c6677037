"""Which settings must be equal for a run to count as the same run."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from cxrloc.errors import UsageError
from cxrloc.files.run_folder import Destination, RunFolder
from cxrloc.files.whole import write_text
from cxrloc.inference.prepared import InferenceSettings
from cxrloc.pipeline.run_settings import run_in_folder


@dataclass(frozen=True)
class Options:
    models: tuple[str, ...] = ("phantom-v1",)
    labels: Path | None = None
    html: bool = False
    batch_size: int = 8
    inference: InferenceSettings = field(default_factory=InferenceSettings)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data/images").mkdir(parents=True)
    (tmp_path / "data/boxes.csv").write_text("image,finding")
    return tmp_path / "data"


def same(tmp_path: Path, data: Path, first: Any, second: Any) -> bool:
    """Whether two runs have the same settings."""

    def write(folder: RunFolder) -> None:
        write_text(folder.path / "localization.csv", "finding")

    run_in_folder("bench", Destination(tmp_path / "out", overwrite=True), [data], first, write)
    try:
        run_in_folder("bench", Destination(tmp_path / "out"), [data], second, write)
    except UsageError:
        return False
    return True


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(html=True), True),
        (Options(inference=InferenceSettings(device="cpu", workers=7, batch_size=3)), True),
        (Options(batch_size=4), False),  # of a training
        (Options(inference=InferenceSettings(seed=1)), False),
        (Options(models=("nih-small-v4",)), False),
    ],
)
def test_settings_are_what_changes_a_result(
    tmp_path: Path, data: Path, options: Options, expected: bool
) -> None:
    assert same(tmp_path, data, Options(), options) == expected


def test_files_and_data_count_by_content_wherever_they_lie(tmp_path: Path, data: Path) -> None:
    labels, copy = tmp_path / "labels.csv", tmp_path / "copy.csv"
    labels.write_text("a")
    copy.write_text("a")
    moved = data.rename(tmp_path / "elsewhere")
    options = Options(labels=labels, models=(str(labels),))
    assert same(tmp_path, moved, options, Options(labels=copy, models=(str(copy),)))
    copy.write_text("b")
    assert not same(tmp_path, moved, options, replace(options, labels=copy))


def test_other_tables_in_a_folder_are_other_data(tmp_path: Path, data: Path) -> None:
    def run() -> None:
        run_in_folder("bench", Destination(tmp_path / "out"), [data], Options(), write)

    def write(folder: RunFolder) -> None:
        write_text(folder.path / "localization.csv", "finding")

    run()
    (data / "boxes.csv").write_text("image,finding,x_min")
    with pytest.raises(UsageError, match="data is"):
        run()


def test_a_finished_run_is_made_again_without_what_it_left(tmp_path: Path, data: Path) -> None:
    def run(name: str) -> set[str]:
        def write(folder: RunFolder) -> None:
            write_text(folder.path / name, "")

        _, folder = run_in_folder("bench", Destination(tmp_path / "out"), [data], Options(), write)
        return {path.name for path in folder.iterdir() if not path.name.startswith(".")}

    assert run("report.html") == {"report.html"}
    assert run("table.md") == {"table.md"}


def test_results_are_not_written_over_what_is_read(tmp_path: Path, data: Path) -> None:
    with pytest.raises(UsageError, match="is an input"):
        run_in_folder(
            "compare", Destination(data, overwrite=True), [data], Options(), lambda folder: None
        )
