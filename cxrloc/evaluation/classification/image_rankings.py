"""What a classifier ranks first on each unit, and how well it ranks the unit's own findings."""

import numpy as np
import pandas as pd

from cxrloc.evaluation.classification.ranking import image_ranking_precision
from cxrloc.evaluation.classification.units import ScoredUnits


def image_precision_frame(units: ScoredUnits) -> pd.DataFrame:
    """`image_precision.csv`: each unit with a finding, how many it has, and its ranking precision.

    Source: Dong et al. 2017, figure 8, which shows those with two findings or more.
    """
    truth = units.truth & units.known
    labelled = truth.any(axis=1)
    return pd.DataFrame(
        {
            "unit": np.asarray(units.unit_ids, dtype=object)[labelled],
            "findings": truth.sum(axis=1)[labelled],
            "image_ranking_precision": image_ranking_precision(truth, units.scores),
        }
    )


def single_findings_frame(units: ScoredUnits) -> pd.DataFrame:
    """`single_findings.csv`: units with exactly one finding, by that and by the highest score.

    Source: Dong et al. 2017, section V.C. Every pair of findings has a row, also with 0 units; of
    equal scores the first counts.
    """
    truth = units.truth & units.known
    single = truth.sum(axis=1) == 1
    count = len(units.findings)
    cells = truth[single].argmax(axis=1) * count + units.scores[single].argmax(axis=1)
    return pd.DataFrame(
        {
            "finding": np.repeat(units.findings, count),
            "called": np.tile(units.findings, count),
            "units": np.bincount(cells, minlength=count**2),
        }
    )
