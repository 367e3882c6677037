"""Tables that show measured numbers next to the numbers of published tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from cxrloc.errors import UsageError
from cxrloc.evaluation.published import (
    KEYS,
    beside,
    cited,
    protocols,
    published,
    published_tables,
)
from cxrloc.files.table_writer import markdown_table, with_notes, write_csv
from cxrloc.files.whole import write_text

_COUNTS = ("n", "positives", "annotated")


def check_beside(names: Sequence[str], measured: Sequence[str], synthetic: bool = False) -> None:
    """Raise an error for tables that do not exist or hold none of the measured metrics.

    Numbers of patients beside those of synthetic radiographs mislead, so they are refused too,
    unless each table is named twice.

    Raises:
        UsageError: a table does not exist or shares no metric with this run, or the radiographs
            are synthetic and it is not named twice.
    """
    known = published_tables()
    if synthetic:
        refuse_beside_synthetic(names)
    for name in names:
        if name not in known:
            raise UsageError(f"--beside {name}: choose from {', '.join(known)}; see --beside list")
        if not _metrics(name, measured):
            has = ", ".join(dict.fromkeys(published(name)["metric"]))
            raise UsageError(f"--beside {name}: it has {has}, and none of these is measured here")


def refuse_beside_synthetic(names: Sequence[str]) -> None:
    """Raise an error for tables that are to stand beside numbers of synthetic radiographs.

    Raises:
        UsageError: a table is not named twice.
    """
    if once := [name for name in names if names.count(name) == 1]:
        raise UsageError(
            f"--beside {once[0]}: these radiographs are synthetic, and published numbers are of "
            f"patients; to see them beside each other, ask twice: --beside {once[0]} --beside "
            f"{once[0]}"
        )


def write_beside(
    measured: pd.DataFrame,
    names: Sequence[str],
    out: Path,
    remarks: Sequence[str] = (),
    protocol: Mapping[str, str] | None = None,
) -> pd.DataFrame | None:
    """Write `table_beside.csv` and `.md`: measured rows with the numbers of published tables.

    Where the protocols of the tables are known, they are written to `protocols_beside.csv` and to
    the Markdown page, after the protocol of this run.

    Args:
        measured: one row per finding (criterion and threshold), one column per metric; intervals
            in columns with `_low` and `_high` behind the metric's name; columns that begin with
            "prior_" hold what boxes score without looking at the images, and are kept.
        names: tables, such as "wang2017:4"; none: nothing is written.
        out: folder.
        remarks: what a reader must know about the measured numbers.
        protocol: of this run, in the columns of `published.protocols`.

    Returns:
        What was written.

    Raises:
        UsageError: none of the tables' rows was measured.
    """
    if not names:
        return None
    names = list(dict.fromkeys(names))
    columns = [str(column) for column in measured.columns]
    check_beside(names, columns)
    metrics = list(dict.fromkeys(m for name in names for m in _metrics(name, columns)))
    kept = [column for column in (*KEYS, *_COUNTS) if column in columns]
    for metric in metrics:
        ends = (metric, f"{metric}_low", f"{metric}_high")
        kept += [column for column in ends if column in columns]
    kept += [column for column in columns if column.startswith("prior_")]
    means = [column for column in ("averaged",) if column in columns]
    shown = measured[[*kept, *means]]
    for name in names:
        for metric in _metrics(name, columns):
            shown = beside(shown, name, metric)
    shown = shown.drop(columns=means)
    shown = shown[shown.iloc[:, len(kept) :].notna().any(axis=1)].reset_index(drop=True)
    shown = shown.dropna(axis=1, how="all")  # such as counts of boxes where points are compared
    if shown.empty:
        raise UsageError(f"--beside {', '.join(names)}: none of its rows was measured here")
    write_csv(with_notes(shown, remarks), out / "table_beside.csv")
    notes = [f"{cited(name)}: {published_tables()[name]}. {_citation(name)}" for name in names]
    notes += [f"{remark[0].upper()}{remark[1:]}." for remark in remarks]
    page = [markdown_table(shown), *notes, ""]
    if not (others := protocols(names)).empty:
        run_protocol = pd.DataFrame([protocol] if protocol else [], columns=others.columns)
        all_protocols = pd.concat([run_protocol, others], ignore_index=True).fillna("")
        write_csv(all_protocols, out / "protocols_beside.csv")
        page += ["How the numbers were made; no two methods share a protocol.\n"]
        page += [markdown_table(all_protocols)]
    write_text(out / "table_beside.md", "\n".join(page))
    return shown


def _metrics(name: str, measured: Sequence[str]) -> list[str]:
    return [metric for metric in published(name)["metric"].unique() if metric in measured]


def _citation(name: str) -> str:
    return str(published(name)["citation"].iloc[0])
