"""The results of a classifier, which show themselves as tables and as a picture."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cxrloc.evaluation.measurement import Measurement
from cxrloc.types import shown

if TYPE_CHECKING:
    import pandas as pd
    import PIL.Image


@dataclass(frozen=True, slots=True)
class ClassificationReport:
    """The results of a classifier on one set of units, and how they were computed.

    Attributes:
        unit: "image", "study" or "patient".
        aggregation: how the scores of a unit's images became one score: "max" or "mean".
        findings: the findings that were scored.
        units: number of units that were scored.
        patients: number of patients, who are the units of the bootstrap.
        resamples: number of bootstrap resamples for each interval.
        seed: seed of the bootstrap.
        level: coverage of the intervals.
        measurements: every number, each with its counts and divisor.
        list_threshold: the list of a unit holds its findings with a score above this threshold;
            None if no lists were made.
        remarks: what a reader must know about all numbers, such as a leak of patients.
    """

    unit: str
    aggregation: str
    findings: tuple[str, ...]
    units: int
    patients: int
    resamples: int
    seed: int
    level: float
    measurements: tuple[Measurement, ...]
    list_threshold: float | None = None
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        units = {"study": "studies"}.get(self.unit, f"{self.unit}s")
        return (
            f"ClassificationReport({len(self.findings)} findings, {self.units} {units} of "
            f"{self.patients} patients)"
        )

    def table(self) -> "pd.DataFrame":
        """A row per finding and mean, with each metric, its interval and counts."""
        return shown("metrics_frame", self)

    def to_latex(self) -> str:
        """The printed table, `table.tex`."""
        return shown("classification_latex", self)

    def plot(self) -> "PIL.Image.Image":
        """The AUC of each finding with its interval, the panel `auc-ranking`."""
        return shown("report_picture", self)

    def _repr_html_(self) -> str:
        return shown("html", shown("printed_frame", self))
