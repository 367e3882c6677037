"""Every panel by name: how it is drawn, what it reads, and which published figure it is after.

To add one, write a function from result paths and a `FigureRequest` to a figure, and add a line.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from cxrloc.panels.auc import draw_auc_ranking
from cxrloc.panels.chords import draw_cooccurrence
from cxrloc.panels.clusters import draw_clusters
from cxrloc.panels.distributions import draw_ages, draw_precision_cdf
from cxrloc.panels.localization import (
    draw_froc,
    draw_localization,
    draw_localization_by_finding,
)
from cxrloc.panels.lr_range import draw_lr_range
from cxrloc.panels.matrices import draw_confusion, draw_spearman
from cxrloc.panels.plots import FigureRequest
from cxrloc.panels.roc import draw_roc, draw_roc_by_run
from cxrloc.panels.training import draw_training
from cxrloc.panels.trust import draw_trust


class Panel(NamedTuple):
    """A kind of figure.

    Attributes:
        draw: called inside `figure_style`.
        reads: the results it takes, in words.
        after: the figures or tables that it is after.
    """

    draw: Callable[[Sequence[Path], FigureRequest], Figure]
    reads: str
    after: str


PANELS: dict[str, Panel] = {
    "roc": Panel(draw_roc, "folders of classify; CSV of readers", "Wang 5-7, Pham 4, Dong 6b"),
    "roc-by-run": Panel(draw_roc_by_run, "folders of classify", "Wang 5-7"),
    "auc-ranking": Panel(draw_auc_ranking, "folders of classify", "Baltruschat 5, Wang table 17"),
    "spearman": Panel(draw_spearman, "folders of compare", "Baltruschat table 5"),
    "confusion": Panel(draw_confusion, "a folder of classify", "Dong 6a"),
    "precision-cdf": Panel(draw_precision_cdf, "folders of classify", "Dong 8"),
    "localization": Panel(draw_localization, "a folder of bench", "Wang tables 4, 7, 19"),
    "localization-by-finding": Panel(
        draw_localization_by_finding, "a folder of bench", "Wang tables 4, 7, 19"
    ),
    "froc": Panel(draw_froc, "folders of bench", ""),
    "ages": Panel(draw_ages, "a data set", "Baltruschat 3"),
    "cooccurrence": Panel(draw_cooccurrence, "a data set or labels.csv of label", "Wang 2, 8"),
    "clusters": Panel(draw_clusters, "labels_clusters.csv of label --cluster", "Dong 4"),
    "training": Panel(draw_training, "folders of train", "Rubin section 6"),
    "lr-range": Panel(draw_lr_range, "a folder of lr-range", ""),
    "trust": Panel(draw_trust, "a folder of trust", ""),
}
"""What `cxrloc figure` draws."""
