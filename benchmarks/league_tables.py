"""Tables and figure of the league, from the rows that are there."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from league_heads import LEAGUE, OWN, head_of
from league_scores import CONTROLS, RULES, Number, compared, with_interval

ACCURACIES = {
    f"{rule.criterion} > {rule.threshold:g}": f"{rule.criterion} > {rule.threshold:g}".replace(
        "iobb", "IoBB"
    ).replace("iou", "IoU")
    for rule in RULES
}
"""The rules, by the names that they have in the numbers, as the page prints them."""

OTHERS = {
    "own - permuted iobb > 0.25": "own - permuted, IoBB > 0.25",
    "own - permuted iou > 0.3": "own - permuted, IoU > 0.3",
    **{name: name for name in ("pointing", "nodule centres", "boxes per map")},
    "afp at iou .1": "AFP, IoU > 0.1",
    **{name: name for name in ("mirrored", "shifted")},
}
MARGIN, REACHED = "own - permuted iobb > 0.25", "own iou > 0.3"
"""The two numbers by which a model becomes the next default."""


class Run(NamedTuple):
    """The folder of a fold, and the seed of its heads."""

    fold: Path
    seed: int

    def path_of(self, name: str) -> Path:
        """The file of a row; rows of the model's own head have no seed."""
        folder = self.fold if head_of(name) == OWN else self.fold / f"seed-{self.seed}"
        return folder / f"{name.replace(', ', '-').replace(' ', '-')}.json"


def results_of(run: Run) -> dict[str, dict[str, Any]]:
    """The finished rows of a run, in the order of the league."""
    paths = {name: run.path_of(name) for name in LEAGUE}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}


def rows_tables(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: accuracies with those of controls, and the other numbers; a row per localizer."""
    numbers = next(iter(results.values()))["numbers"]
    places = [["localizer", "AUC", *ACCURACIES.values()]]
    others = [["localizer", *OTHERS.values(), "ms", "parameters"]]
    for name, row in results.items():
        own = row["numbers"]
        reached = [
            f"{_text(own[f'own {rule}'])}; {_text(own[f'permuted {rule}'][:1])}"
            for rule in ACCURACIES
        ]
        places.append([name, _text(own["auc"]), *reached])
        cost = [f"{row['milliseconds']:.0f}", f"{row['parameters'] / 1e6:.2f} M"]
        others.append([name, *(_text(own[key]) for key in OTHERS), *cost])
    prior = [_text(numbers[f"prior_medoid {rule}"][:1]) for rule in ACCURACIES]
    places.append(["medoid box", "", *prior])
    return f"{_markdown(places)}\n\n{_markdown(others)}"


def spread_table(runs: Sequence[Run]) -> str:
    """Markdown: means over runs, and how far a row lies above the model's own head, paired.

    The intervals of the differences are of images and not of the training's seeds. A difference is
    empty where a run has no row of the own head.
    """
    heads = ["localizer", "runs", "AUC", "own - permuted, IoBB > 0.25", "IoU > 0.3"]
    rows = [[*heads, "above own head: own - permuted, IoBB > 0.25", "above own head: IoU > 0.3"]]
    for name in LEAGUE:
        done = {run.path_of(name): run for run in runs if run.path_of(name).exists()}
        if not done:
            continue
        auc = [json.loads(path.read_text())["numbers"]["auc"][0] for path in done]
        cells, above = [name, f"{len(done)}", _spread(auc)], []
        own = [run.path_of(OWN) for run in done.values()]
        paired = name != OWN and all(path.exists() for path in own)
        for key in (MARGIN, REACHED):
            values = _resampled(done, key)
            cells.append(_spread(values[:, 0]))
            difference = (values - _resampled(own, key)).mean(axis=0) if paired else None
            above.append("" if difference is None else _text(with_interval(difference), "+"))
        rows.append([*cells, *above])
    return _markdown(rows)


def _resampled(paths: Iterable[Path], key: str) -> np.ndarray:
    """A number of each row's file, as (file, 1 + resamples)."""
    files = [np.load(path.with_suffix(".npz")) for path in paths]
    return np.array([compared({**each})[key] for each in files])


def _spread(values: Sequence[float] | np.ndarray) -> str:
    """Mean and standard deviation over runs."""
    deviation = f" ({_short(np.std(values, ddof=1))})" if len(values) > 1 else ""
    return f"{_short(np.mean(values))}{deviation}"


def _text(number: Number, sign: str = "") -> str:
    """A value and, where there is one, its interval."""
    value, *ends = number
    if value is None:
        return ""
    known = [_short(end, sign) for end in ends if end is not None]
    return _short(value, sign) + (f" [{', '.join(known)}]" if known else "")


def _short(value: float | np.floating[Any], sign: str = "") -> str:
    """A number with three digits, without the 0 before its point."""
    text = f"{round(value, 3) + 0.0:{sign}.3f}"  # no minus before zeros
    return text.replace("0.", ".", 1) if abs(value) < 0.9995 else text


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def draw(results: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Accuracy at IoBB .25 and IoU .3 with intervals, beside permuted maps and the medoid box."""
    places = np.arange(len(results))[::-1]
    height = 0.22 * len(results) + 0.9
    figure, axes = plt.subplots(1, 2, figsize=(7.2, height), sharey=True, layout="constrained")
    for axis, rule in zip(axes, ("iobb > 0.25", "iou > 0.3"), strict=True):
        own = np.array([row["numbers"][f"own {rule}"] for row in results.values()], dtype=float)
        error = [own[:, 0] - own[:, 1], own[:, 2] - own[:, 0]]
        axis.errorbar(own[:, 0], places, xerr=error, fmt="o", color="black", ms=4, label="own map")
        for control, mark in zip(CONTROLS, ("x", "|"), strict=True):
            values = [row["numbers"][f"{control} {rule}"][0] for row in results.values()]
            axis.plot(values, places, mark, color="0.5", label=_CONTROLS[control])
        axis.set_xlabel(f"mean accuracy, {ACCURACIES[rule]}")
        axis.set_yticks(places, [*results])
        axis.set_xlim(left=0)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(
        handles[::-1], names[::-1], loc="outside upper center", ncols=3, fontsize=8, frameon=False
    )
    figure.savefig(path, dpi=200)
    plt.close(figure)


_CONTROLS = {"permuted": "maps of other patients", "prior_medoid": "medoid box"}
