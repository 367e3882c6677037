"""Tables of LaTeX compile into an article of two columns without an overfull box."""

import os
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from cxrloc.files.latex import latex_tables

FINDINGS = ("Atelectasis", "Enlarged_Cardiomediastinum", "Pleural_Thickening", "mean")
NOTES = [f"{'Words of a note that is long. ' * 12}100 % of prior_mean & <more>."]
INTERVAL = "0.12 to 0.34"


def compiled(tables: list[str], folder: Path) -> str:
    """The log of LaTeX for an article of two columns that holds these tables."""
    if shutil.which("pdflatex") is None and os.environ.get("CXRLOC_LATEX") != "required":
        pytest.skip("no LaTeX here")
    lines = [r"\documentclass[twocolumn]{article}", r"\usepackage{booktabs}", r"\begin{document}"]
    text = "\n".join([*lines, "Text.", *tables, r"\end{document}"])
    (folder / "a.tex").write_text(text, encoding="utf-8")
    command = [
        "pdflatex",
        "-interaction=nonstopmode",
        "-halt-on-error",
        "-no-shell-escape",
        "a.tex",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    return (folder / "a.log").read_text(errors="replace")


def blocks(findings: int, thresholds: int) -> pd.DataFrame:
    """Findings of three rows, with a column for each threshold."""
    rows = []
    for number in range(findings):
        name = FINDINGS[number % len(FINDINGS)]
        rows.append([name, "984", "Acc.", *["0.1234"] * thresholds])
        rows.append(["", "", "95 %", *[INTERVAL] * thresholds])
        rows.append(["", "", "FP per heatmap", *["12.3456"] * thresholds])
    columns = ["finding", "boxes", "T(IoBB)", *(f"0.{k}" for k in range(thresholds))]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def metrics(columns: int) -> pd.DataFrame:
    row = {f"a_metric_of_many_words_{k}": "0.951 (0.853 to 1.000)" for k in range(columns)}
    return pd.DataFrame([{"finding": name, "n": 112120, **row} for name in FINDINGS])


def test_tables_of_every_size_have_no_overfull_box(tmp_path: Path) -> None:
    long = pd.DataFrame({"run": ["a name of a run " * 9], "AUC ≥ 0.5": [0.5]})
    tables = [
        latex_tables(blocks(9, 5), "Five thresholds.", NOTES, keys=3),
        latex_tables(blocks(23, 12), "Rows and columns in parts.", NOTES, keys=3),
        latex_tables(metrics(0), "Narrow.", NOTES),
        latex_tables(metrics(9), "In parts.", NOTES),
        latex_tables(long, "A cell of several lines."),
    ]
    log = compiled(tables, tmp_path)
    assert "Overfull" not in log
    assert "Float too large" not in log


def test_text_is_escaped_between_booktabs_rules() -> None:
    frame = pd.DataFrame({"finding": ["Mass", "=A1|%"], "auc": [0.12345, None], "n": [3, 4]})
    body = latex_tables(frame, "Scores.").splitlines()[3:-1]
    assert body == [
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"finding & auc & n \\",
        r"\midrule",
        r"Mass & 0.1235 & 3 \\",
        r"=A1\textbar{}\% &  & 4 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
    assert r"finding & auc & n \\" in latex_tables(frame.iloc[:0], "No rows.")


def test_a_narrow_table_takes_one_column_and_a_wide_one_two() -> None:
    assert latex_tables(metrics(0), "None.").startswith("\\begin{table}")
    assert latex_tables(metrics(3), "Three.").startswith("\\begin{table*}")


def test_parts_repeat_the_keys_keep_rows_of_a_finding_together_and_end_in_the_notes() -> None:
    text = latex_tables(blocks(14, 5), "Accuracy.", ["A note."], keys=3)
    parts = text.split("\\end{table*}")[:-1]
    assert len(parts) == 2
    for part in parts:
        assert "finding & boxes & T(IoBB)" in part
        first = part.partition("\\midrule\n")[2]
        assert first.startswith(("Atelectasis", "Pleural Thickening", "Enlarged", "mean"))
    assert "\\caption{Accuracy. Part 2 of 2.}" in parts[1]
    assert ["A note." in part for part in parts] == [False, True]
    assert text.count("FP per heatmap") == 14


def test_an_interval_is_written_with_a_dash_unless_it_has_a_sign() -> None:
    frame = pd.DataFrame({"finding": ["Mass"], "a": [INTERVAL], "b": ["-0.1 to 0.2"]})
    assert "Mass & 0.12--0.34 & -0.1 to 0.2" in latex_tables(frame, "Intervals.")
