"""Every panel by name: how it is drawn, what it reads, and which published figure it follows.

To add one, write a function that takes paths of results and a `FigureRequest` and returns a
figure, and add a line to `PANELS`. `tests/panels/baselines.py` makes the picture that its test
expects.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from cxrloc.panels.auc import draw_auc_ranking
from cxrloc.panels.chords import draw_cooccurrence
from cxrloc.panels.clusters import draw_clusters
from cxrloc.panels.dependency_graph import draw_dependency
from cxrloc.panels.distributions import draw_ages, draw_precision_cdf
from cxrloc.panels.examples import draw_examples, draw_report_example
from cxrloc.panels.label_tree import draw_label_tree
from cxrloc.panels.localization import (
    draw_froc,
    draw_localization,
    draw_localization_by_finding,
)
from cxrloc.panels.localization_rows import draw_gradcam, draw_localization_rows
from cxrloc.panels.lr_range import draw_lr_range
from cxrloc.panels.matrices import draw_confusion, draw_spearman
from cxrloc.panels.network_chart import draw_network
from cxrloc.panels.one_image import draw_findings_overlay, draw_ranked_labels
from cxrloc.panels.plots import FigureRequest
from cxrloc.panels.roc import draw_roc, draw_roc_by_run
from cxrloc.panels.training import draw_training
from cxrloc.panels.trust import draw_trust


class Panel(NamedTuple):
    """A kind of figure.

    Attributes:
        draw: called inside `figure_style`.
        reads: what results it takes, in words for `--list`.
        after: the published figures or tables that it follows.
        projections: whether `--projection` chooses its images: "data" if the panel reads a data set
            and chooses them itself; "scores" and "boxes" if it reads runs of classify and of
            bench, which are scored again on these images; empty if it does not.
        fixed: why neither images nor findings can be chosen, where they cannot; empty where
            `--finding` chooses findings.
    """

    draw: Callable[[Sequence[Path], FigureRequest], Figure]
    reads: str
    after: str
    projections: str = ""
    fixed: str = ""


PANELS: dict[str, Panel] = {
    "roc": Panel(
        draw_roc, "folders of classify; CSV of readers", "Wang 5-7, Pham 4, Dong 6b", "scores"
    ),
    "roc-by-run": Panel(draw_roc_by_run, "folders of classify", "Wang 5-7", "scores"),
    "auc-ranking": Panel(
        draw_auc_ranking, "folders of classify", "Baltruschat 5, Wang table 17", "scores"
    ),
    "spearman": Panel(
        draw_spearman,
        "folders of compare",
        "Baltruschat table 5",
        fixed="it shows means over the images and findings that were compared; choose both with "
        "`cxrloc compare --projection --finding`",
    ),
    "confusion": Panel(draw_confusion, "a folder of classify", "Dong 6a", "scores"),
    "precision-cdf": Panel(draw_precision_cdf, "folders of classify", "Dong 8", "scores"),
    "localization": Panel(draw_localization, "a folder of bench", "Wang tables 4, 7, 19", "boxes"),
    "localization-by-finding": Panel(
        draw_localization_by_finding, "a folder of bench", "Wang tables 4, 7, 19", "boxes"
    ),
    "froc": Panel(draw_froc, "folders of bench", "", "boxes"),
    "ages": Panel(draw_ages, "a data set", "Baltruschat 3", "data"),
    "cooccurrence": Panel(
        draw_cooccurrence, "a data set or labels.csv of label", "Wang 2, 8", "data"
    ),
    "clusters": Panel(
        draw_clusters,
        "labels_clusters.csv of label --cluster",
        "Dong 4",
        fixed="it shows clauses of reports, not findings of images",
    ),
    "training": Panel(
        draw_training,
        "folders of train; recipes (rates)",
        "Rubin section 6",
        fixed="losses are those of all training images and findings together",
    ),
    "lr-range": Panel(
        draw_lr_range,
        "a folder of lr-range",
        "",
        fixed="losses are those of all training images and findings together",
    ),
    "localization-rows": Panel(
        draw_localization_rows,
        "a folder of bench --save-maps (or data; maps); reports; label --explain",
        "Wang tables 8-15",
        "data",
    ),
    "examples": Panel(
        draw_examples, "data; a CSV of arrows", "Wang 1, Baltruschat 1, Dong 5", "data"
    ),
    "report-example": Panel(
        draw_report_example, "data; reports; label --explain", "Dong 3", "data"
    ),
    "findings-overlay": Panel(draw_findings_overlay, "data or an image; maps", "Pham 5", "data"),
    "ranked-labels": Panel(draw_ranked_labels, "a folder of classify; data", "Dong 7", "data"),
    "label-tree": Panel(draw_label_tree, "a folder of classify", "Pham 1-3"),
    "dependency": Panel(
        draw_dependency,
        "JSON of sentences with graphs",
        "Wang 3",
        fixed="it shows words of sentences, not findings of images",
    ),
    "network": Panel(
        draw_network,
        "weights or phantom-v1",
        "Wang 4, Rubin 1, Baltruschat 2",
        fixed="it shows the layers of a network, not findings of images",
    ),
    "gradcam": Panel(draw_gradcam, "data; maps; a CSV of arrows", "Baltruschat 4", "data"),
    "trust": Panel(
        draw_trust,
        "a folder of trust",
        "",
        fixed="it shows means over the maps that were tested, which trust draws among all images "
        "and findings",
    ),
}
"""What `cxrloc figure` draws."""
