"""Ages of phantoms by sex, after Baltruschat et al. 2019, figure 3: baltruschat2019_figure3.png.

python figures/baltruschat2019_figure3.py
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
        figure("ages", [chests], FIGURES / "baltruschat2019_figure3.png", FigureRequest("single"))
