"""Files of the result folders of `classify` and `bench`, and the truth that their cards name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from cxrloc.datasets import DRAWN, LABEL_FILE, label_origin
from cxrloc.datasets.description import boxes_sha256, labels_sha256
from cxrloc.errors import UsageError
from cxrloc.evaluation.classification.predicted_images import MISSING
from cxrloc.evaluation.classification.prediction_files import IMAGE, read_predictions
from cxrloc.files.structured import read_json
from cxrloc.files.tables import NOTE, table_rows
from cxrloc.inference.image_sets import DataOptions
from cxrloc.types import Record

PREDICTIONS, DETECTIONS = "probabilities.csv", "detections.csv"
"""Files that are read to compare runs."""

TRUTH_SHA256: dict[str, Callable[[Sequence[Record]], str]] = {
    PREDICTIONS: labels_sha256,
    DETECTIONS: boxes_sha256,
}
"""The hash of the truth that runs are scored and compared by, for each of these files."""


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


def findings_of(runs: Mapping[str, Run]) -> list[str]:
    """Names of the findings of which the runs have probabilities, each once."""
    files = (run.files[PREDICTIONS] for run in runs.values() if PREDICTIONS in run.files)
    headings = (next(table_rows(file), (1, []))[1] for file in files)
    names = dict.fromkeys(name for heading in headings for name in heading)
    return [name for name in names if name not in (IMAGE, NOTE)]


def folds_of(path: Path) -> list[str]:
    """Names of the fold folders of a run of `classify --folds`; empty for any other run."""
    if (path / PREDICTIONS).is_file():
        return []
    return sorted(file.parent.name for file in path.glob(f"fold-*/{PREDICTIONS}"))


class RunData(NamedTuple):
    """The path of the data that runs were scored on, None for phantoms, and the joined tables."""

    path: Path | None
    options: DataOptions


def options_of(data: Mapping[str, Any]) -> DataOptions:
    """The user's options of a data set, from the entry `data` of a run's card.

    The permission to score training patients holds for one run and is not passed on.
    """
    options = {**data.get("options", {}), "allow_contaminated": False}
    for name in ("image_dir", "labels", "boxes"):
        options[name] = Path(options[name]) if options.get(name) else None
    options["finding_columns"] = tuple(options.get("finding_columns", ()))
    return DataOptions(**options)


def data_of(
    runs: Mapping[str, Run], moved_to: Path | None = None, labels: Path | None = None
) -> RunData:
    """The truth that the runs' cards name.

    Args:
        runs: by name.
        moved_to: where the data are now, with the same tables; None for the path in the cards.
        labels: a table of labels in place of those in the cards; None for those in the cards.

    Raises:
        UsageError: the cards name no truth or several, the truth is not on this disk, or the runs
            were scored against different truth, as its hash shows.
    """
    cards = {name: run.card["data"] for name, run in runs.items() if "data" in run.card}
    joined = [options_of(card) for card in cards.values()] or [DataOptions()]
    if labels is not None:
        joined = [replace(options, labels=labels) for options in joined]
    if len({_tables(options) for options in joined}) > 1:
        raise UsageError(
            f"{' and '.join(cards)} were scored with different tables or options of their data "
            "(--labels, --boxes, --image-dir, ...): score them again in one way"
        )
    options = joined[0]
    if moved_to is not None:
        return RunData(moved_to, options)
    paths = {_resolved(path): path for path in (card.get("path") for card in cards.values())}
    if len(paths) != 1:
        named = " and ".join(map(str, paths.values())) or "nothing"
        raise UsageError(f"the runs name {named} as their data: say which with --data")
    (path,) = paths.values()
    hashes = {n: card["truth_sha256"] for n, card in cards.items() if "truth_sha256" in card}
    if len(set(hashes.values())) > 1:
        of_runs = ", ".join(f"{run_name} {sha[:12]}" for run_name, sha in hashes.items())
        raise UsageError(
            f"the runs were scored against different truth (truth_sha256: {of_runs}), though all "
            f"name {path}: score them again, or say with --data which truth to compare them by"
        )
    if path is None:
        return RunData(None, options)
    if not Path(path).exists():
        raise UsageError(f"{path}, the data of these runs, is not here: say where with --data")
    return RunData(Path(path), options)


def notes_on_other_truth(
    runs: Mapping[str, Run], records: Sequence[Record], data: Path | None
) -> list[str]:
    """A note on the runs whose cards have another hash of the truth than the data that are read.

    Args:
        runs: by name.
        records: all images that are read; a run may have been scored on a part of them.
        data: path of the data.
    """
    others = [
        name
        for name, run in runs.items()
        if (of_card := run.card.get("data", {}).get("truth_sha256"))
        and all(
            TRUTH_SHA256[kind](_scored_records(run, kind, records)) != of_card for kind in run.files
        )
    ]
    if not others:
        return []
    was = "was" if len(others) == 1 else "were"
    return [
        f"{' and '.join(others)} {was} scored on other images, labels or boxes than those of "
        f"{data} (truth_sha256); here all runs are scored on the latter"
    ]


def _scored_records(run: Run, kind: str, records: Sequence[Record]) -> list[Record]:
    """The records that a run was scored on, out of all those of its data.

    `classify` scores a part (`--split`, `--projection`), each of whose images is predicted, failed
    or missing; `bench` scores all boxes.
    """
    if kind != PREDICTIONS:
        return list(records)
    file, card = run.files[PREDICTIONS], run.card
    scored = {*read_predictions(file).image_ids, *card.get("failed_images", ())}
    scored |= {*card.get("missing_images", ())}
    if card.get("missing_images_in") and (missing := file.with_name(MISSING)).is_file():
        scored |= {*missing.read_text().splitlines()}
    return [record for record in records if record.image_id in scored]


def _resolved(path: str | Path | None) -> Path | None:
    """One spelling of a path."""
    return Path(path).resolve() if path else None


def _tables(options: DataOptions) -> tuple[object, ...]:
    """The options that decide what the truth is, for which paths may be spelled differently."""
    files = (options.labels, options.boxes, options.image_dir)
    return (*map(_resolved, files), options.id_column, options.finding_columns)


def labels_of(runs: Mapping[str, Run], data: Path | None) -> Path | None:
    """The table of labels that the runs were scored against; None for the data set's own labels.

    Args:
        runs: by name.
        data: path of the data set; None for phantoms.

    Raises:
        UsageError: the runs were scored against different labels, their table is not here, or the
            data set has other labels of its own.
    """
    origins = {n: run.card["labels_from"] for n, run in runs.items() if "labels_from" in run.card}
    tables = {origin: _table_of(origin) for origin in origins.values()}
    if len({_resolved(table) or origin for origin, table in tables.items()}) > 1:
        pairs = ", ".join(f"{name}: {origin}" for name, origin in origins.items())
        raise UsageError(
            f"the runs were scored against different labels ({pairs}): say with --labels which to "
            "compare them by"
        )
    if not tables:
        return None
    origin, table = next(iter(tables.items()))
    if table is None and origin != (from_data := label_origin(data)):
        advice = "leave --data out" if origin == DRAWN else "name their data with --data"
        raise UsageError(
            f"the runs were scored against other labels ({origin}) than those of "
            f"{data or 'the embedded phantoms'} ({from_data}): {advice}"
        )
    if table is not None and not table.exists():
        raise UsageError(f"{table}, the labels of these runs, is not here: say where with --labels")
    return table


def _table_of(origin: str) -> Path | None:
    """The table of labels that `label_origin` has named; None for labels of a data set."""
    name = origin.removeprefix(LABEL_FILE)
    return Path(name) if name != origin else None
