"""The main results of a scored run, as a few lines for the top of a terminal or a page."""

from collections.abc import Sequence

from cxrloc.evaluation.localization.scores import LocalizationScores, difference_of
from cxrloc.evaluation.localization.tables import CRITERION_NAMES, excludes_0
from cxrloc.evaluation.measurement import Measurement

NEAREST = {"iobb": 0.25, "iou": 0.3}
"""The threshold of each criterion that the headline is about, or the nearest one asked for."""

_CONTROLS = {
    "permuted": "the model's own boxes on other patients with the finding",
    "prior_medoid": "a fixed box per finding, drawn on other patients",
    "random": "boxes of random maps",
}
"""Controls with which the model is compared, the fairest first; the first available one is used."""


def headline_lines(scores: LocalizationScores) -> list[str]:
    """Accuracy by an IoBB and an IoU rule, false positives, controls, and a comparison with one.

    All numbers are means over the findings; accuracies have intervals.
    """
    means = {
        (row.metric, row.match, row.subject): row
        for row in scores.measurements
        if row.finding == "mean" and row.group == "all"
    }
    matches = [
        match
        for criterion in NEAREST
        if (match := _nearest([m for metric, m, s in means if metric == "accuracy"], criterion))
    ]
    lines = []
    for match in matches:
        mean = means["accuracy", match, ""]
        lines.append(
            f"Accuracy at {_in_words(match)}: {_with_interval(mean)}, mean of "
            f"{len(mean.averaged)} findings"
        )
    afp = means["afp", matches[0], ""]
    per_heatmap = means.get(("false_positives_per_heatmap", matches[0], ""))
    behind = f"; {per_heatmap.value:.2f} per scored heatmap" if per_heatmap else ""
    lines.append(f"False positives at {_in_words(matches[0])}: AFP {afp.value:.3f}{behind}")
    for match in matches:
        cells = [
            f"{name} {means['accuracy', match, name].value:.3f}"
            for name in scores.controls
            if name != "oracle_map"
        ]
        lines.append(f"Controls at {_in_words(match)}: {', '.join(cells)}")
    lines += [_verdict(means[key], match) for match in matches for key in _paired(scores, match)]
    return lines


def _paired(scores: LocalizationScores, match: str) -> list[tuple[str, str, str]]:
    """The key of the accuracy difference between the model and the fairest available control."""
    names = [name for name in _CONTROLS if name in scores.controls]
    return [("accuracy", match, difference_of("", name)) for name in names[:1]]


def _verdict(paired: Measurement, match: str) -> str:
    control = paired.subject.partition(" - ")[2]
    value = paired.value or 0.0
    if paired.low is None:
        words = "the boxes are compared, without an interval, with"
    elif not excludes_0(paired):
        words = "the boxes do not differ clearly from"
    else:
        words = f"the boxes are clearly {'better' if value > 0 else 'worse'} than"
    interval = f" ({paired.low:+.3f} to {paired.high:+.3f})" if paired.low is not None else ""
    fixed = f" ({paired.note})" if paired.note else ""
    return f"At {_in_words(match)} {words} {_CONTROLS[control]}: {value:+.3f}{interval}{fixed}"


def _nearest(matches: Sequence[str], criterion: str) -> str | None:
    candidates = [match for match in matches if match.startswith(f"{criterion} > ")]
    published = NEAREST[criterion]
    return min(
        candidates, key=lambda m: abs(float(m.partition(" > ")[2]) - published), default=None
    )


def _in_words(match: str) -> str:
    criterion, _, threshold = match.partition(" > ")
    return f"{CRITERION_NAMES[criterion].removeprefix('T(').removesuffix(')')} > {threshold}"


def _with_interval(row: Measurement) -> str:
    if row.low is None or row.high is None:
        return f"{row.value:.3f}"
    return f"{row.value:.3f} ({row.low:.3f} to {row.high:.3f})"
