"""The verdict of the tests of a model's heatmaps, each beside what a random map reaches."""

from collections.abc import Sequence

from cxrloc.evaluation.measurement import Measurement

SMALLER_IS_BETTER = ("deletion",)


def trust_verdict(rows: Sequence[Measurement]) -> tuple[str, str, str]:
    """One sentence each on faithfulness, on what the map depends on, and on stability.

    Two numbers differ clearly if their intervals do not overlap. The rows of the randomised layers
    count as one: that with all layers random.

    Args:
        rows: every number of `cxrloc trust`.
    """
    floor = _of(rows, "random map")[0]
    return _faithfulness(rows), _dependence(rows, floor), _stability(rows, floor)


def _faithfulness(rows: Sequence[Measurement]) -> str:
    clear, parts = 0, []
    for test in ("insertion", "deletion", "road"):
        model, chance = (_of(rows, test, subject)[0] for subject in ("model", "random map"))
        better = _above(chance, model) if test in SMALLER_IS_BETTER else _above(model, chance)
        clear += better
        name = "ROAD" if test == "road" else test
        parts.append(f"{name} {_number(model)} (random map {_number(chance)})")
    result = f"clearly better than a random map in {clear} of 3 tests"
    return f"Faithfulness: {result}: {', '.join(parts)}."


def _dependence(rows: Sequence[Measurement], floor: Measurement) -> str:
    weights = _of(rows, "weight randomisation")[-1:]
    labels = [row for row in _of(rows, "label randomisation") if row.value is not None]
    parts = [f"with all layers random {_number(row)}" for row in weights]
    parts += [f"with shuffled labels {_number(row)}" for row in labels]
    still = any(_above(row, floor) for row in (*weights, *labels))
    result = (
        "the map stays like that of a network that has not learned"
        if still
        else ("the map is not that of a network that has not learned")
    )
    untested = "" if labels else "; labels are not tested (--shuffled-model)"
    return (
        f"What was learned: {result}: rank correlation {', '.join(parts)} "
        f"(random map {_number(floor)}){untested}."
    )


def _stability(rows: Sequence[Measurement], floor: Measurement) -> str:
    kept = [
        row
        for test in ("map under disturbance", "repeatability")
        for row in _of(rows, test)
        if row.value is not None
    ]
    clear = sum(_above(row, floor) for row in kept)
    least = min(kept, key=lambda row: row.value or 0.0, default=None)
    lowest = "" if least is None else f", least under {least.subject}: {_number(least)}"
    repeated = any(row.metric == "repeatability" for row in kept)
    untested = "" if repeated else "; other models are not tested (--other-model)"
    return (
        f"Stability: clearly above a random map in {clear} of {len(kept)} tests{lowest} "
        f"(random map {_number(floor)}){untested}."
    )


def _of(rows: Sequence[Measurement], test: str, subject: str = "") -> list[Measurement]:
    return [row for row in rows if row.metric == test and subject in ("", row.subject)]


def _above(higher: Measurement, lower: Measurement) -> bool:
    """Whether a number is clearly above another; without intervals nothing is clear."""
    return higher.low is not None and lower.high is not None and higher.low > lower.high


def _number(row: Measurement) -> str:
    if row.value is None:
        return "undefined"
    if row.low is None or row.high is None:
        return f"{row.value:.2f}"
    return f"{row.value:.2f} [{row.low:.2f}, {row.high:.2f}]"
