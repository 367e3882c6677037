"""`cxrloc figure`: results on disk in, a figure for print or for a slide out."""

from collections.abc import Sequence
from pathlib import Path

from cxrloc.models.weights import MODELS
from cxrloc.panels.figure_files import figure_paths, write_figure
from cxrloc.panels.panels import PANELS
from cxrloc.panels.plots import FigureRequest, figure_style
from cxrloc.types import UsageError


def figure(
    panel: str, results: Sequence[Path], out: Path, request: FigureRequest, dark: bool = False
) -> list[Path]:
    """Draw one panel and write it.

    Args:
        panel: a name of `PANELS`.
        results: what the panel reads.
        out: a file, whose suffix is the format, or a name without suffix for every format.
        request: width and choices.
        dark: for slides.

    Returns:
        The files written.

    Raises:
        UsageError: there is no such panel or format, or a path does not exist.
        CxrlocError: a result is not what the panel reads, or a font is missing.
    """
    if panel not in PANELS:
        raise UsageError(f"{panel}: no such panel; choose from {', '.join(PANELS)}")
    if not results:
        raise UsageError(f"{panel}: say which results; it reads {PANELS[panel].reads}")
    for path in results:
        if not path.exists() and str(path) not in MODELS:
            raise UsageError(f"{path}: no such file or folder")
    paths = figure_paths(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with figure_style(dark):
        write_figure(PANELS[panel].draw(results, request), paths)
    return paths
