"""AUC per finding over five training sets, after Baltruschat et al. 2019, figure 5.

python figures/baltruschat2019_figure5.py draws baltruschat2019_figure5.svg; a minute and a half of
one idle core. The published numbers are of real radiographs. They are drawn to show the form of the
figure, and must not be compared with the numbers of phantoms.
"""

from pathlib import Path

from small_networks import CAPTION, SmallNetwork, scored

from cxrloc.panels.plots import FigureRequest
from cxrloc.pipeline.figure import figure

FIGURES = Path(__file__).parent

RESAMPLINGS = [SmallNetwork(f"training set {seed}", seed=seed) for seed in range(11, 16)]

if __name__ == "__main__":
    request = FigureRequest("single", beside=("wang2017:3", "wang2017:17"), caption=CAPTION)
    figure("auc-ranking", scored(RESAMPLINGS), FIGURES / "baltruschat2019_figure5.svg", request)
