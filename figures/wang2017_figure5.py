"""ROC curves by initialisation on phantoms, after Wang et al. 2017, figure 5.

python figures/wang2017_figure5.py draws wang2017_figure5.svg; two minutes of one idle core.
"""

from pathlib import Path

from small_networks import CAPTION, SmallNetwork, scored

from cxrloc.panels.plots import FigureRequest
from cxrloc.pipeline.figure import figure

FIGURES = Path(__file__).parent

INITIALISATIONS = (
    SmallNetwork("small ResNet from chance", "scratch"),
    SmallNetwork("small ResNet from phantoms", "phantom-v1"),
    SmallNetwork("MobileNetV2 from chance", "scratch", "mobilenet_v2"),
    SmallNetwork("MobileNetV2 from both", "nih-small-v4", "mobilenet_v2"),
)

if __name__ == "__main__":
    request = FigureRequest(caption=CAPTION)
    figure("roc-by-run", scored(INITIALISATIONS), FIGURES / "wang2017_figure5.svg", request)
