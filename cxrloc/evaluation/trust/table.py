"""What speaks for and against a model's heatmaps, as one table."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from cxrloc.evaluation.resampling import Resampling, bootstrap

TESTS = {
    "insertion": "area under the probability as pixels come, most relevant first; larger is better",
    "deletion": "area under the probability as pixels go, most relevant first; smaller is better",
    "road": "ROAD, half of least minus most relevant pixels removed; larger is better",
    "weight randomisation": "rank correlation with the map of a network whose layers are random "
    "from the last down to this one; smaller is better",
    "label randomisation": "rank correlation with the map of a model trained on shuffled labels; "
    "smaller is better",
    "repeatability": "rank correlation with the map of another model; larger is better",
    "map under disturbance": "rank correlation with the map of the changed image, moved back; "
    "larger is better",
    "probability under disturbance": "absolute change of the probability; smaller is better",
    "random map": "rank correlation with a smooth random map: what chance gives",
}
"""Tests of a heatmap and how to read them."""


@dataclass(frozen=True, slots=True)
class TrustRow:
    """One number about heatmaps: a row of `trust.csv`.

    Attributes:
        test: a name of `TESTS`.
        subject: what was tested: "model" or "random map", a layer, another model, a change.
        value: mean over pairs; None where the test was not run, and `note` says why.
        low: lower end of its interval, by bootstrap over patients.
        high: upper end.
        pairs: (image, finding) pairs with a value.
        patients: their patients.
        note: what a reader must know of this number.
    """

    test: str
    subject: str
    value: float | None
    low: float | None = None
    high: float | None = None
    pairs: int = 0
    patients: int = 0
    note: str = ""


def mean_row(
    test: str,
    subject: str,
    values: Sequence[float | None],
    patient_ids: Sequence[str],
    resampling: Resampling,
) -> TrustRow:
    """The mean over pairs with an interval over patients; pairs without a value are left out.

    >>> row = mean_row("road", "model", [0.2, None, 0.4], ["a", "b", "c"], Resampling(20))
    >>> round(row.value, 3), row.pairs, row.note
    (0.3, 2, '1 flat map left out')
    """
    kept = [(v, p) for v, p in zip(values, patient_ids, strict=True) if v is not None]
    flat = len(values) - len(kept)
    note = f"{flat} flat map{'s' if flat > 1 else ''} left out" if flat else ""
    if not kept:
        return TrustRow(test, subject, None, note=note or "the models share none of the findings")
    numbers = np.array([value for value, _ in kept])
    _, patient = np.unique([name for _, name in kept], return_inverse=True)
    sums, counts = (np.bincount(patient, weights) for weights in (numbers, np.ones(len(kept))))

    def mean(weights: Float[np.ndarray, "patient resample"]) -> Float[np.ndarray, "1 resample"]:
        return (sums @ weights / (counts @ weights))[None]

    everyone = np.ones((counts.size, 1), dtype=bool)
    low = high = None
    if resampling.resamples and counts.size > 1:
        result = bootstrap(mean, everyone, resampling)
        low, high = float(result.low[0]), float(result.high[0])
    return TrustRow(test, subject, float(numbers.mean()), low, high, len(kept), counts.size, note)


def trust_frame(rows: Sequence[TrustRow]) -> pd.DataFrame:
    """`trust.csv`: one row per number."""
    frame = pd.DataFrame([asdict(row) for row in rows])
    return frame.astype(dict.fromkeys(("value", "low", "high"), "Float64"))
