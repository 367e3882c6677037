"""Eight findings on phantoms, after Wang et al. 2017, figure 1: wang2017_figure1.png.

python figures/wang2017_figure1.py
"""

import tempfile
from pathlib import Path

from cxrloc.datasets.phantom import write_phantoms
from cxrloc.panels.plots import FigureRequest
from cxrloc.pipeline.figure import figure

FIGURES = Path(__file__).parent
SEED, COUNT, SIZE = 31, 24, 256  # a series that neither trained nor chose the embedded model

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        write_phantoms(Path(folder) / "chests", n=COUNT, seed=SEED, size=SIZE)
        request = FigureRequest("single")
        figure("examples", [Path(folder) / "chests"], FIGURES / "wang2017_figure1.png", request)
