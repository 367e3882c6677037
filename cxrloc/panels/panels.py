"""Every panel by name: how it is drawn, what it reads, and which published figure it is after.

To add one, write a function from result paths and a `FigureRequest` to a figure, and add a line.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from cxrloc.panels.lr_range import draw_lr_range
from cxrloc.panels.plots import FigureRequest
from cxrloc.panels.roc import draw_roc, draw_roc_by_run
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
    "lr-range": Panel(draw_lr_range, "a folder of lr-range", ""),
    "trust": Panel(draw_trust, "a folder of trust", ""),
}
"""What `cxrloc figure` draws."""
