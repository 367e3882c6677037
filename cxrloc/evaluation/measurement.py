"""One number of the results: the row of which every table and page is made."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One number of the results, with its interval and how it was computed.

    Every table, CSV file and page of results is a view of a list of these. A field that a table
    does not need keeps its default.

    Attributes:
        metric: what the number is, such as "accuracy" or "auc".
        finding: the finding; "mean" for a mean over `averaged`; "all findings" where an image
            counts once for all of its findings.
        value: the number; None where it is not defined, and then `note` gives the reason.
        low: lower end of the interval; None where the number has no interval.
        high: upper end of the interval.
        subject: what was measured: empty for the model under evaluation, otherwise the name of a
            control, a run or a layer; "B - A" for a paired difference.
        group: "all", or the subgroup of images that was used: "view PA", "age 18-39".
        match: the rule by which a box counts as found, such as "iou > 0.5"; empty for metrics
            without boxes.
        at: the metric's own parameter: an overlap, a tolerance in pixels, a rate; None for none.
        n: number of units (patients, images, studies or pairs).
        positives: number of these units with the finding; None where it is not counted.
        numerator: the dividend, where it is a count; None where it is not.
        divisor: the number by which the numerator was divided.
        divided_by: the divisor in words.
        threshold: threshold of the decision: an operating point, a grey level (0 to 255) or the
            score of a box.
        chosen_on: the patients on whom the threshold was chosen, in words.
        averaged: the findings that a mean was taken over; empty for other numbers.
        note: what a reader must know about this number.
    """

    metric: str
    finding: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    subject: str = ""
    group: str = "all"
    match: str = ""
    at: float | None = None
    n: int = 0
    positives: int | None = None
    numerator: float | None = None
    divisor: float = 0
    divided_by: str = ""
    threshold: float | None = None
    chosen_on: str = ""
    averaged: tuple[str, ...] = ()
    note: str = ""
