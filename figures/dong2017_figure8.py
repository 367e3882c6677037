"""Ranking precision over images with two findings, after Dong et al. 2017, figure 8.

python figures/dong2017_figure8.py draws dong2017_figure8.svg; a minute of one idle core, or
seconds after wang2017_figure5.py, which trains the same networks.
"""

from pathlib import Path

from small_networks import CAPTION, scored
from wang2017_figure5 import INITIALISATIONS

from cxrloc.panels.plots import FigureRequest
from cxrloc.pipeline.figure import figure

FIGURES = Path(__file__).parent

if __name__ == "__main__":
    runs = scored([INITIALISATIONS[1], INITIALISATIONS[3]])
    request = FigureRequest("single", caption=CAPTION)
    figure("precision-cdf", runs, FIGURES / "dong2017_figure8.svg", request)
