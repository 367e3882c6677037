"""Tables by unit: the most probable finding, ranks of its findings, labels above a threshold."""

import numpy as np
import pandas as pd

from cxrloc.evaluation.classification.ranking import image_ranking_precision
from cxrloc.evaluation.classification.report_rows import ARGMAX_OF_TWO
from cxrloc.evaluation.classification.units import ScoredUnits
from cxrloc.findings import NO_FINDING


def image_precision_frame(units: ScoredUnits, list_threshold: float | None = None) -> pd.DataFrame:
    """`image_precision.csv`: units with a finding, how many they have, and their ranking precision.

    Source: Dong et al. 2017, figure 8, which shows only images with two findings or more. If a
    threshold is given, the column `image_list_precision` holds the precision of the list of
    findings whose scores are above it.
    """
    truth = units.truth & units.known
    labelled = truth.any(axis=1)
    columns = {
        "unit": np.asarray(units.unit_ids, dtype=object)[labelled],
        "findings": truth.sum(axis=1)[labelled],
        "image_ranking_precision": image_ranking_precision(truth, units.scores),
    }
    if list_threshold is not None:
        precision = image_ranking_precision(truth, units.scores, list_threshold)
        columns["image_list_precision"] = precision
    return pd.DataFrame(columns)


def labels_frame(units: ScoredUnits, list_threshold: float) -> pd.DataFrame:
    """`labels.csv`: each unit, and 1 for every finding with a score above the threshold, else 0.

    Source: Dong et al. 2017, section IV.B, task 3. The columns are those of a `cxrloc label` file,
    so that labels by a model can be used in the same way as labels from reports.
    """
    listed = (units.scores > list_threshold).astype(int)
    frame = pd.DataFrame(listed, columns=pd.Index(units.findings))
    frame.insert(0, "unit", units.unit_ids)
    return frame


def single_findings_frame(units: ScoredUnits) -> pd.DataFrame:
    """`single_findings.csv`: units with exactly one finding, by that finding and the predicted one.

    Source: Dong et al. 2017, section V.C. The predicted finding is the one with the highest score;
    of equal scores the first counts. Every pair of findings has a row, also if it has 0 units. A
    model with one output gives the two classes of section V.B, at argmax: the finding and its
    absence (for No Finding, the absence is Abnormal). Then all units with a known label count.
    """
    known = units.truth & units.known
    names = units.findings
    if len(names) == 1:
        (finding,) = names
        names = (finding, "Abnormal" if finding == NO_FINDING else f"No {finding}")
        single = units.known[:, 0]
        truth = np.where(known[single, 0], 0, 1)
        called = np.where(units.scores[single, 0] >= ARGMAX_OF_TWO, 0, 1)
    else:
        single = known.sum(axis=1) == 1
        truth, called = known[single].argmax(axis=1), units.scores[single].argmax(axis=1)
    count = len(names)
    return pd.DataFrame(
        {
            "finding": np.repeat(names, count),
            "called": np.tile(names, count),
            "units": np.bincount(truth * count + called, minlength=count**2),
        }
    )
