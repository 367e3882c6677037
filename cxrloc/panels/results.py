"""Reads results of commands for the panels: tables, and the names of runs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cxrloc.datasets.splits import LEAKS
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.evaluation.contamination import contamination_of_card
from cxrloc.files import tables
from cxrloc.files.frames import frame_of
from cxrloc.files.structured import expecting, read_json
from cxrloc.findings import spelled_as, standard_finding
from cxrloc.panels.plots import FigureRequest
from cxrloc.phantom import NOT_OF_PATIENTS, is_synthetic
from cxrloc.text import one_line


def read_table(
    result: Path, name: str, columns: Sequence[str], command: str, optional: bool = False
) -> pd.DataFrame:
    """A table of a run: the file of this name in its folder, or the file itself.

    Args:
        result: a command's output folder, or one CSV file.
        name: of the file in the folder.
        columns: columns that the table must have.
        command: the command that writes the file, for the error message.
        optional: if the folder has no such file, return an empty table.

    Raises:
        CxrlocError: there is no such file, or it lacks a column or any row.
    """
    path = result / name if result.is_dir() else result
    if optional and not (result.is_dir() and path.is_file()):
        return pd.DataFrame(columns=pd.Index(columns))
    if not path.is_file():
        raise CxrlocError(f"{path}: no such file; `cxrloc {command}` writes it")
    frame = frame_of(tables.read_table(path))
    if missing := [column for column in columns if column not in frame.columns]:
        raise CxrlocError(
            f"{path}: no column {', '.join(missing)}; this takes {name} of `cxrloc {command}`"
        )
    if frame.empty and not optional:
        raise CxrlocError(f"{path}: no row to draw")
    return frame


def run_names(results: Sequence[Path], names: Sequence[str] = ()) -> list[str]:
    """A short name of each run: the last part of its path; the whole path where two share it.

    The name is followed by a note if patients leak from the run's training into its scores.

    Args:
        results: the runs.
        names: what the user calls them, in their order; empty for names of paths.

    Raises:
        UsageError: a run is named twice, or there are not as many names as runs.
        CxrlocError: a run's card cannot be read.

    >>> run_names([Path("out/average"), Path("out/lse.csv")])
    ['average', 'lse']
    """
    short = [path.stem if path.suffix == ".csv" else path.resolve().name for path in results]
    counts = Counter(short)
    if names and len(names) != len(results):
        raise UsageError(
            f"--name: {len(names)} names for {len(results)} results; give one for each"
        )
    names = names or [
        n if counts[n] == 1 else str(path) for n, path in zip(short, results, strict=True)
    ]
    if len(set(names)) < len(names):
        raise UsageError(f"{', '.join(names)}: a run is named twice")
    marks = (" (patients leak)" if leaks(path) else "" for path in results)
    return [name + mark for name, mark in zip(names, marks, strict=True)]


def leaks(result: Path) -> bool:
    """Whether a run's card says that patients leak into its scores, after a split by image.

    Args:
        result: a command's output folder, or a CSV file in it; nothing else has a card.

    Raises:
        CxrlocError: the card cannot be read.
    """
    return bool(_run_card(result).get(LEAKS))


def data_notes(results: Sequence[Path], names: Sequence[str] = ()) -> list[str]:
    """Sentences that a figure must carry about the data of its results.

    They say that results are of synthetic radiographs, that patients who trained a model were
    scored (`--allow-contaminated`), and that runs which are drawn together were not scored on the
    same images and labels.

    Args:
        results: output folders of commands, files in them, or data sets.
        names: what the user calls them, if there is one for each.

    Raises:
        CxrlocError: a run's card cannot be read.
    """
    folders = list(dict.fromkeys(map(_run_folder, results)))
    cards = [_run_card(folder) for folder in folders]
    notes = [f"{NOT_OF_PATIENTS.capitalize()}."] if any_synthetic(results) else []
    called = run_names(folders, names if len(names) == len(folders) else ())
    for name, card in zip(called, cards, strict=True):
        sentences = contamination_of_card(name, card)
        notes += [f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences]
    data = [card.get("data") for card in cards]
    known = [each for each in data if isinstance(each, dict) and each.get("truth_sha256")]
    if len({each["truth_sha256"] for each in known}) > 1:
        named = (one_line(f"{each.get('name')} ({each.get('images')} images)") for each in known)
        notes.append(f"These runs were scored on different data: {'; '.join(named)}.")
    return notes


def any_synthetic(results: Sequence[Path]) -> bool:
    """Whether a result is of synthetic radiographs.

    Raises:
        CxrlocError: a run's card cannot be read.
    """
    return any(_of_phantoms(result, _run_card(result)) for result in results)


def _of_phantoms(result: Path, card: Mapping[str, Any]) -> bool:
    data = card.get("data")
    if isinstance(data, dict) and "synthetic" in data:
        return bool(data["synthetic"])
    if card:
        return NOT_OF_PATIENTS in card.get("notes", [])
    if result.suffix == ".csv" and result.is_file():
        rows = (cells for _, cells in tables.table_rows(result))
        heading, first = next(rows, []), next(rows, [])
        if NOT_OF_PATIENTS in dict(zip(heading, first, strict=False)).get(tables.NOTE, ""):
            return True
    return result.exists() and is_synthetic(result)


def _run_card(result: Path) -> Mapping[str, Any]:
    """The card of a run, given its folder or a CSV file in it; empty where there is none."""
    card = _run_folder(result) / "run.json"
    with expecting(card, "the run card of a command"):
        content = read_json(card) if card.is_file() else {}
        if not isinstance(content, dict):
            raise TypeError("it is not a JSON object")
        return content


def _run_folder(result: Path) -> Path:
    """The folder of a run, given itself or a CSV file in it."""
    return result.parent if result.suffix == ".csv" else result


def chosen_findings(present: Sequence[str], names: Sequence[str]) -> list[str]:
    """The findings to draw: the requested ones, else all findings of the results, once each.

    Raises:
        UsageError: the results lack a requested finding.

    >>> chosen_findings(["Mass", "Nodule", "Mass"], ())
    ['Mass', 'Nodule']
    >>> chosen_findings(["Mass", "Pleural Effusion"], ["Effusion"])
    ['Pleural Effusion']
    """
    known = list(dict.fromkeys(present))
    spelled = {standard_finding(name): name for name in known}
    found = [spelled.get(spelled_as(name, spelled)) for name in names]
    if None in found:
        unknown = names[found.index(None)]
        raise UsageError(f"--finding {unknown}: the results have {', '.join(known)}")
    return [name for name in found if name is not None] or known


def only_result(results: Sequence[Path], panel: str) -> Path:
    """The only result, for a panel that draws one result.

    Raises:
        UsageError: there are several.
    """
    if len(results) != 1:
        raise UsageError(f"{panel} draws one result at a time, not {len(results)}")
    return results[0]


def own_name(request: FigureRequest) -> str:
    """The name of the only run in a panel that also shows controls and published numbers.

    Raises:
        UsageError: there are several names.
    """
    if len(request.names) > 1:
        raise UsageError(f"--name: {len(request.names)} names for one result; give one")
    return (*request.names, "this work")[0]
