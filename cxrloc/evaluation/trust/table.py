"""The results of all tests of a model's heatmaps, as one table."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from cxrloc.evaluation.measurement import Measurement
from cxrloc.evaluation.resampling import Resampling, bootstrap
from cxrloc.files.table_writer import markdown_table, with_notes, write_csv
from cxrloc.files.whole import write_text

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


def mean_over_pairs(
    test: str,
    subject: str,
    values: Sequence[float | None],
    patient_ids: Sequence[str],
    resampling: Resampling,
) -> Measurement:
    """The mean over (image, finding) pairs with an interval over patients.

    Pairs without a value, because their map is flat, are left out. `subject` names what was tested:
    "model" or "random map", a layer, another model, or a change of the image.

    >>> row = mean_over_pairs("road", "model", [0.2, None, 0.4], ["a", "b", "c"], Resampling(20))
    >>> round(row.value, 3), row.divisor, row.note
    (0.3, 2, '1 flat map left out')
    """
    kept = [(v, p) for v, p in zip(values, patient_ids, strict=True) if v is not None]
    flat = len(values) - len(kept)
    note = f"{flat} flat map{'s' if flat > 1 else ''} left out" if flat else ""
    if not kept:
        return not_measured(test, subject, note or "the models share none of the findings")
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
    return Measurement(
        metric=test,
        finding="all findings",
        value=float(numbers.mean()),
        low=low,
        high=high,
        subject=subject,
        n=counts.size,
        divisor=len(kept),
        divided_by="image and finding pairs",
        note=note,
    )


def not_measured(test: str, subject: str, note: str) -> Measurement:
    """The row of a test that was not run or for which no map could be used."""
    return Measurement(metric=test, finding="all findings", subject=subject, note=note)


def trust_frame(rows: Sequence[Measurement]) -> pd.DataFrame:
    """`trust.csv`: one row per number, with the pairs and patients that it comes from."""
    columns = ("test", "subject", "value", "low", "high", "pairs", "patients", "note")
    cells = [
        (r.metric, r.subject, r.value, r.low, r.high, int(r.divisor), r.n, r.note) for r in rows
    ]
    frame = pd.DataFrame(cells, columns=pd.Index(columns))
    return frame.astype(dict.fromkeys(("value", "low", "high"), "Float64"))


def without_layers(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of `trust_frame` with one for the randomised layers: that with all of them random.

    The cascade randomises one layer more with each row, so its last row has randomised all.
    """
    layers = frame.index[frame["test"] == "weight randomisation"]
    short = frame.drop(layers[:-1]).copy()
    short.loc[layers[-1:], "subject"] = "all layers"
    return short


def write_trust(
    frame: pd.DataFrame,
    curves: pd.DataFrame,
    verdict: Sequence[str],
    out: Path,
    remarks: Sequence[str] = (),
) -> None:
    """Write `trust.csv`, the curves behind its areas, and `trust.md`.

    `trust.md` has the verdict, all numbers and how to read each test. Remarks on all numbers stand
    in every row and below the table.
    """
    write_csv(with_notes(frame, remarks), out / "trust.csv")
    write_csv(with_notes(curves, remarks), out / "trust_curves.csv")
    legend = [f"{test}: {words}." for test, words in TESTS.items()]
    legend += [f"{remark[0].upper()}{remark[1:]}." for remark in remarks]
    write_text(
        out / "trust.md", "\n\n".join([*verdict, markdown_table(frame), "\n".join(legend)]) + "\n"
    )
