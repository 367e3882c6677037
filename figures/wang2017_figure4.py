"""Flow chart of the embedded phantom model, after Wang et al. 2017, figure 4: wang2017_figure4.png.

python figures/wang2017_figure4.py
"""

from pathlib import Path

from cxrloc.models.names import PHANTOM_MODEL
from cxrloc.panels.plots import FigureRequest
from cxrloc.pipeline.figure import figure

FIGURES = Path(__file__).parent

if __name__ == "__main__":
    figure("network", [Path(PHANTOM_MODEL)], FIGURES / "wang2017_figure4.png", FigureRequest())
