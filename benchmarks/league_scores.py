"""Numbers, table and figure of both leagues of weak localizers.

The leagues are `league.py` (phantoms) and `league_radiographs.py`. The result of a row is a
dictionary with `auc`, `milliseconds`, `parameters` and `numbers`; each of these numbers is a list
of value, low and high, and the last two are None where there is no interval.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.metrics import score_metrics
from cxrloc.evaluation.localization.placed_run import PlacedRun
from cxrloc.evaluation.localization.scores import difference_of, score_run
from cxrloc.evaluation.measurement import Measurement

RULES = tuple(
    MatchRule(criterion, at)
    for criterion, levels in (("iobb", (0.25, 0.5)), ("iou", (0.1, 0.3, 0.5)))
    for at in levels
)


def numbers_of(run: PlacedRun) -> dict[str, list[float | None]]:
    """The numbers of a scored run that the table shows, each with its interval."""
    rows = [*score_run(run).measurements, *score_metrics(run)]
    return {key: [row.value, row.low, row.high] for row in rows if (key := _key(row))}


def milliseconds(compute: Callable[[], object], repeats: int = 9) -> float:
    """Median time of a computation on one thread: that of the processor, also under load."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times = []
    for _ in range(repeats):
        started = time.process_time()
        compute()
        times.append(1000 * (time.process_time() - started))
    torch.set_num_threads(threads)
    return float(np.median(times))


def _key(row: Measurement) -> str:
    """The name of a number that the table shows; empty for all others."""
    if row.group != "all":
        return ""
    if row.metric == "accuracy" and row.finding == "mean":
        if row.subject == difference_of("", "permuted"):
            return f"own - permuted {row.match}"
        return f"{row.subject or 'own'} {row.match}"
    if row.subject:
        return ""
    if row.metric == "hit_rate" and row.finding == "mean":
        return "pointing"
    if row.metric == "centre_containment" and row.finding == "Nodule":
        return "nodule centres"
    if row.metric == "boxes_per_heatmap" and row.finding == "mean":
        return "boxes per map"
    if row.metric == "afp" and row.finding == "mean" and row.match == "iou > 0.1":
        return "afp at iou .1"
    return ""


CONTROLS = ("permuted", "prior_medoid")
COLUMNS = (
    *(f"{rule.criterion} > {rule.threshold:g}" for rule in RULES),
    *("own - permuted iobb > 0.25", "own - permuted iou > 0.3"),
    *("pointing", "nodule centres", "afp at iou .1", "boxes per map", "mirrored", "shifted"),
)
"""Numbers that the table shows where a row has them."""


def table_of(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: a row per localizer; accuracies with intervals, of permuted maps in brackets."""
    columns = [
        key for key in COLUMNS if any(_shown(row["numbers"], key) for row in results.values())
    ]
    heads = ["localizer", "AUC", *columns, "ms", "parameters"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, row in results.items():
        area = _shown(row["numbers"], "auc") or f"{row['auc']:.3f}"
        cells = [name, area, *(_shown(row["numbers"], key) for key in columns)]
        cells += [f"{row['milliseconds']:.0f}", f"{row['parameters'] / 1e6:.2f} M"]
        lines.append(f"| {' | '.join(cells)} |")
    if results:
        numbers = next(iter(results.values()))["numbers"]
        prior = [_number(numbers, f"prior_medoid {key}") for key in columns]
        lines.append(f"| prior_medoid |  | {' | '.join(prior)} |  |  |")
    return "\n".join(lines)


def _shown(numbers: Mapping[str, Sequence[float | None]], key: str) -> str:
    own = numbers.get(f"own {key}") or numbers.get(key)
    if not own or own[0] is None:
        return ""
    value, low, high = own
    text = f"{value:.3f}" if low is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"
    permuted = _number(numbers, f"permuted {key}")
    return f"{text} (permuted {permuted})" if permuted else text


def _number(numbers: Mapping[str, Sequence[float | None]], key: str) -> str:
    value = numbers.get(key, [None])[0]
    return "" if value is None else f"{value:.3f}"


def draw(results: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Accuracy at IoBB .25 and IoU .3 with intervals, beside permuted maps and the prior box."""
    rules = ("iobb > 0.25", "iou > 0.3")
    places = np.arange(len(results))[::-1]
    height = 0.22 * len(results) + 0.9
    figure, axes = plt.subplots(1, 2, figsize=(7.2, height), sharey=True, layout="constrained")
    for axis, rule in zip(axes, rules, strict=True):
        own = np.array([row["numbers"][f"own {rule}"] for row in results.values()], dtype=float)
        error = [own[:, 0] - own[:, 1], own[:, 2] - own[:, 0]]
        axis.errorbar(own[:, 0], places, xerr=error, fmt="o", color="black", ms=4, label="own map")
        for control, mark in zip(CONTROLS, ("x", "|"), strict=True):
            values = [row["numbers"][f"{control} {rule}"][0] for row in results.values()]
            axis.plot(values, places, mark, color="0.5", label=control.replace("_", ", "))
        axis.set_xlabel(f"mean accuracy, {rule.replace('iobb', 'IoBB').replace('iou', 'IoU')}")
        axis.set_yticks(places, [*results])
        axis.set_xlim(left=0)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(
        handles[::-1], names[::-1], loc="outside upper center", ncols=3, fontsize=8, frameon=False
    )
    figure.savefig(path, dpi=200)
