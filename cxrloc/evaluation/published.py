"""Published numbers of the five papers and of later methods, for comparison with measured numbers.

The CSV files hold only numbers that the papers print, nothing derived from them, one number per row
with its table and printed row. Numbers that could not be checked against a paper's text are left
out.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files

import pandas as pd

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.findings import CHESTXRAY8, CHESTXRAY14, standard_finding

KEYS = ("finding", "criterion", "threshold")
"""Columns that identify which published number is about the same thing as a measured row."""

CHEXLOCALIZE = (
    *("Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Lesion", "Lung Opacity", "Edema"),
    *("Consolidation", "Atelectasis", "Pneumothorax", "Effusion"),
)
"""The nine pathologies of CheXlocalize: all its findings but support devices."""

_FOLDER = files("cxrloc.evaluation") / "published"


def published_tables() -> dict[str, str]:
    """Names of the tables, as `--beside` takes them, and what each shows.

    >>> published_tables()["wang2017:17"]
    'AUC on ChestX-ray14 with the published split'
    """
    tables = _read("tables.csv")
    return dict(zip(tables["name"], tables["caption"], strict=True))


def published(name: str) -> pd.DataFrame:
    """The numbers of one table.

    Columns: `paper`, `table`, `row` (as printed), `setting` (model, data or policy), `finding` (as
    printed, "mean" for an average), `criterion`, `threshold`, `metric` (the names of this
    package's reports), `value`, `citation`.

    Raises:
        CxrlocError: there is no such table; the message names the existing ones.

    >>> frame = published("wang2017:17")
    >>> frame.loc[frame["finding"] == "Hernia", "value"].item()
    0.8717
    """
    if name not in published_tables():
        raise CxrlocError(f"no published table {name!r}: there are {', '.join(published_tables())}")
    paper, table = name.split(":")
    numbers = _read(f"{paper}.csv")
    numbers = numbers[numbers["table"] == table].reset_index(drop=True)
    numbers["value"] = numbers["value"].astype(float)
    numbers.insert(0, "paper", paper)
    return numbers.merge(_read("papers.csv")[["paper", "citation"]], on="paper")


COUNTS = {"images", "studies", "overlap", "single_label_images", "percent_of_positive_labels"}
"""Metrics of the tables that describe a data set."""


def check_counts(names: Sequence[str]) -> None:
    """Raise an error for tables that do not describe a data set.

    Raises:
        UsageError: names the tables that do.
    """
    counted = [name for name in published_tables() if COUNTS.issuperset(published(name)["metric"])]
    for name in names:
        if name not in counted:
            raise UsageError(f"--beside {name}: the tables of counts are {', '.join(counted)}")


def published_findings(name: str) -> tuple[str, ...]:
    """The findings of a table in their standard spelling; none for a table of views.

    >>> published_findings("dong2017:I")[:2], published_findings("rubin2018:1")
    (('No Finding', 'increased lung marking'), ())
    """
    findings = [finding for finding in published(name)["finding"] if finding not in ("", "mean")]
    return tuple(dict.fromkeys(map(standard_finding, findings)))


def published_means(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The findings over which each mean of the published tables is taken, by a name for the mean.

    A mean is compared only with a mean over the same findings. If several tables have the same
    findings, the first one gives the name.

    >>> published_means(["pham2019:1", "wang2017:17"])["mean of pham2019:1"]
    ('Atelectasis', 'Cardiomegaly', 'Consolidation', 'Edema', 'Effusion')
    """
    means: dict[frozenset[str], tuple[str, tuple[str, ...]]] = {}
    for name in dict.fromkeys(names):
        if findings := _averaged(published(name)):
            means.setdefault(frozenset(findings), (f"mean of {name}", findings))
    return dict(means.values())


def _averaged(numbers: pd.DataFrame) -> tuple[str, ...]:
    """The findings over which a table's mean is taken; empty without a mean over findings."""
    means = numbers[numbers["finding"] == "mean"]
    # Baltruschat's text has AUCs of view and sex too, of other models than its means.
    same = numbers["metric"].isin(means["metric"]) & numbers["setting"].isin(means["setting"])
    rows = numbers[same & (numbers["finding"] != "mean")]
    if rows.empty and (means["metric"] == "auc").any():
        return CHESTXRAY14  # Baltruschat et al. 2019, text: "average AUC" over the 14 findings
    if (numbers["table"] == "chexlocalize").all():
        return CHEXLOCALIZE
    if rows.empty and not means.empty and (means["criterion"] != "").all():
        return CHESTXRAY8  # means over the findings that experts drew boxes of in ChestX-ray14
    if means.empty:
        return ()
    return tuple(dict.fromkeys(map(standard_finding, rows["finding"])))


def protocols(names: Sequence[str]) -> pd.DataFrame:
    """How the numbers of localization tables were made, one row per setting.

    Columns: table, setting, boxes_for_training, tuned_on_boxed_images, split, images_scored,
    boxes_per_map, and read: where these cells were read. A cell that was found in no text is
    "unknown". No two methods share a protocol, so their numbers are no ranking.

    >>> protocols(["wang2017:7"])["boxes_for_training"].item()
    'none'
    """
    known = _read("protocols.csv")
    return known[known["table"].isin(names)].reset_index(drop=True)


def cited(*names: str) -> str:
    """The citation of tables, as a legend or a heading shows it.

    >>> cited("wang2017:4", "wang2017:7", "baltruschat2019:text")
    'Wang et al. 2017, Tables 4, 7; Baltruschat et al. 2019, text'
    """
    papers = _read("papers.csv").set_index("paper")["short"]
    tables: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        paper, table = name.split(":")
        tables.setdefault(papers[paper], []).append(table)
    return "; ".join(f"{paper}, {_numbered(table_names)}" for paper, table_names in tables.items())


def _numbered(tables: Sequence[str]) -> str:
    if tables == ["text"]:
        return "text"
    return f"Table{'s' if len(tables) > 1 else ''} {', '.join(tables)}"


def beside(measured: pd.DataFrame, name: str, metric: str) -> pd.DataFrame:
    """Measured rows, with one metric of a published table in further columns.

    Rows are matched by finding (all spellings of a finding are equal) and, for localization, by
    criterion and threshold. Rows of a table without findings are matched by their printed row. A
    mean is matched only with a mean over the same findings. Each setting of the table becomes a
    column, `METRIC (PAPER, TABLE: SETTING)`. Its cell is empty if the table has no such row.
    Published rows that were not measured are left out.

    Args:
        measured: one row per finding (criterion and threshold), in columns of these names. A
            column `averaged` holds the findings over which a mean is taken; without it, a row
            "mean" is taken over all other findings.
        name: table, such as "wang2017:4".
        metric: as reports call it, such as "auc" or "accuracy".

    Raises:
        CxrlocError: there is no such table, or it does not have the metric.

    >>> measured = pd.DataFrame({"finding": ["Effusion", "Rib fracture"], "auc": [0.9, 0.8]})
    >>> beside(measured, "pham2019:2", "auc")["auc (Pham et al. 2019, Table 2: Ensemble)"]
    0    0.964
    1     <NA>
    Name: auc (Pham et al. 2019, Table 2: Ensemble), dtype: Float64
    """
    every = published(name)
    metrics = list(dict.fromkeys(every["metric"]))
    if metric not in metrics:
        raise CxrlocError(f"{name} has no {metric}: it has {', '.join(metrics)}")
    numbers = every[every["metric"] == metric]
    if (numbers["finding"] == "").all():
        numbers = numbers.assign(finding=numbers["row"])
    keys = [key for key in KEYS if (numbers[key] != "").all()]
    missing = [key for key in keys if key not in measured.columns]
    if missing:
        raise CxrlocError(f"{name} cannot stand beside these rows: they lack {', '.join(missing)}")
    averaged = _averaged(every)
    places = [_place(*row) for row in measured[keys].itertuples(index=False)]
    if averaged:
        places = [
            (_mean_place(findings), *place[1:]) if findings else place
            for findings, place in zip(_measured_means(measured), places, strict=True)
        ]
    shown = measured.copy()
    for setting, part in numbers.groupby("setting", sort=False):
        rows = [_place(*row) for row in part[keys].itertuples(index=False)]
        if averaged:
            mean = _mean_place(averaged)
            rows = [(mean, *row[1:]) if row[0] == "mean" else row for row in rows]
        values = dict(zip(rows, part["value"], strict=True))
        words = [cited(name), str(setting)] if setting else [cited(name)]
        column = f"{metric} ({': '.join(words)})"
        found = pd.array([values.get(place) for place in places], dtype="Float64")
        # Whole numbers become integers, so that they are not printed as 8.431e+04.
        whole = metric in COUNTS and (part["value"] % 1 == 0).all()
        shown[column] = found.astype("Int64") if whole else found
    return shown


def _place(finding: str, criterion: str = "", threshold: str | float = 0.0) -> tuple[object, ...]:
    return standard_finding(finding), criterion, round(float(threshold), 6)


def _mean_place(findings: Iterable[str]) -> frozenset[str]:
    return frozenset(map(standard_finding, findings))


def _measured_means(measured: pd.DataFrame) -> list[tuple[str, ...]]:
    """The findings over which each measured row is a mean; empty for rows that are not means."""
    if "averaged" in measured.columns:
        return [tuple(findings) for findings in measured["averaged"]]
    findings = [str(finding) for finding in measured["finding"]]
    others = tuple(dict.fromkeys(finding for finding in findings if finding != "mean"))
    return [others if finding == "mean" else () for finding in findings]


@cache
def _read(file_name: str) -> pd.DataFrame:
    with (_FOLDER / file_name).open(encoding="utf-8") as stream:
        return pd.read_csv(stream, dtype=str, keep_default_na=False)
