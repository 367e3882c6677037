"""Files of the result folders of `classify` and `bench`, and the truth that their cards name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cxrloc.datasets import LABEL_FILE
from cxrloc.files.structured import read_json
from cxrloc.files.tables import table_rows
from cxrloc.types import UsageError

PREDICTIONS, DETECTIONS = "probabilities.csv", "detections.csv"
"""Files that are read to compare runs."""


class Run(NamedTuple):
    """The files of one run by kind, and its card; the card is empty if there is none."""

    files: Mapping[str, Path]
    card: Mapping[str, Any]


def read_run(path: Path) -> Run:
    """The run in a result folder or in a CSV file of probabilities or boxes.

    Raises:
        UsageError: nothing is there, or a folder holds neither.
        CxrlocError: the card or the table cannot be read.
    """
    if path.is_dir():
        files = {kind: path / kind for kind in (PREDICTIONS, DETECTIONS)}
        files = {kind: file for kind, file in files.items() if file.is_file()}
        if not files:
            raise UsageError(f"{path}: holds neither {PREDICTIONS} nor {DETECTIONS}")
        card = path / "run.json"
        return Run(files, read_json(card) if card.is_file() else {})
    if not path.is_file():
        raise UsageError(f"{path}: no such file or folder")
    _, header = next(table_rows(path), (1, []))
    return Run({DETECTIONS if "x_min" in header else PREDICTIONS: path}, {})


def folds_of(path: Path) -> list[str]:
    """Names of the fold folders of a run of `classify --folds`; empty for any other run."""
    if (path / PREDICTIONS).is_file():
        return []
    return sorted(file.parent.name for file in path.glob(f"fold-*/{PREDICTIONS}"))


def data_of(runs: Mapping[str, Run]) -> Path | None:
    """Path of the truth that the runs' cards name; None stands for the embedded phantoms.

    Raises:
        UsageError: the cards name no truth or several, the truth is not on this disk, or the runs
            were scored against different truth, as its hash shows.
    """
    cards = {name: run.card["data"] for name, run in runs.items() if "data" in run.card}
    paths = dict.fromkeys(card.get("path") for card in cards.values())
    if len(paths) != 1:
        said = " and ".join(map(str, paths)) or "nothing"
        raise UsageError(f"the runs name {said} as their data: say which with --data")
    (path,) = paths
    hashes = {n: card["truth_sha256"] for n, card in cards.items() if "truth_sha256" in card}
    if len(set(hashes.values())) > 1:
        said = ", ".join(f"{run_name} {sha[:12]}" for run_name, sha in hashes.items())
        raise UsageError(
            f"the runs were scored against different truth (truth_sha256: {said}), though all name "
            f"{path}: score them again, or say with --data which truth to compare them by"
        )
    if path is None:
        return None
    if not Path(path).exists():
        raise UsageError(f"{path}, the data of these runs, is not here: say where with --data")
    return Path(path)


def refuse_other_labels(runs: Mapping[str, Run]) -> None:
    """Raise an error for runs scored against labels of a file that is not given now.

    Raises:
        UsageError: names the run and its labels.
    """
    for name, run in runs.items():
        if (said := run.card.get("labels_from", "")).startswith(LABEL_FILE):
            raise UsageError(f"{name} was scored against labels of {said}: name them with --labels")
