"""Baseline pictures: every panel as a small grey picture. To draw them again (then look at them):

python -m tests.panels.baselines
"""

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from cxrloc.models.names import PHANTOM_MODEL
from cxrloc.panels.panels import PANELS
from cxrloc.panels.plots import FigureRequest, figure_style
from tests.panels.small_results import ROWS, write_images, write_tables

BASELINES = Path(__file__).with_name("baselines")

_DPI, _SHRINK = 120, 4


class Case(NamedTuple):
    """What a panel is given: results in the folder of tables or of images, and choices."""

    tables: str = ""
    images: str = ""
    request: FigureRequest = FigureRequest()


CASES = {
    **{name: Case(tables=".") for name in PANELS},
    "auc-ranking": Case(tables=".", request=FigureRequest(beside=("wang2017:17",))),
    "localization": Case(tables=".", request=FigureRequest(beside=("wang2017:4", "wang2017:7"))),
    "ages": Case(tables="data"),
    "cooccurrence": Case(tables="labels.csv"),
    "clusters": Case(tables="labels_clusters.csv"),
    "training": Case(tables="train"),
    "dependency": Case(tables="sentences.json"),
    "network": Case(),
    "localization-rows": Case(images=ROWS),
    "examples": Case(images="boxes.csv images"),
    "report-example": Case(images="boxes.csv images reports.csv said.csv"),
    "findings-overlay": Case(images="images maps"),
    "ranked-labels": Case(images="scores boxes.csv images", request=FigureRequest(images=("a",))),
    "gradcam": Case(
        images="boxes.csv images maps arrows.csv", request=FigureRequest(findings=("Mass",))
    ),
}


def write_results(folder: Path) -> None:
    """What all cases read."""
    (folder / "images").mkdir()
    write_tables(folder / "tables")
    write_images(folder / "images")


def drawn(panel: str, folder: Path) -> Figure:
    """A panel's case; to be called inside `figure_style`."""
    case = CASES[panel]
    results = [folder / "tables" / name for name in case.tables.split()]
    results += [folder / "images" / name for name in case.images.split()]
    return PANELS[panel].draw(results or [Path(PHANTOM_MODEL)], case.request)


def small_grey(figure: Figure) -> Float[np.ndarray, "row col"]:
    """The figure in grey levels from 0 to 255, at 30 dots per inch, each a mean of 16."""
    figure.set_dpi(_DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    grey = np.asarray(canvas.buffer_rgba())[..., :3].mean(axis=-1)
    rows, columns = (side // _SHRINK for side in grey.shape)
    blocks = grey[: rows * _SHRINK, : columns * _SHRINK].reshape(rows, _SHRINK, columns, _SHRINK)
    return blocks.mean(axis=(1, 3))


def main() -> None:
    """Write them all."""
    BASELINES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name, figure_style():
        write_results(Path(name))
        for panel in CASES:
            picture = Image.fromarray(small_grey(drawn(panel, Path(name))).round().astype(np.uint8))
            picture.save(BASELINES / f"{panel}.png", optimize=True)


if __name__ == "__main__":
    main()
