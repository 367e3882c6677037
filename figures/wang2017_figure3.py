"""Dependency graph of Wang et al. 2017, figure 3, with the rule that fires: wang2017_figure3.png.

python figures/wang2017_figure3.py
"""

from pathlib import Path

from cxrloc.panels.plots import FigureRequest
from cxrloc.pipeline.figure import figure

FIGURES = Path(__file__).parent

if __name__ == "__main__":
    sentence = FIGURES / "wang2017_figure3.json"
    figure("dependency", [sentence], FIGURES / "wang2017_figure3.png", FigureRequest())
