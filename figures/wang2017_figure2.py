"""Co-occurrence of phantoms' findings, after Wang et al. 2017, figure 2: wang2017_figure2.svg.

python figures/wang2017_figure2.py
"""

import tempfile
from pathlib import Path

from cxrloc.panels.plots import FigureRequest
from cxrloc.phantom import write_phantoms
from cxrloc.pipeline.figure import figure

FIGURES = Path(__file__).parent

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        chests = Path(folder) / "chests"
        write_phantoms(chests, n=300, seed=31, size=64)
        figure("cooccurrence", [chests], FIGURES / "wang2017_figure2.svg", FigureRequest("single"))
